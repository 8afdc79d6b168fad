"""The adapter on envs of all projects, and on envs that are none."""

from __future__ import annotations

import math
import re
from types import SimpleNamespace

import numpy
import pytest
import stand_ins
import torch
from tensordict import TensorDict

from rslcore.config import ExperimentConfig, structure
from rslcore.errors import CheckpointError, ConfigError, EnvError
from rslcore.protocols import Env, PartialResetEnv, RandomStartEnv, StatefulEnv
from rslcore.registry import Registry
from rslcore.specs import TensorSpec
from rslcore.training import train
from rslcore_rsl_rl.vec_env import VecEnvAdapter

CPU = torch.device("cpu")
LENGTH = {"genesis": {"episode_length_s": 0.08}, "playground": {"episode_length": 4}}
"""How the stand-ins are told that episodes end after four steps, or five for those that compare by `>`."""

GROUPS = {
    "isaac_lab": {"policy": 4, "critic": 5},
    "isaac_lab_2": {"policy": 4, "critic": 5},
    "mjlab": {"actor": 4, "critic": 5},
    "genesis": {"policy": 4},
    "playground": {"state": 4, "privileged_state": 8},
    "legged_gym": {"policy": 4, "critic": 5},
}


def make(family, num_envs=4, **options):
    return stand_ins.FAMILIES[family](num_envs, "cpu", 1, **options)


def short(family, **options):
    return make(family, **{**LENGTH.get(family, {"length": 4}), **options})


def adapt(env, **options):
    return VecEnvAdapter(env, CPU, **options)


def still(env, num_steps=1):
    """Some steps without a push; the last one."""
    actions = torch.zeros(env.spec.num_envs, env.spec.actions.num_actions)
    return [env.step(actions) for _ in range(num_steps)][-1]


class Minimal:
    """Has what is required, and gives what a test says."""

    num_envs, num_actions = 3, 2

    def __init__(self, obs, **changes):
        self.obs, self.changes = obs, changes

    def get_observations(self):
        return self.obs

    def step(self, actions):
        given = {"obs": self.obs, "rewards": torch.ones(3), "dones": torch.zeros(3), "extras": {}}
        return tuple({**given, **self.changes}.values())


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
def test_adapter_time_limit_truncates_alone(family):
    env = adapt(short(family))
    first = env.reset()
    assert first.batch_size == (4,)
    # legged_gym's reset makes a step, and counts the one beyond the limit, as Genesis does.
    until = {"genesis": 5, "legged_gym": 4}.get(family, 4)
    before, at, after = still(env, until - 1), still(env), still(env)
    for step, ends in ((before, False), (at, True), (after, False)):
        assert step.truncated.tolist() == [ends] * 4
        assert step.terminated.tolist() == [False] * 4
        assert step.truncated.dtype == step.terminated.dtype == torch.bool
        assert step.rewards.dtype == torch.float32
        assert step.final_obs is None


@pytest.mark.parametrize("family", stand_ins.FAMILIES)
def test_adapter_terminal_state_is_no_truncation_though_time_outs_are_old(family):
    env = adapt(make(family))
    env.reset()
    mass = env.unwrapped.mass
    mass.position[0] = 3.0
    step = still(env)
    assert step.terminated.tolist() == [True, False, False, False]
    assert not step.truncated.any()


def test_adapter_old_time_outs_do_not_end_episodes():
    raw = make("legged_gym")
    env = adapt(raw)
    env.reset()
    raw.episode_length_buf[1] = 41
    ended = still(env)
    assert ended.truncated.tolist() == [False, True, False, False]
    raw.mass.position[1] = 3.0
    raw.reset_idx = lambda env_ids: None  # so that the time-outs stay as they were
    assert raw.extras["time_outs"].tolist() == [False, True, False, False]
    assert still(env).truncated.tolist() == [False, True, False, False]  # which is all that can be known
    raw.mass.position[1] = 0.0
    step = still(env)
    assert not step.dones.any()


def test_adapter_finite_horizon_has_no_truncation():
    env = adapt(short("isaac_lab", finite_horizon=True))
    env.reset()
    assert still(env, 4).terminated.all()


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


