"""What may be written to the columns of a storage."""

from __future__ import annotations

import re

import pytest
import torch
from tensordict import TensorDict

from rslcore.columns import copy_rows, take_group, unknown_column
from rslcore.errors import ExtensionError


@pytest.mark.parametrize(
    ("row", "rows", "message"),
    [
        (torch.zeros(4, 3), torch.zeros(4, 1), "column 'a' has rows of shape [4, 3], not [4, 1]"),
        (torch.zeros(4, dtype=torch.bool), torch.ones(4), "column 'a' holds bool, to which float32 cannot be written"),
        (
            torch.zeros(4, dtype=torch.int64),
            torch.ones(4),
            "column 'a' holds int64, to which float32 cannot be written",
        ),
        (
            torch.zeros(4, dtype=torch.bool),
            torch.ones(4, dtype=torch.int64),
            "column 'a' holds bool, to which int64 cannot be written",
        ),
    ],
)
def test_copy_rows_that_would_spread_or_lose_is_refused(row, rows, message):
    with pytest.raises(ExtensionError, match=f"^{re.escape(message)}$"):
        copy_rows("column 'a'", row, rows)


@pytest.mark.parametrize("dtype", [torch.float64, torch.int64, torch.bool])
def test_copy_rows_of_a_narrower_kind_is_converted(dtype):
    row = torch.zeros(2)
    copy_rows("column 'a'", row, torch.tensor([1, 0], dtype=dtype))
    assert row.tolist() == [1.0, 0.0]


def test_copy_rows_leaves_gradients_behind():
    with torch.no_grad():
        row, _ = torch.zeros(2, 3).unbind()
    copy_rows("column 'a'", row, torch.ones(3, requires_grad=True) * 2.0)
    assert row.tolist() == [2.0] * 3
    assert not row.requires_grad


def test_unknown_column_names_the_nearest():
    message = "the storage has no column 'sped', which `fields` must declare; did you mean 'speed'?"
    assert str(unknown_column("sped", ["speed", "height"])) == message


def test_take_group_that_is_missing_is_refused():
    obs = TensorDict({"policy": torch.zeros(2, 1)}, batch_size=[2])
    assert take_group(obs, "policy") is obs["policy"]
    with pytest.raises(ExtensionError, match="^there is no observation group 'camera' though the env declares it$"):
        take_group(obs, "camera")
