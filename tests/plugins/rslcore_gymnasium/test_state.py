"""Gymnasium's envs saved, put back into fresh ones, and reset one by one."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy
import pytest
import torch
from gymnasium import spaces, wrappers
from gymnasium.envs.classic_control.cartpole import CartPoleEnv, CartPoleVectorEnv
from gymnasium.vector import SyncVectorEnv

from rslcore.errors import CheckpointError, EnvError
from rslcore.protocols import StatefulEnv
from rslcore.testing.env_checks import random_actions
from rslcore.testing.values import expect_plain_state, through_a_file

CLASSIC = ["CartPole-v1", "Acrobot-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1"]
MUJOCO = [
    *("Ant-v5", "HalfCheetah-v5", "Hopper-v5", "Humanoid-v5", "HumanoidStandup-v5", "InvertedDoublePendulum-v5"),
    *("InvertedPendulum-v5", "Pusher-v5", "Reacher-v5", "Swimmer-v5", "Walker2d-v5"),
    "rslcore_multi_discrete.envs:HalfCheetahMultiDiscrete-v0",
]
OWN = ["rslcore_tests/Count-v0", "rslcore_tests/Spaces-v0", "rslcore_tests/Camera-v0", "rslcore_tests/Spring-v0"]


def run(env, num_steps, seed=0):
    """All that some steps give, as bytes, and how many episodes ended in them."""
    given, num_ends = [], 0
    for index in range(num_steps):
        step = env.step(random_actions(env.spec, seed=1000 * seed + index))
        final = {} if step.final_obs is None else step.final_obs
        tensors = [*step.obs.values(), *final.values(), step.rewards, step.terminated, step.truncated, step.resets]
        given.append([tensor.numpy().tobytes() for tensor in tensors])
        num_ends += int(step.dones.sum())
    return given, num_ends


def saved(env):
    state = env.state_dict()
    expect_plain_state(state, "the env")
    return through_a_file(state)


def expect_goes_on(build, id, num_steps, **options):
    """A fresh env with the state of another one goes on as that one, saved after a reset and inside of episodes."""
    env = build(id, **options)
    assert isinstance(env, StatefulEnv)
    env.reset()
    for num_steps_before in (0, 1, num_steps // 2):
        run(env, num_steps_before, seed=1)
        state = saved(env)
        fresh = build(id, seed=7, **options)
        fresh.load_state_dict(state)
        expected, num_ends = run(env, num_steps)
        assert run(fresh, num_steps)[0] == expected
    assert num_ends > 2


@pytest.mark.parametrize("id", CLASSIC)
def test_state_of_classic_control_goes_on_bit_by_bit(build, id):
    options = {"num_envs": 3, "vectorization": "sync", "kwargs": {"max_episode_steps": 23}}
    expect_goes_on(build, id, 150, **options)


@pytest.mark.parametrize("limit", [3, 23])
def test_state_of_cartpoles_own_vectorised_version_goes_on_bit_by_bit(build, limit):
    kwargs = {"max_episode_steps": limit, "sutton_barto_reward": True}
    expect_goes_on(build, "CartPole-v1", 150, num_envs=3, kwargs=kwargs)


@pytest.mark.parametrize("id", MUJOCO)
def test_state_of_mujoco_goes_on_bit_by_bit(build, id):
    pytest.importorskip("mujoco")
    expect_goes_on(build, id, 40, num_envs=2, kwargs={"max_episode_steps": 13})


@pytest.mark.parametrize("id", OWN)
def test_state_of_an_env_that_saves_itself_goes_on_bit_by_bit(build, id):
    expect_goes_on(build, id, 30, num_envs=2)


def test_state_of_the_example_in_the_docs_goes_on_bit_by_bit(build, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "docs" / "examples"))
    expect_goes_on(build, "reach:Reach-v0", 50, num_envs=2)


def test_state_keeps_the_random_number_of_steps_that_episodes_began_with(build):
    env, fresh = (build("Pendulum-v1", num_envs=8, kwargs={"max_episode_steps": 30}) for _ in range(2))
    env.reset()
    env.randomize_episode_steps()
    fresh.load_state_dict(saved(env))
    assert run(fresh, 30) == run(env, 30)


@pytest.mark.parametrize(("first", "second"), [("async", "async"), ("async", "sync"), ("sync", "async")])
def test_state_of_async_envs_goes_on_bit_by_bit(build, first, second):
    options = {"num_envs": 2, "kwargs": {"max_episode_steps": 13}}
    env = build("rslcore_tests/Camera-v0", vectorization=first, **options)
    env.reset()
    run(env, 20, seed=1)
    fresh = build("rslcore_tests/Camera-v0", vectorization=second, **options)
    fresh.load_state_dict(saved(env))
    none = torch.zeros(2, dtype=torch.bool)
    assert (fresh.reset_envs(none) == env.reset_envs(none)).all()
    assert run(fresh, 40) == run(env, 40)


def test_reset_envs_after_a_load_gives_the_last_observations(build):
    env, fresh = (build("Pendulum-v1", num_envs=3) for _ in range(2))
    env.reset()
    run(env, 5)
    fresh.load_state_dict(saved(env))
    some = torch.tensor([True, False, False])
    assert (fresh.reset_envs(some) == env.reset_envs(some)).all()
    assert run(fresh, 20) == run(env, 20)
    assert (fresh.reset() == env.reset()).all()


WRAPPERS = {
    "clip_action": wrappers.ClipAction,
    "clip_reward": lambda env: wrappers.ClipReward(env, -1.0, 0.0),
    "dtype": lambda env: wrappers.DtypeObservation(env, numpy.int32),
    "filter": lambda env: wrappers.FilterObservation(gymnasium.make("rslcore_tests/Camera-v0"), ("policy",)),
    "flatten": wrappers.FlattenObservation,
    "normalize_observation": wrappers.NormalizeObservation,
    "normalize_reward": wrappers.NormalizeReward,
    "rescale_action": lambda env: wrappers.RescaleAction(env, numpy.float32(-1.0), numpy.float32(1.0)),
    "rescale_observation": lambda env: wrappers.RescaleObservation(env, numpy.float32(-1.0), numpy.float32(1.0)),
    "reshape": lambda env: wrappers.ReshapeObservation(env, (3, 1)),
    "time_aware": lambda env: wrappers.TimeAwareObservation(wrappers.TimeLimit(env, 500)),
    "transform_observation": lambda env: wrappers.TransformObservation(env, lambda obs: obs, env.observation_space),
    "sticky": lambda env: wrappers.StickyAction(env, 0.5),
}


@pytest.mark.parametrize("name", [name for name in WRAPPERS if name not in ("transform_observation", "sticky")])
def test_state_of_wrapped_envs_goes_on_bit_by_bit(build, register, name):
    register(entry_point=lambda: WRAPPERS[name](gymnasium.make("Pendulum-v1", max_episode_steps=70)))
    expect_goes_on(build, "Temporary-v0", 50, num_envs=2)


class Longer(CartPoleEnv):
    """A CartPole that may remember more than Gymnasium's."""


