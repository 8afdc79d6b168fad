"""Targets are checked without importing their module."""

from __future__ import annotations

import sys

import pytest

from rslcore.errors import PluginError
from rslcore.registry.targets import find_target_fault, import_target


@pytest.mark.parametrize("target", ["json.decoder:JSONDecoder", "json:loads"])
def test_find_target_fault_of_a_good_target_is_none(target):
    assert find_target_fault(target) is None


@pytest.mark.parametrize(
    ("target", "fault"),
    [
        ("json.loads", "'json.loads' is not of the form 'module:attribute'"),
        ("json:", "'json:' is not of the form 'module:attribute'"),
        ("no_such_module:X", "'no_such_module:X': there is no module 'no_such_module'"),
        ("no_such_module.inner:X", "'no_such_module.inner:X': there is no module 'no_such_module'"),
        ("json.decoder.inner:X", "'json.decoder.inner:X': there is no module 'json.decoder.inner'"),
        ("json:JSONDecodr", "'json:JSONDecodr': module 'json' has no 'JSONDecodr'; did you mean 'JSONDecoder'?"),
    ],
)
def test_find_target_fault_says_what_is_wrong(target, fault):
    assert find_target_fault(target) == fault


def test_find_target_fault_does_not_import(tmp_path, monkeypatch):
    (tmp_path / "explosive.py").write_text("class Charge: ...\nraise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_target_fault("explosive:Charge") is None
    assert "explosive" not in sys.modules


def test_import_target_of_a_failing_module_says_why(tmp_path, monkeypatch):
    (tmp_path / "needy.py").write_text("import not_there\nclass Network: ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(PluginError, match="^'needy:Network' does not import: No module named 'not_there'$"):
        import_target("needy:Network")
