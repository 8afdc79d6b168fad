"""What does not fit into a device."""

from __future__ import annotations

import re

import pytest
import torch

from rslcore.context import Context
from rslcore.errors import ConfigError
from rslcore.memory import check_memory, total_memory
from rslcore.registry import default_registry
from rslcore.specs import TensorSpec


def test_check_memory_refuses_more_than_the_device_has(small_config):
    cpu = torch.device("cpu")
    context = Context(default_registry(), small_config(), cpu, 1, 8)
    total = total_memory(cpu)
    check_memory(context, "runner.num_steps_per_env", total // 13, [TensorSpec((3,)), TensorSpec((), "bool")])
    rows = rf"^runner\.num_steps_per_env: {total} rows of 13 bytes take [\d.]+ GB, "
    message = rows + r"and 'cpu' has [\d.]+ GB in all; give fewer$"
    with pytest.raises(ConfigError, match=message):
        check_memory(context, "runner.num_steps_per_env", total, [TensorSpec((3,)), TensorSpec((), "bool")])


def test_train_with_a_rollout_beyond_all_memory_is_one_error_and_no_folder(small_config, tmp_path):
    from rslcore.training import train

    config = small_config("env.num_envs=100_000", "runner.num_steps_per_env=1_000_000")
    with pytest.raises(
        ConfigError, match=re.escape("runner.num_steps_per_env: 100000000000 rows of 16 bytes take 1600.0 GB")
    ):
        train(config, log_root=tmp_path, quiet=True)
    assert not list(tmp_path.iterdir())
