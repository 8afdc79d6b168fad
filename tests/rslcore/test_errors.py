"""Messages that quote what a user wrote."""

from __future__ import annotations

from rslcore.errors import ConfigError, RunError


def test_message_writes_what_steers_a_terminal_as_an_escape():
    assert str(RunError("'\x1b[31m' in\nred")) == "'\\x1b[31m' in\nred"
    assert str(ConfigError.at("a", "'\u202e'")) == "a: '\\u202e'"


def test_message_leaves_out_the_middle_of_what_is_very_long():
    text = str(RunError("x" * 100_000 + "; give less"))
    assert len(text) < 2_100
    assert text.endswith("xxx; give less")
    assert " [...] " in text
