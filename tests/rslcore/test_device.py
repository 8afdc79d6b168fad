"""Devices by name."""

from __future__ import annotations

import pytest
import torch

from rslcore.device import limit_threads, resolve_device
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


def test_limit_threads_sets_them_or_leaves_them():
    before = torch.get_num_threads()
    try:
        limit_threads(1)
        assert torch.get_num_threads() == 1
        limit_threads(None)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
