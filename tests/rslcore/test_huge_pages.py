"""Importing rslcore asks torch for huge pages, unless the user has said something else."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = "import os, rslcore; print(os.environ['THP_MEM_ALLOC_ENABLE'])"


@pytest.mark.parametrize(("said", "then"), [({}, "1"), ({"THP_MEM_ALLOC_ENABLE": "0"}, "0")])
def test_huge_pages_are_asked_for_unless_the_user_says_otherwise(said, then):
    environment = {name: value for name, value in os.environ.items() if name != "THP_MEM_ALLOC_ENABLE"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={**environment, **said}, check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == then