class LongerVector(CartPoleVectorEnv):
    """CartPoles that may remember more than Gymnasium's."""


class NotYet(CartPoleEnv):
    """Has the methods, and says that it cannot."""

    def state_dict(self):
        return None

    def load_state_dict(self, state):
        raise AssertionError


def make_sync(num_envs, max_episode_steps):
    """A vectorised version that is made of Gymnasium's parts."""
    return SyncVectorEnv([CartPoleEnv] * num_envs)


@pytest.mark.parametrize(
    "env",
    [
        Longer,
        NotYet,
        lambda: WRAPPERS["transform_observation"](gymnasium.make("Pendulum-v1")),
        lambda: WRAPPERS["sticky"](gymnasium.make("Pendulum-v1")),
    ],
    ids=["subclass", "says so", "function", "unknown wrapper"],
)
def test_state_of_what_is_not_known_is_none(build, register, env):
    register(entry_point=env)
    built = build("Temporary-v0", num_envs=1)
    built.reset()
    assert built.state_dict() is None


@pytest.mark.parametrize("make", [LongerVector, make_sync])
def test_state_of_an_unknown_vectorised_version_is_none(build, register, make):
    register(entry_point=CartPoleEnv, vector_entry_point=make)
    env = build("Temporary-v0", num_envs=2)
    env.reset()
    assert env.state_dict() is None


def test_state_of_a_vectorised_version_that_saves_itself_goes_on_bit_by_bit(build, register):
    class Saving(CartPoleVectorEnv):
        def state_dict(self):
            return {name: getattr(self, name) for name in ("state", "steps", "prev_done")}

        def load_state_dict(self, state):
            self.state, self.steps, self.prev_done = state["state"], state["steps"], state["prev_done"]

    register(entry_point=CartPoleEnv, vector_entry_point=Saving)
    expect_goes_on(build, "Temporary-v0", 60, num_envs=2)


def test_state_of_bodies_that_may_sleep_is_none(build):
    mujoco = pytest.importorskip("mujoco")
    env = build("Hopper-v5", num_envs=1)
    env.reset()
    assert env.state_dict() is not None
    env._envs.envs[0].unwrapped.model.opt.enableflags |= mujoco.mjtEnableBit.mjENBL_SLEEP
    assert env.state_dict() is None