@pytest.mark.parametrize(
    ("family", "name"),
    [("isaac_lab", "Episode_Reward/near"), ("mjlab", "Episode_Reward/near"), ("genesis", "rew_near")],
)
def test_adapter_hands_on_what_is_logged(family, name):
    raw = short(family)
    env = adapt(raw)
    env.reset()
    step = still(env, 5)
    logged = step.extras["log"][name]
    source = raw.extras if hasattr(raw, "extras") else raw.unwrapped.extras
    (key,) = {"log", "episode"} & source.keys()
    assert logged == source[key][name]
    source[key][name].fill_(-1.0)
    assert logged > 0.0


def test_adapter_log_of_episodes_comes_before_others_and_only_numbers_are_logged():
    episode = {
        "mean": torch.arange(3.0),
        "integer": torch.tensor([1, 2]),
        "number": 2,
        "array": numpy.array([1.0, 3.0]),
        "numpy": numpy.float32(4.0),
        "none": None,
        "text": "x",
        "empty": torch.zeros(0),
    }
    env = adapt(Minimal(torch.zeros(3, 4), extras={"episode": episode, "log": {"other": 1.0}}))
    assert still(env).extras["log"] == {"mean": 1.0, "integer": 1.5, "number": 2.0, "array": 2.0, "numpy": 4.0}
    assert still(adapt(Minimal(torch.zeros(3, 4)))).extras == {}


# Observations


@pytest.mark.parametrize(
    ("obs", "groups"),
    [
        (torch.zeros(3, 4), ["policy"]),
        ((torch.zeros(3, 4), torch.zeros(3, 5)), ["critic", "policy"]),
        ((torch.zeros(3, 4), None), ["policy"]),
        ((torch.zeros(3, 4), {}), ["policy"]),
        ((torch.zeros(3, 4), {"observations": {"critic": torch.zeros(3, 5), "rnd_state": None}}), ["critic", "policy"]),
        (({"camera": torch.zeros(3, 1, 8, 8)}, {}), ["camera"]),
        ({"policy": {"joints": torch.zeros(3, 2), "command": torch.zeros(3, 1)}}, ["policy/command", "policy/joints"]),
        (TensorDict({"a": TensorDict({"b": torch.zeros(3, 2)}, [3])}, [3]), ["a/b"]),
    ],
)
def test_adapter_reads_observations_in_every_form(obs, groups):
    assert sorted(adapt(Minimal(obs)).spec.observations) == groups


def test_adapter_floats_become_float32_and_other_types_stay():
    types = (torch.float64, torch.float16, torch.bfloat16, torch.float32, torch.uint8, torch.int64, torch.bool)
    obs = {str(dtype): torch.ones(3, 2, dtype=dtype) for dtype in types}
    env = adapt(Minimal(obs))
    assert [spec.dtype for spec in env.spec.observations.values()] == [*["float32"] * 4, "uint8", "int64", "bool"]
    assert [group.dtype for group in still(env).obs.values()] == [
        *[torch.float32] * 4,
        torch.uint8,
        torch.int64,
        torch.bool,
    ]


def test_adapter_asks_for_the_first_observations_once():
    raw = make("isaac_lab")
    before = raw.unwrapped.num_observed
    env = adapt(raw)
    first = env.reset()
    assert raw.unwrapped.num_observed == before + 1
    again = env.reset()
    assert raw.unwrapped.num_observed > before + 1
    assert not torch.equal(first["policy"], again["policy"])


def test_adapter_observes_anew_what_a_script_has_stepped():
    raw = make("mjlab")
    env = adapt(raw)
    raw.unwrapped.mass.position[:] = 1.3
    assert (env.observe()["actor"][:, :2] > 1.2).all()
    assert (still(env).obs["actor"][:, :2] > 1.2).all()
    assert raw.episode_length_buf.tolist() == [1, 1, 1, 1]


def test_adapter_reads_what_a_script_asked_the_env_for():
    raw = make("mjlab")
    env = adapt(raw)
    obs = env.to_observations(raw.get_observations())
    assert obs["actor"].shape == (4, 4)
    step = env.to_step(*raw.step(torch.zeros(4, 2)))
    assert step.rewards.shape == (4,)
    assert not step.dones.any()


