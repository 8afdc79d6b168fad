"""A line of the report."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import attrs


@attrs.frozen
class Line:
    """What was found out about one thing.

    Attributes:
        subject: What was looked at: `distribution`, `plugin amp`, `extension amp`.
        status: `ok`; `mend`, where something is wrong; `unchecked`, where it could not be found out.
        text: What is well, or what to mend, or why it could not be checked.
    """

    subject: str
    status: Literal["ok", "mend", "unchecked"]
    text: str


def summarize(distribution: str, lines: Iterable[Line]) -> str:
    """The sentence at the end of a report."""
    lines = list(lines)
    to_mend = sum(line.status == "mend" for line in lines)
    unchecked = sum(line.status == "unchecked" for line in lines)
    words = "nothing to mend" if to_mend == 0 else "1 thing to mend" if to_mend == 1 else f"{to_mend} things to mend"
    if unchecked:
        words += f", {unchecked} that could not be checked"
    return f"{distribution}: {words}."
