"""Devices by name."""

from __future__ import annotations

import pytest
import torch

from rslcore.device import limited_threads, resolve_device
from rslcore.errors import DeviceError


def test_resolve_auto_takes_what_there_is():
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_resolve_cpu():
    assert resolve_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cuda:99", "^device: 'cuda:99' is not there; this machine has 'auto', 'cpu'"),
        ("gpu", "^device: 'gpu' is no device; use one of 'auto', 'cpu'"),
        ("meta", "^device: 'meta' is not supported; use one of 'auto', 'cpu'"),
    ],
)
def test_resolve_absent_device_lists_those_there(name, message):
    with pytest.raises(DeviceError, match=message):
        resolve_device(name)


def test_limited_threads_sets_them_for_a_while_or_leaves_them():
    before = torch.get_num_threads()
    with limited_threads(before + 1):
        assert torch.get_num_threads() == before + 1
        with limited_threads(None):
            assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
