"""Devices by name."""

from __future__ import annotations

import pytest
import torch

from rslcore.device import limited_threads, resolve_device
from rslcore.errors import DeviceError


def test_resolve_auto_takes_what_there_is():
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["cpu", "cpu:0"])
def test_resolve_cpu(name):
    assert resolve_device(name) == torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cuda:99", "^device: 'cuda:99' is not there; this machine has 'auto', 'cpu'"),
        ("cpu:1", "^device: 'cpu:1' is not there; all cores together are 'cpu', num_threads says how many$"),
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


@pytest.fixture
def start_ranks(monkeypatch):
    """Be a process of torchrun's on a machine with some GPUs."""

    def start(num_ranks, local_rank, num_gpus):
        for name, value in (("WORLD_SIZE", num_ranks), ("LOCAL_WORLD_SIZE", num_ranks), ("LOCAL_RANK", local_rank)):
            monkeypatch.setenv(name, str(value))
        monkeypatch.setattr(torch.cuda, "device_count", lambda: num_gpus)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: num_gpus > 0)

    return start


@pytest.mark.parametrize("name", ["auto", "cuda", "cuda:1"])
def test_rank_has_a_gpu_of_its_own(start_ranks, name):
    start_ranks(2, 1, 2)
    assert resolve_device(name) == torch.device("cuda:1")


def test_single_process_may_take_any_gpu(start_ranks):
    start_ranks(1, 0, 2)
    assert resolve_device("cuda:1") == torch.device("cuda:1")
    assert resolve_device("auto") == torch.device("cuda:0")


@pytest.mark.parametrize("num_gpus", [0, 1])
def test_ranks_may_share_the_cpu(start_ranks, num_gpus):
    start_ranks(2, 1, num_gpus)
    assert resolve_device("cpu") == torch.device("cpu")
    start_ranks(2, 1, 0)
    assert resolve_device("auto") == torch.device("cpu")


@pytest.mark.parametrize(("name", "local_rank"), [("auto", 0), ("cuda", 1), ("cuda:3", 3)])
def test_more_ranks_than_gpus_are_refused(start_ranks, name, local_rank):
    start_ranks(4, local_rank, 2)
    message = (
        "^device: 4 ranks were started on this machine, which has 2 GPUs, and each needs one of its own; "
        "write --nproc-per-node 2, or device=cpu$"
    )
    with pytest.raises(DeviceError, match=message):
        resolve_device(name)


def test_gpu_of_another_rank_is_refused(start_ranks):
    start_ranks(2, 1, 2)
    with pytest.raises(
        DeviceError, match="^device: 'cuda:0' is not the GPU of LOCAL_RANK 1; write cuda, which is cuda:1$"
    ):
        resolve_device("cuda:0")


def test_ranks_without_a_gpu_cannot_have_one_each(start_ranks):
    start_ranks(2, 0, 0)
    message = "^device: 'cuda' is not there; this machine has 'auto', 'cpu'$"
    with pytest.raises(DeviceError, match=message):
        resolve_device("cuda")