# States that do not fit


@pytest.mark.parametrize(
    ("id", "options", "message"),
    [
        (
            "Pendulum-v1",
            {"num_envs": 3},
            "the saved state is of 3 envs 'Pendulum-v1', the run has 2 envs 'CartPole-v1'; give it as many of the same "
            "env",
        ),
        (
            "CartPole-v1",
            {"num_envs": 3, "vectorization": "sync"},
            "the saved state is of 3 envs 'CartPole-v1', the run has 2 envs 'CartPole-v1'; give it as many of the same "
            "env",
        ),
        (
            "CartPole-v1",
            {"num_envs": 2},
            "the saved state of 'CartPole-v1' is of ['gymnasium.envs.classic_control.cartpole:CartPoleVectorEnv'], the "
            "env is now ['gymnasium.wrappers.common:TimeLimit', 'gymnasium.wrappers.common:OrderEnforcing', "
            "'gymnasium.wrappers.common:PassiveEnvChecker', 'gymnasium.envs.classic_control.cartpole:CartPoleEnv']; "
            "give the run the same vectorization and kwargs",
        ),
    ],
    ids=["env", "number", "vectorization"],
)
def test_state_that_does_not_fit_is_refused(build, id, options, message):
    other = build(id, **options)
    other.reset()
    env, same = (build("CartPole-v1", num_envs=2, vectorization="sync") for _ in range(2))
    env.reset()
    same.reset()
    with pytest.raises(CheckpointError) as caught:
        env.load_state_dict(saved(other))
    assert str(caught.value) == message
    assert run(env, 20) == run(same, 20)


def test_state_that_is_none_of_the_adapters_is_refused(build):
    with pytest.raises(CheckpointError) as caught:
        build("CartPole-v1", num_envs=2).load_state_dict({"something": "else"})
    assert str(caught.value) == "the saved state of the envs is not one of 'CartPole-v1'"


def test_state_of_another_model_is_refused(build):
    pytest.importorskip("mujoco")
    other = build("Ant-v5", num_envs=1)
    other.reset()
    state = saved(other)
    state["id"] = "Hopper-v5"
    with pytest.raises(CheckpointError, match="^the saved state of 'Hopper-v5' is of .*AntEnv of 570 numbers"):
        build("Hopper-v5", num_envs=1).load_state_dict(state)


class Deque(CartPoleEnv):
    """Gives what no checkpoint holds, and takes nothing."""

    remembered = object()

    def state_dict(self):
        return {"frames": [self.remembered]}

    def load_state_dict(self, state):
        raise RuntimeError("not like this")


def test_state_that_no_checkpoint_holds_is_the_envs_fault(build, register):
    register(entry_point=Deque)
    env = build("Temporary-v0", num_envs=1)
    env.reset()
    with pytest.raises(EnvError) as caught:
        env.state_dict()
    assert str(caught.value).startswith(
        "env 'Temporary-v0' failed in state_dict: TypeError: 'envs[0].layers[3].frames[0]' is a object; give tensors, "
        "arrays, plain containers, strings and numbers ("
    )


def test_load_that_fails_is_the_envs_fault(build, register, monkeypatch):
    register(entry_point=Deque)
    monkeypatch.setattr(Deque, "remembered", 1)
    env = build("Temporary-v0", num_envs=1)
    env.reset()
    with pytest.raises(EnvError) as caught:
        env.load_state_dict(saved(env))
    assert str(caught.value).startswith("env 'Temporary-v0' failed in load_state_dict: RuntimeError: not like this (")


def test_state_has_arrays_and_scalars_of_every_type(build, register):
    class Holds(gymnasium.Env):
        observation_space = spaces.Box(-1.0, 1.0, (1,))
        action_space = spaces.Discrete(2)
        values = (numpy.float32(0.1), numpy.uint16([1, 2]), [True, None, "text"], {"tensor": torch.ones(2)}, 2**100)

        def reset(self, *, seed=None, options=None):
            return numpy.zeros(1, numpy.float32), {}

        def state_dict(self):
            return {"values": self.values}

        def load_state_dict(self, state):
            self.loaded = state["values"]

    register(entry_point=Holds)
    env = build("Temporary-v0", num_envs=1)
    env.reset()
    env.load_state_dict(saved(env))
    scalar, array, listed, mapping, number = env._envs.envs[0].unwrapped.loaded
    assert isinstance(scalar, numpy.float32)
    assert scalar == numpy.float32(0.1)
    assert array.dtype == numpy.uint16
    assert array.tolist() == [1, 2]
    assert listed == [True, None, "text"]
    assert mapping["tensor"].tolist() == [1.0, 1.0]
    assert number == 2**100