def test_adapter_first_observations_of_playground_reset_it_once():
    raw = make("playground")
    env = adapt(raw)
    env.reset()
    still(env)
    assert raw.num_resets == 1


def test_adapter_resets_an_env_of_rsl_rl_1_whose_observations_are_zeros():
    raw = make("legged_gym")
    assert not raw.get_observations().any()
    assert adapt(raw).reset()["policy"].any(-1).all()
    assert sorted(adapt(make("legged_gym", num_privileged_obs=None)).spec.observations) == ["policy"]


def test_adapter_moves_to_the_device_of_the_run_and_actions_to_that_of_the_env():
    seen = []

    class Env(Minimal):
        device = "meta"

        def step(self, actions):
            seen.append(actions)
            return super().step(actions)

    step = still(adapt(Env(torch.zeros(3, 4, dtype=torch.float64))))
    assert seen[0].device.type == "meta"
    assert step.obs["policy"].device == CPU


@pytest.mark.parametrize("family", stand_ins.FAMILIES)
def test_adapter_hands_actions_on_without_their_graph(family):
    env = adapt(make(family))
    env.reset()
    actions = torch.ones(4, 2, requires_grad=True)
    assert not env.step(actions * 2.0).rewards.requires_grad


# Final observations


@pytest.mark.parametrize(("family", "option"), [("isaac_lab", None), ("isaac_lab", True), ("mjlab", True)])
def test_adapter_final_observations_where_episodes_ended(family, option):
    raw = make(family, final_obs=True)
    env = adapt(raw, final_obs=option)
    assert env.spec.keeps_final_obs
    first = next(iter(env.reset().keys()))
    assert still(env).final_obs is None
    raw.unwrapped.mass.position[2] = 3.0
    step = still(env)
    assert step.terminated.tolist() == [False, False, True, False]
    assert (step.final_obs[first][2, :2] > 2.5).all()
    assert (step.obs[first][2, :2].abs() < 1.5).all()
    others = torch.tensor([0, 1, 3])
    assert (step.final_obs[others] == step.obs[others]).all()
    assert still(env).final_obs is None  # though the extras of Isaac Lab still have them


FINAL = torch.full((3, 2), 9.0)
ARRAY = numpy.array([None, numpy.full(2, 9.0), None], dtype=object)


@pytest.mark.parametrize(
    "extras",
    [
        {"final_obs": {"policy": FINAL}},
        {"final_obs": FINAL.double()},
        {"final_observation": TensorDict({"policy": FINAL}, [3])},
        {"terminal_observation": (FINAL, None)},
        {"terminal": {"env_ids": torch.tensor([1]), "observations": {"policy": FINAL[:1]}}},
        {"terminal": {"env_ids": torch.tensor([0, 1]), "observations": FINAL[:2]}},
        {"final_obs": ARRAY},
        {"final_observation": [None, {"policy": torch.full((2,), 9.0)}, None]},
    ],
)
def test_adapter_final_observations_in_every_spelling(extras):
    env = adapt(Minimal(torch.zeros(3, 2), dones=torch.tensor([0.0, 1.0, 0.0]), extras=extras), final_obs=True)
    assert still(env).final_obs["policy"].tolist() == [[0.0, 0.0], [9.0, 9.0], [0.0, 0.0]]


def test_adapter_final_observations_that_do_not_fit():
    obs = {"policy": torch.zeros(3, 2), "critic": torch.zeros(3, 4)}
    extras = {"final_obs": {"policy": torch.zeros(3, 3)}}
    env = adapt(Minimal(obs, dones=torch.ones(3), extras=extras), final_obs=True)
    with pytest.raises(EnvError) as caught:
        still(env)
    assert str(caught.value) == (
        "env 'Minimal' gives in step what no env of rsl_rl's kind does:\n"
        "  extras['final_obs'] should have the observation groups of the step: policy: [3, 3] instead of "
        "[3, 2], critic: missing instead of [3, 4]"
    )


def test_adapter_final_observations_that_were_announced_and_are_missing():
    env = adapt(Minimal(torch.zeros(3, 2), dones=torch.ones(3)), final_obs=True)
    with pytest.raises(EnvError) as caught:
        still(env)
    assert str(caught.value) == (
        "env 'Minimal' gives in step what no env of rsl_rl's kind does:\n"
        "  episodes have ended, and the extras have none of 'final_obs', 'terminal', 'final_observation', "
        "'terminal_observation'; write final_obs: false"
    )


