"""Tables as they are piped."""

from __future__ import annotations

import pytest

from rslcore.cli.tables import print_table


def test_print_table_in_a_pipe_has_no_spaces_at_the_ends_of_lines(capsys):
    print_table(("", "mean", "what"), [("return", "1.0", "a longer sentence"), ("length", "20.0", ""), ("x", "", "y")])
    assert capsys.readouterr().out == (
        "         mean   what\n"
        "─────────────────────────────────\n"
        "return   1.0    a longer sentence\n"
        "length   20.0\n"
        "x               y\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["describe"],
        ["describe", "algorithm"],
        ["describe", "algorithm", "ppo"],
        ["describe", "experiment"],
        ["describe", "recipe", "cartpole"],
        ["list-plugins"],
        ["check-plugin"],
        ["--help"],
        ["train", "--help"],
    ],
)
def test_lines_of_commands_in_a_pipe_have_no_spaces_at_their_ends(rslcore, arguments):
    code, out, _ = rslcore(*arguments)
    assert code == 0
    lines = out.split("\n")
    assert [line for line in lines if line != line.rstrip()] == []
    assert [bool(line) for line in lines[-2:]] == [True, False]
