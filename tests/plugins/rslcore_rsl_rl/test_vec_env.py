"""The adapter on envs of all projects, and on envs that are none."""

from __future__ import annotations

import math
import re
from types import SimpleNamespace

import pytest
import stand_ins
import torch
from adapting import CPU, GROUPS, Minimal, adapt, error_of, make, still

from rslcore.config import ExperimentConfig, structure
from rslcore.errors import CheckpointError, ConfigError, EnvError
from rslcore.protocols import Env, PartialResetEnv, RandomStartEnv, StatefulEnv
from rslcore.registry import Registry
from rslcore.specs import TensorSpec
from rslcore.training import train
from rslcore_rsl_rl.vec_env import VecEnvAdapter

# What is given, by project


@pytest.mark.parametrize("family", stand_ins.FAMILIES)
def test_adapter_spec_of_all_projects(family):
    env = adapt(make(family))
    assert isinstance(env, Env)
    assert isinstance(env, RandomStartEnv)
    assert env.spec.observations == {name: TensorSpec((size,)) for name, size in GROUPS[family].items()}
    assert env.spec.num_envs == 4
    assert env.spec.actions.num_actions == 2
    assert env.spec.actions.low == (-math.inf, -math.inf)
    assert env.spec.max_episode_length == 40
    assert not env.spec.keeps_final_obs


@pytest.mark.parametrize("family", stand_ins.FAMILIES)
def test_adapter_gives_tensors_that_the_env_does_not_write_into(family):
    raw = make(family)
    env = adapt(raw)
    first = env.reset()
    kept = first.clone()
    step = still(env)
    given = [*step.obs.values(), step.rewards, step.terminated, step.truncated]
    copies = [each.clone() for each in given]
    still(env, 3)
    assert (first == kept).all()
    assert all(torch.equal(one, other) for one, other in zip(given, copies, strict=True))


@pytest.mark.parametrize("family", stand_ins.FAMILIES)
def test_adapter_hands_actions_on_without_their_graph(family):
    env = adapt(make(family))
    env.reset()
    actions = torch.ones(4, 2, requires_grad=True)
    assert not env.step(actions * 2.0).rewards.requires_grad


# Episodes


@pytest.mark.parametrize("family", [family for family in stand_ins.FAMILIES if family != "playground"])
def test_adapter_random_steps_are_below_the_limit(family):
    raw = make(family, num_envs=64)
    env = adapt(raw)
    env.reset()
    dtype = raw.episode_length_buf.dtype
    env.randomize_episode_steps()
    steps = raw.episode_length_buf
    assert steps.dtype == dtype
    assert 0 <= steps.min() < 10 < 30 < steps.max() < 40
    if hasattr(raw, "env"):
        assert raw.env.episode_length_buf is steps


def test_adapter_random_steps_below_a_limit_of_each_env():
    raw = Minimal(torch.zeros(3, 4))
    raw.max_episode_length = torch.tensor([1, 5, 1000])
    raw.episode_length_buf = torch.zeros(3, dtype=torch.int32)
    env = adapt(raw)
    assert env.spec.max_episode_length == 1000
    torch.manual_seed(1)
    env.randomize_episode_steps()
    assert raw.episode_length_buf.dtype == torch.int32
    assert (raw.episode_length_buf < raw.max_episode_length).all()
    assert raw.episode_length_buf[2] > 5


def test_adapter_random_steps_of_an_env_without_a_counter():
    env = adapt(make("playground"))
    message = (
        "runner.init_at_random_ep_len: env 'PlaygroundWrapper' has no `episode_length_buf`, a tensor with the steps of "
        "each episode, as the envs of all projects but MuJoCo Playground have; write false"
    )
    with pytest.raises(ConfigError, match=re.escape(message)):
        env.randomize_episode_steps()


def test_adapter_limits_of_other_kinds():
    raw = Minimal(torch.zeros(3, 4))
    assert adapt(raw).spec.max_episode_length is None
    raw.max_episode_length = math.inf
    assert adapt(raw).spec.max_episode_length is None
    raw.max_episode_length = 41.0
    assert adapt(raw).spec.max_episode_length == 41


def test_adapter_clipped_actions_are_bounds():
    actions = adapt(make("isaac_lab", clip_actions=2.0)).spec.actions
    assert (actions.low, actions.high) == ((-2.0, -2.0), (2.0, 2.0))


def test_adapter_names_of_actions():
    assert adapt(make("mjlab")).spec.actions.names == ("push_x", "push_y")
    assert adapt(make("isaac_lab")).spec.actions.names == ("push_x", "push_y")
    raw = make("genesis")
    assert adapt(raw).spec.actions.names == ()
    raw.cfg["joint_names"] = ["hip", "knee"]
    assert adapt(raw).spec.actions.names == ("hip", "knee")
    raw.cfg["joint_names"] = ["hip", "knee", "ankle"]
    assert adapt(raw).spec.actions.names == ()
    assert VecEnvAdapter(make("genesis"), CPU, action_names=("x", "y")).spec.actions.names == ("x", "y")


