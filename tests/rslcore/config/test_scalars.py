"""Numbers and strings at the ends of what a config holds."""

from __future__ import annotations

import re

import pytest

from rslcore.config.scalars import SCALARS, shown


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (int, 2**63, "9223372036854775808 (int) should be a whole number of at most 64 bits"),
        (float, 1e300, "1e+300 (float) is too large for single precision, which ends at 3.4e+38"),
        (float, 1e-46, "1e-46 (float) is too small for single precision, which begins at 1.2e-38; write 0"),
        (
            float,
            2**53 + 1,
            "9007199254740993 (int) has more digits than a number with a fraction holds; write 9007199254740992.0",
        ),
        (str, "\ud800", "'\\ud800' (str) holds half a character, which no file can"),
    ],
)
def test_scalar_that_would_become_another_is_refused(kind, value, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        SCALARS[kind](value, kind)


def test_shown_of_what_python_does_not_write():
    assert shown(16**5_000) == "something that is too long or too deep to be shown (int)"
