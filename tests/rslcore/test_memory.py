"""What does not fit into a device."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from rslcore.context import Context
from rslcore.errors import ConfigError, RunError
from rslcore.memory import check_memory, is_about_memory, limited_parameters, total_memory
from rslcore.registry import default_registry
from rslcore.specs import TensorSpec
from rslcore.training import train
from rslcore_ppo.ppo import PPO


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
    config = small_config("env.num_envs=100_000", "runner.num_steps_per_env=1_000_000")
    with pytest.raises(
        ConfigError, match=re.escape("runner.num_steps_per_env: 100000000000 rows of 16 bytes take 1600.0 GB")
    ):
        train(config, log_root=tmp_path, quiet=True)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def memory_of_a_gigabyte(monkeypatch):
    """Whatever machine this is, it shall not be filled."""
    monkeypatch.setattr("rslcore.memory.total_memory", lambda device: 10**9)


@pytest.mark.usefixtures("memory_of_a_gigabyte")
def test_limited_parameters_refuses_what_cannot_be_trained_before_it_is_initialised():
    with limited_parameters(torch.device("cpu")):
        nn.Linear(1000, 1000)
        message = r"^training so many parameters takes 17\.2 GB and more, and 'cpu' has 1\.0 GB in all$"
        with pytest.raises(MemoryError, match=message):
            nn.Linear(2**15, 2**15)
    nn.Linear(8000, 8000, device="meta")  # counted no longer: it would be 1.02 GB


@pytest.mark.usefixtures("memory_of_a_gigabyte")
@pytest.mark.parametrize(
    ("recipe", "option", "path"),
    [
        ("cartpole", "policy.actor.network.hidden_dims=[65536,65536]", "policy.actor.network"),
        ("cartpole_memory", "policy.critic.network.rnn_hidden_dim=10000", "policy.critic.network"),
        (
            "pendulum",
            "algorithm.extensions=[{name: rnd, predictor_hidden_dims: [65536,65536]}]",
            "algorithm.extensions[0]",
        ),
    ],
)
def test_train_networks_beyond_all_memory_is_one_error_with_a_path(small_config, tmp_path, recipe, option, path):
    reason = r"training so many parameters takes [\d.]+ GB and more, and 'cpu' has 1\.0 GB in all"
    message = rf"^{re.escape(path)}: needs more memory than there is; give smaller numbers \({reason}\)$"
    with pytest.raises(ConfigError, match=message):
        train(small_config(option, recipe=recipe), log_root=tmp_path, quiet=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "ask", [lambda: torch.empty(2**50), lambda: torch.empty(2**62, 2**62), lambda: bytearray(2**62)]
)
def test_errors_about_memory_are_known(ask):
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        ask()
    assert is_about_memory(caught.value)


def test_other_errors_are_not_about_memory():
    with pytest.raises(RuntimeError) as caught:
        torch.ones(2) + torch.ones(3)
    assert not is_about_memory(caught.value)


def test_train_that_runs_out_of_memory_says_in_which_iteration(small_config, tmp_path, monkeypatch):
    monkeypatch.setattr(PPO, "update", lambda self, obs: torch.empty(2**50))
    advice = "give fewer envs or steps of a rollout, smaller networks or smaller minibatches"
    with pytest.raises(RunError, match=rf"^the run ran out of memory in iteration 1 \(.*memory.*\); {advice}$"):
        train(small_config(), log_root=tmp_path, quiet=True)


def test_train_error_that_is_not_about_memory_stays_as_it_is(small_config, tmp_path, monkeypatch):
    monkeypatch.setattr(PPO, "update", lambda self, obs: torch.ones(2) + torch.ones(3))
    with pytest.raises(RuntimeError, match="^The size of tensor a"):
        train(small_config(), log_root=tmp_path, quiet=True)
