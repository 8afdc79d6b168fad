"""Running a contract from a program: its tests in this process, their outcomes as data."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import attrs
import pytest

from rslcore.device import limited_threads
from rslcore.errors import PluginFaultError, RslcoreError
from rslcore.testing.contracts.base import Contract

UNUSED = ("cacheprovider", "terminal", "faulthandler", "logging", "unraisableexception", "threadexception")
"""Parts of pytest that print, or that take longer than the tests."""


@attrs.frozen
class Outcome:
    """How a test of a contract ended.

    Attributes:
        test: Its name.
        status: `passed`, `failed` or `skipped`.
        sentence: Why it did not pass.
        is_refusal: Whether the component, or what surrounds it, could not be built, and said what to mend: an
            `RslcoreError` in a fixture.
    """

    test: str
    status: str
    sentence: str = ""
    is_refusal: bool = False


def make_case(contract: type[Contract], **fixtures: Any) -> type[Contract]:
    """A class of tests whose fixtures have these values.

    TestBeta = make_case(DistributionContract, component={"name": "beta"}, env={"name": "fake", "actions": "bounded"})
    """
    members = {name: _fixture(value) for name, value in fixtures.items()}
    return type(contract.__name__, (contract,), {**members, "fixtures": fixtures})


def _fixture(value: Any) -> Any:
    def give(self: Any) -> Any:
        return value

    return pytest.fixture(give)


def run_contract(case: type[Contract], select: str = "") -> list[Outcome]:
    """Run the tests of a contract, silently.

    Args:
        case: From `make_case`, or a subclass of a contract.
        select: As pytest's `-k`; all tests by default.
    """
    collector = _Collector(case)
    # Small networks are fastest on a single thread.
    with limited_threads(1), tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "test_contract.py"
        file.write_text("")
        arguments = [str(file), "--rootdir", folder, "-c", os.devnull, "--import-mode=importlib", "--assert=plain"]
        without = [f"-pno:{name}" for name in UNUSED]
        selected = ["-k", select] if select else []
        code = pytest.main([*arguments, *without, *selected], plugins=[collector])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) or not collector.outcomes:
        raise RuntimeError(f"pytest ended with {code!r} after {len(collector.outcomes)} tests of {case.__name__}")
    return collector.outcomes


class _Collector:
    """A pytest plugin that puts tests into the empty file and collects how they end."""

    def __init__(self, case: type[Contract]) -> None:
        self._case = case
        self.outcomes: list[Outcome] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_pycollect_makemodule(self, module_path: Path) -> Generator[None, pytest.Module, pytest.Module]:
        module = yield
        module.obj.TestContract = self._case
        return module

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.when == "call" or not report.passed:
            self.outcomes.append(_to_outcome(item, call, report))
        return report


def _to_outcome(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> Outcome:
    if call.excinfo is None:
        return Outcome(item.name, report.outcome)
    error = call.excinfo.value
    is_refusal = isinstance(error, RslcoreError) and not isinstance(error, PluginFaultError)
    sentence = getattr(error, "msg", None) or str(error)
    if not isinstance(error, pytest.fail.Exception | pytest.skip.Exception | RslcoreError):
        entry = call.excinfo.traceback[-1]
        sentence = f"{type(error).__name__}: {error} ({Path(str(entry.path)).name}:{entry.lineno + 1})"
    return Outcome(item.name, report.outcome, sentence, is_refusal)
