"""The command line, called in this process."""

from __future__ import annotations

import sys

import pytest

from rslcore.cli import main


@pytest.fixture
def rslcore(monkeypatch, capsys):
    """Run a command in this process; give its exit code and what it printed."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["rslcore", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        out, err = capsys.readouterr()
        return caught.value.code, out, err

    return run
