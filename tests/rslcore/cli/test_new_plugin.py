"""`rslcore new-plugin` as a user types it."""

from __future__ import annotations

import sys

import pytest

from rslcore.cli import main


@pytest.fixture
def new_plugin(monkeypatch, capsys, tmp_path):
    """Run the command in an empty folder; give its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["rslcore", "new-plugin", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        return caught.value.code, *capsys.readouterr()

    return run


def test_new_plugin_says_what_to_type_next(new_plugin, tmp_path):
    code, out, err = new_plugin("action-rate")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "Wrote rslcore-action-rate: the extension 'action-rate', complete and working.",
        "  install it    pip install -e './rslcore-action-rate[test]'",
        "  train it      rslcore train action-rate",
        "  test it       pytest rslcore-action-rate",
        "  check it      rslcore check-plugin rslcore-action-rate",
        "  change it     rslcore-action-rate/rslcore_action_rate/extension.py",
    ]
    assert (tmp_path / "rslcore-action-rate" / "pyproject.toml").is_file()


def test_new_plugin_of_a_kind_in_a_folder(new_plugin, tmp_path):
    code, out, _ = new_plugin("point", "--kind", "env", "--output", str(tmp_path / "my plugins"))
    assert code == 0
    assert f"  install it    pip install -e '{tmp_path}/my plugins/rslcore-point[test]'" in out
    assert (tmp_path / "my plugins" / "rslcore-point" / "rslcore_point" / "env.py").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["point", "--kind", "enf"], "error: there is no kind 'enf'; did you mean 'env'?"),
        (["Point"], "error: 'Point' cannot name a plugin"),
        (["cartpole"], "error: 'cartpole' is taken: there is the recipe 'cartpole' of rslcore 0.1.0 already"),
    ],
)
def test_new_plugin_mistake_is_one_message_and_writes_nothing(new_plugin, tmp_path, arguments, message):
    code, out, err = new_plugin(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert list(tmp_path.iterdir()) == []


def test_new_plugin_twice_is_an_error(new_plugin):
    new_plugin("mine")
    code, _, err = new_plugin("mine")
    assert code == 2
    assert err == ("error: 'rslcore-mine' is there already; choose another name, or another folder with --output\n")