@pytest.mark.parametrize("cfg", [{"compute_final_obs": True}, SimpleNamespace(capture_terminal_observations=True)])
def test_adapter_believes_the_cfg_in_final_observations(cfg):
    raw = Minimal(torch.zeros(3, 2))
    raw.cfg = cfg
    assert adapt(raw).spec.keeps_final_obs
    assert not adapt(raw, final_obs=False).spec.keeps_final_obs


def test_adapter_says_once_that_final_observations_are_there_and_unused(caplog):
    caplog.set_level("INFO")
    env = adapt(short("mjlab", final_obs=True))
    env.reset()
    assert still(env, 12).final_obs is None
    assert [record.getMessage() for record in caplog.records] == [
        "env 'MjlabWrapper' gives final observations (terminal); they are used with final_obs: true"
    ]


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
    assert adapt(make("genesis")).spec.actions.names == ()
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


def error_of(call, *arguments, **options):
    with pytest.raises(EnvError) as caught:
        call(*arguments, **options)
    return str(caught.value)


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


def test_adapter_observations_of_no_form():
    assert error_of(adapt, Minimal(numpy.zeros((3, 4)))) == (
        "env 'Minimal' gives in get_observations what no env of rsl_rl's kind does:\n"
        "  observations should be a TensorDict or a dict of tensors, a tensor, a pair of tensors for "
        "actor and critic, or a tensor with a dict that has the key 'observations'; they are a ndarray"
    )


def test_adapter_first_observations_of_other_shapes():
    assert error_of(adapt, Minimal({"a": numpy.zeros(3), "b": torch.zeros(2, 4), "c": torch.zeros(3)})) == (
        "env 'Minimal' gives in get_observations what no env of rsl_rl's kind does:\n"
        "  the observations 'a' should be a tensor [3, ...], they are a ndarray\n"
        "  the observations 'b' should be [3, ...], they are [2, 4]"
    )
    assert error_of(adapt, Minimal({})).endswith("  there are no observations")


def test_adapter_step_of_other_shapes_says_all_at_once():
    wrong = {"rewards": torch.ones(3, 1), "dones": None, "extras": {"time_outs": torch.ones(2)}}
    assert error_of(still, adapt(Minimal(torch.zeros(3, 4), **wrong))) == (
        "env 'Minimal' gives in step what no env of rsl_rl's kind does:\n"
        "  the rewards should be [3], they are [3, 1]\n"
        "  the dones should be a tensor [3], they are None\n"
        "  the extras['time_outs'] should be [3], they are [2]"
    )


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"rewards": torch.zeros(3, dtype=torch.bool)},
            "the rewards should be numbers, they are bool; Gymnasium's envs need the project's wrapper",
        ),
        ({"extras": [1]}, "the extras should be a dict, they are a list"),
        (
            {"a": 1, "b": 2},
            "it should be observations, rewards, dones and extras, or as in rsl_rl 1.x observations, privileged ones, "
            "...; it is a tuple of a Tensor, a Tensor, a Tensor, a dict, a int, a int",
        ),
    ],
)
def test_adapter_step_of_another_kind(changes, line):
    env = adapt(Minimal(torch.zeros(3, 4), **changes))
    assert error_of(still, env) == f"env 'Minimal' gives in step what no env of rsl_rl's kind does:\n  {line}"


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


def test_step_of_gymnasiums_kind_is_refused(monkeypatch):
    env = stand_ins.isaac_lab(3, "cpu", 1)
    adapter = VecEnvAdapter(env, torch.device("cpu"))
    flags = torch.zeros(3, dtype=torch.bool)
    monkeypatch.setattr(env, "step", lambda actions: (env.get_observations(), torch.zeros(3), flags, flags, {}))
    message = (
        "it gave five values, as Gymnasium's envs do; rsl_rl's give four: observations, rewards, dones (terminated | "
        "truncated) and extras, with truncated as extras['time_outs']"
    )
    with pytest.raises(EnvError, match=re.escape(message)):
        adapter.step(torch.zeros(3, 2))
