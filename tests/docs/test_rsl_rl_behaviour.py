"""Every point of docs/rsl_rl_behaviour.md names a test that there is."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_point_names_a_test_that_there_is():
    rows = [line for line in (ROOT / "docs" / "rsl_rl_behaviour.md").read_text().splitlines() if line[:2] == "| "]
    points = [row for row in rows if not row.startswith("| rsl_rl | ")]
    assert len(points) > 80
    missing = []
    for row in points:
        named = re.search(r"\| `([\w/]+\.py)::(test_\w+)` \|$", row)
        if named is None:
            missing.append(row)
            continue
        path = ROOT / "tests" / named[1]
        if not path.is_file() or f"def {named[2]}(" not in path.read_text():
            missing.append(named[0])
    assert not missing
