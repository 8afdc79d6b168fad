"""Reports by how much the two libraries differ, case by case."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# For the envs and dicts of projects that use rsl_rl.
sys.path.insert(0, str(Path(__file__).parents[1] / "plugins" / "rslcore_rsl_rl"))

pytest.register_assert_rewrite("parity.comparison")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = []
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        properties = dict(report.user_properties) if report.when == "call" else {}
        if "largest difference" in properties:
            name = report.nodeid.rpartition("::")[2]
            lines.append(f"{properties['largest difference']:9.1e}  {name}  ({properties['of']})")
    if lines:
        terminalreporter.section("largest relative differences to rsl_rl")
        for line in lines:
            terminalreporter.write_line(line)