@pytest.mark.parametrize("family", ["isaac_lab", "mjlab"])
def test_adapter_resets_some_envs_of_a_manager_based_env(family):
    raw = make(family)
    env = adapt(raw)
    assert isinstance(env, PartialResetEnv)
    env.reset()
    last = still(env, 3).obs
    observed = raw.unwrapped.num_observed
    assert env.reset_envs(torch.zeros(4, dtype=torch.bool)) is last
    assert raw.unwrapped.num_observed == observed
    obs = env.reset_envs(torch.tensor([False, True, False, False]))
    assert (obs[[0, 2, 3]] == last[[0, 2, 3]]).all()
    assert (next(iter(obs.values()))[1] != next(iter(last.values()))[1]).any()
    assert raw.episode_length_buf.tolist() == [3, 0, 3, 3]


@pytest.mark.parametrize("family", ["genesis", "playground", "legged_gym"])
def test_adapter_of_other_envs_cannot_reset_some(family):
    assert not isinstance(adapt(make(family)), PartialResetEnv)


def test_adapter_state_is_that_of_an_env_that_has_one():
    class Stateful(Minimal):
        def state_dict(self):
            return {"obs": self.obs.clone()}

        def load_state_dict(self, state):
            self.obs = state["obs"]

    env, other = adapt(Stateful(torch.ones(3, 2))), adapt(Stateful(torch.zeros(3, 2)))
    assert isinstance(env, StatefulEnv)
    other.load_state_dict(env.state_dict())
    assert still(other).obs["policy"].all()
    with pytest.raises(CheckpointError, match="^the saved state is not one of 3 envs of rsl_rl's kind$"):
        other.load_state_dict({})
    without = adapt(make("mjlab"))
    assert without.state_dict() is None
    with pytest.raises(CheckpointError, match="^env 'MjlabWrapper' has no `load_state_dict`$"):
        without.load_state_dict({"num_envs": 4, "env": {}})


@pytest.mark.parametrize("family", ["isaac_lab", "mjlab"])
def test_adapter_closes_once(family):
    raw = make(family)
    env = adapt(raw)
    env.close()
    env.close()
    assert raw.env.closed == 1


def test_adapter_reset_of_an_env_without_one():
    env = adapt(Minimal(torch.zeros(3, 4)))
    env.reset()
    with pytest.raises(
        EnvError, match="^env 'Minimal' has no `reset`, so its episodes cannot begin anew; make it again$"
    ):
        env.reset()


# Envs that are none


def test_adapter_names_all_that_an_env_lacks():
    assert error_of(adapt, SimpleNamespace(num_envs=0, device=1.5, max_episode_length="long", step=3)) == (
        "env 'SimpleNamespace' is no env of rsl_rl's kind:\n"
        "  it has no `num_actions`: the number of actions of one env, an int\n"
        "  it has no `get_observations`: a method that gives the observations to act on first\n"
        "  `num_envs` should be an int of at least 1, it is 0\n"
        "  `step` should be a method, it is 3\n"
        "  `device` should be a torch.device or its name, or not be there; it is 1.5\n"
        "  `max_episode_length` should be a number of steps, or a tensor of them, it is 'long'\n"
        "The `RslRlVecEnvWrapper` of Isaac Lab and of mjlab, the `RSLRLBraxWrapper` of MuJoCo Playground and the envs "
        "of Genesis, legged_gym and unitree_rl_gym have all of these; hand over the wrapper, not the env inside of it"
    )


def test_adapter_names_the_line_of_an_env_that_fails():
    class Broken(Minimal):
        def step(self, actions):
            return actions.view(7)

    message = error_of(still, adapt(Broken(torch.zeros(3, 4))))
    assert message.startswith("env 'Broken' failed in step: RuntimeError: shape '[7]' is invalid for input of size 6 (")
    assert re.search(r"test_vec_env\.py:\d+\)$", message)


# Training


@pytest.mark.parametrize("family", stand_ins.FAMILIES)
def test_stand_ins_are_trained_to_a_better_return(family, tmp_path):
    groups = {
        name: list(GROUPS[family])[:1] if name == "actor" else list(GROUPS[family]) for name in ("actor", "critic")
    }
    networks = {
        name: {"network": {"name": "mlp", "hidden_dims": [32], "groups": each}} for name, each in groups.items()
    }
    networks["actor"]["distribution"] = {"name": "gaussian", "init_std": 0.5}
    data = {
        "device": "cpu",
        "iterations": 8,
        "env": {"name": "vec_env", "factory": f"stand_ins:{family}", "num_envs": 64},
        "runner": {"name": "on_policy", "num_steps_per_env": 40, "init_at_random_ep_len": family != "playground"},
        "policy": {"name": "actor_critic", **networks},
        "algorithm": {"name": "ppo", "num_learning_epochs": 4, "num_mini_batches": 4, "learning_rate": 0.01},
        "storage": {"name": "rollout"},
        "loggers": [],
    }
    registry = Registry.discover()
    rewards = [
        train(
            structure({**data, "iterations": n}, ExperimentConfig, registry), log_root=tmp_path / str(n), quiet=True
        ).metrics["Train/mean_reward"]
        for n in (2, 8)
    ]
    assert rewards[1] > 1.5 * rewards[0]
