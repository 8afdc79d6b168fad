"""The Gymnasium adapter on real envs."""

from __future__ import annotations

import itertools
import re

import numpy
import pytest
import torch
from gymnasium import spaces

from rslcore.errors import ConfigError, EnvError, MissingExtraError
from rslcore.protocols import Env
from rslcore.specs import ActionSpec, TensorSpec


def error_of(build, *args, **options):
    with pytest.raises(ConfigError) as caught:
        build(*args, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("id", "observations", "actions", "length"),
    [
        ("CartPole-v1", {"policy": TensorSpec((4,))}, ActionSpec(1, num_choices=(2,)), 500),
        ("Pendulum-v1", {"policy": TensorSpec((3,))}, ActionSpec(1, low=(-1.0,), high=(1.0,)), 200),
    ],
)
def test_spec_of_real_envs(build, id, observations, actions, length):
    env = build(id, num_envs=3)
    assert isinstance(env, Env)
    assert env.spec.num_envs == 3
    assert env.spec.observations == observations
    assert env.spec.actions == actions
    assert env.spec.max_episode_length == length
    assert env.spec.keeps_final_obs


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_step_same_step_autoreset_gives_the_true_final_observation(build, vectorization):
    env = build("rslcore_tests/Count-v0", num_envs=2, vectorization=vectorization)
    assert env.reset()["policy"].tolist() == [[0.0, 0.0], [0.0, 0.0]]
    first = env.step(torch.tensor([[0], [1]]))
    assert first.terminated.tolist() == [False, True]
    assert first.truncated.tolist() == [False, False]
    assert first.obs["policy"].tolist() == [[0.0, 1.0], [1.0, 0.0]]
    assert first.final_obs["policy"].tolist() == [[0.0, 1.0], [0.0, 1.0]]
    second = env.step(torch.zeros(2, 1, dtype=torch.int64))
    assert second.final_obs is None
    third = env.step(torch.zeros(2, 1, dtype=torch.int64))
    assert third.truncated.tolist() == [True, False]
    assert third.rewards.tolist() == [3.0, 2.0]
    assert third.obs["policy"].tolist() == [[1.0, 0.0], [1.0, 2.0]]
    assert third.final_obs["policy"].tolist() == [[0.0, 3.0], [1.0, 2.0]]
    assert third.valid is None


def test_step_next_step_autoreset_marks_the_ignored_action(build):
    env = build("CartPole-v1", num_envs=3, kwargs={"max_episode_steps": 2})
    env.reset()
    push = torch.ones(3, 1, dtype=torch.int64)
    first, second, third, fourth = (env.step(push) for _ in range(4))
    assert (first.final_obs, first.valid) == (None, None)
    assert second.truncated.all()
    assert second.final_obs is second.obs
    assert third.valid.tolist() == [False, False, False]
    assert third.rewards.tolist() == [0.0, 0.0, 0.0]
    assert not (third.terminated | third.truncated).any()
    assert (third.obs["policy"].abs() <= 0.05).all()
    assert fourth.valid is None


def test_step_observations_are_copies(build):
    env = build("rslcore_tests/Count-v0", num_envs=1)
    obs = env.reset()
    env.step(torch.tensor([[0]]))
    assert obs["policy"].tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("id", ["CartPole-v1", "Pendulum-v1"])
def test_reset_same_seed_same_observations(build, id):
    first, same, other = (build(id, seed=seed, num_envs=4).reset()["policy"] for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert len(first.unique(dim=0)) == 4


def test_step_actions_are_stretched_to_the_bounds(build):
    action_space = spaces.Box(numpy.array([-2.0, 0.0]), numpy.array([2.0, 10.0]), dtype=numpy.float64)
    env = build("rslcore_tests/Spaces-v0", num_envs=1, kwargs={"action_space": action_space})
    env.reset()
    for actions, expected in (([0.0, 0.0], [0.0, 5.0]), ([-1.0, 0.5], [-2.0, 7.5]), ([-9.0, 9.0], [-2.0, 10.0])):
        env.step(torch.tensor([actions]))
        assert env._envs.get_attr("last_action")[0].tolist() == expected


def test_step_actions_are_only_clipped_where_not_stretched(build):
    action_space = spaces.Box(numpy.array([-2.0, -numpy.inf]), numpy.array([2.0, numpy.inf]), dtype=numpy.float64)
    env = build("rslcore_tests/Spaces-v0", num_envs=1, kwargs={"action_space": action_space}, rescale_actions=False)
    env.reset()
    env.step(torch.tensor([[5.0, 50.0]]))
    assert env._envs.get_attr("last_action")[0].tolist() == [2.0, 50.0]


@pytest.mark.parametrize(
    ("action_space", "actions", "expected", "spec"),
    [
        (spaces.Discrete(3, start=5), [[2]], 7, ActionSpec(1, num_choices=(3,))),
        (spaces.MultiDiscrete([3, 4]), [[2, 3]], [2, 3], ActionSpec(2, num_choices=(3, 4))),
        (spaces.MultiDiscrete([2, 3], start=[1, 1]), [[0, 2]], [1, 3], ActionSpec(2, num_choices=(2, 3))),
    ],
)
def test_step_discrete_actions_arrive_as_the_space_has_them(build, action_space, actions, expected, spec):
    env = build("rslcore_tests/Spaces-v0", num_envs=1, kwargs={"action_space": action_space})
    assert env.spec.actions == spec
    env.reset()
    env.step(torch.tensor(actions))
    assert env._envs.get_attr("last_action")[0].tolist() == expected


def test_dict_observations_are_groups_with_their_dtypes(build):
    space = spaces.Dict(
        {"policy": spaces.Box(-1.0, 1.0, (2,), numpy.float64), "image": spaces.Box(0, 255, (4, 4, 3), numpy.uint8)}
    )
    env = build("rslcore_tests/Spaces-v0", num_envs=2, kwargs={"observation_space": space})
    assert env.spec.observations == {"policy": TensorSpec((2,)), "image": TensorSpec((4, 4, 3), "uint8")}
    obs = env.reset()
    assert obs["image"].dtype == torch.uint8
    assert obs["policy"].dtype == torch.float32
    for _ in range(5):
        step = env.step(torch.zeros(2, 1, dtype=torch.int64))
    assert step.truncated.all()
    assert step.final_obs["image"].shape == (2, 4, 4, 3)


def test_unknown_id_gives_the_nearest(build):
    message = "env.id: Gymnasium knows no env 'CartPole-v7'; did you mean 'CartPole-v1'? ("
    assert error_of(build, "CartPole-v7").startswith(message)
    assert error_of(build, "CartPol-v1").startswith(
        "env.id: Gymnasium knows no env 'CartPol-v1'; did you mean 'CartPole-v1'?"
    )


def test_id_of_a_module_that_is_not_installed_says_so(build):
    message = (
        "env.id: 'not_there:Env-v0': No module named 'not_there'; "
        "install the package that brings the env, or put its folder on PYTHONPATH"
    )
    assert error_of(build, "not_there:Env-v0") == message


def test_missing_extra_says_which_to_install(build):
    message = (
        r"^env.id: 'rslcore_tests/Needy-v0' needs a package that is not installed; "
        r"type `pip install 'rslcore\[mujoco\]'` \(MuJoCo is not installed\)$"
    )
    with pytest.raises(MissingExtraError, match=message):
        build("rslcore_tests/Needy-v0")


def test_unknown_constructor_argument_is_refused(build):
    message = r"^env\.id: 'Pendulum-v1' cannot be made with {'gravity': 5}: TypeError: .*keyword argument 'gravity'"
    with pytest.raises(EnvError, match=message):
        build("Pendulum-v1", kwargs={"gravity": 5})


def test_env_that_fails_in_its_own_code_is_named(build):
    env = build("rslcore_tests/Fails-v0", num_envs=2)
    env.reset()
    message = r"^env 'rslcore_tests/Fails-v0' failed in step: RuntimeError: the robot is on fire \(.*envs\.py:\d+\)$"
    with pytest.raises(EnvError, match=message):
        env.step(torch.zeros(2, 1, dtype=torch.int64))


def test_env_that_observes_another_shape_than_its_space_says_is_told(build):
    env = build("rslcore_tests/Misshapen-v0", num_envs=2)
    env.reset()
    env.step(torch.zeros(2, 1, dtype=torch.int64))
    what = "env 0 observes of shape [4], and its observation_space says [3]"
    message = f"env 'rslcore_tests/Misshapen-v0' failed in step: {what}"
    with pytest.raises(EnvError, match=f"^{re.escape(message)}$"):
        env.step(torch.zeros(2, 1, dtype=torch.int64))


def test_env_that_gives_what_gymnasium_cannot_take_is_told_what_a_step_gives(build):
    env = build("rslcore_tests/Misshapen-v0", num_envs=2, kwargs={"first_step": 100, "reward": "much"})
    env.reset()
    message = (
        r"could not convert string to float: .*; an env's step gives an observation of its space, a number, two flags"
    )
    with pytest.raises(EnvError, match=message):
        env.step(torch.zeros(2, 1, dtype=torch.int64))


@pytest.mark.filterwarnings("ignore::UserWarning")  # Gymnasium tells of the death of its workers
def test_env_that_fails_in_a_worker_process_is_named_and_closes(build):
    env = build("rslcore_tests/Fails-v0", num_envs=2, vectorization="async")
    env.reset()
    with pytest.raises(EnvError, match="the robot is on fire"):
        env.step(torch.zeros(2, 1, dtype=torch.int64))
    env.close()


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        (
            {"observation_space": spaces.Discrete(3)},
            "env.id: observations are Discrete(3), which is neither a Box nor a Dict of Boxes; "
            "register the env with Gymnasium's wrapper FlattenObservation around it",
        ),
        (
            {"action_space": spaces.MultiBinary(2)},
            "env.id: actions are MultiBinary(2), which is none of Box (of floats), Discrete and MultiDiscrete",
        ),
    ],
)
def test_unsupported_space_is_refused(build, kwargs, message):
    assert error_of(build, "rslcore_tests/Spaces-v0", num_envs=1, kwargs=kwargs) == message


# Groups


def test_groups_split_an_observation(build):
    env = build("CartPole-v1", num_envs=3, groups={"policy": (0, 2), "privileged": (3, 1, 0)})
    whole = build("CartPole-v1", num_envs=3)
    assert env.spec.observations == {"policy": TensorSpec((2,)), "privileged": TensorSpec((3,))}
    obs, expected = env.reset(), whole.reset()["policy"]
    assert torch.equal(obs["policy"], expected[:, [0, 2]])
    assert torch.equal(obs["privileged"], expected[:, [3, 1, 0]])
    push = torch.ones(3, 1, dtype=torch.int64)
    obs, expected = env.step(push).obs, whole.step(push).obs["policy"]
    assert torch.equal(obs["policy"], expected[:, [0, 2]])
    assert torch.equal(obs["privileged"], expected[:, [3, 1, 0]])


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_groups_split_the_final_observation_too(build, vectorization):
    groups = {"policy": (1,), "episode": (0, 1)}
    env = build("rslcore_tests/Count-v0", num_envs=2, vectorization=vectorization, groups=groups)
    obs = env.reset()
    assert {name: group.tolist() for name, group in obs.items()} == {
        "policy": [[0.0], [0.0]],
        "episode": [[0.0, 0.0], [0.0, 0.0]],
    }
    step = env.step(torch.tensor([[0], [1]]))
    assert step.obs["policy"].tolist() == [[1.0], [0.0]]
    assert step.obs["episode"].tolist() == [[0.0, 1.0], [1.0, 0.0]]
    assert step.final_obs["policy"].tolist() == [[1.0], [1.0]]
    assert step.final_obs["episode"].tolist() == [[0.0, 1.0], [0.0, 1.0]]


def test_groups_whose_entries_do_not_exist_are_all_refused(build):
    assert error_of(build, "CartPole-v1", groups={"policy": (0, 4), "none": (), "last": (-1,), "fine": (3,)}) == (
        "3 problems:\n"
        "  env.groups.policy: [0, 4] should be entries of the observation, from 0 to 3\n"
        "  env.groups.none: [] should be entries of the observation, from 0 to 3\n"
        "  env.groups.last: [-1] should be entries of the observation, from 0 to 3"
    )


@pytest.mark.parametrize(
    ("space", "shown"),
    [
        (spaces.Box(0, 255, (2, 2), numpy.uint8), "Box(0, 255, (2, 2), uint8)"),
        (spaces.Dict({"policy": spaces.Box(-1.0, 1.0, (2,))}), "Dict('policy': Box(-1.0, 1.0, (2,), float32))"),
    ],
)
def test_groups_of_what_is_no_vector_are_refused(build, space, shown):
    kwargs = {"observation_space": space}
    assert error_of(build, "rslcore_tests/Spaces-v0", num_envs=1, kwargs=kwargs, groups={"policy": (0,)}) == (
        f"env.groups: observations are {shown}; only a 1-D Box can be split into groups"
    )


# Episodes that are under way


@pytest.mark.parametrize(
    ("id", "options"),
    [
        ("rslcore_tests/Count-v0", {"vectorization": "sync", "kwargs": {"max_episode_steps": 20}}),
        ("rslcore_tests/Count-v0", {"vectorization": "async", "kwargs": {"max_episode_steps": 20}}),
        ("CartPole-v1", {"kwargs": {"max_episode_steps": 20, "sutton_barto_reward": True}}),
    ],
    ids=["sync", "async", "own"],
)
def test_randomize_episode_steps_spreads_the_first_limits(build, id, options):
    torch.manual_seed(0)
    env = build(id, num_envs=8, **options)
    env.reset()
    env.randomize_episode_steps()
    lengths = torch.zeros(8)
    for number in range(1, 21):
        # CartPole stays up for some ten steps if it is pushed to and fro.
        step = env.step(torch.full((8, 1), number % 2 if id == "CartPole-v1" else 0, dtype=torch.int64))
        lengths[(lengths == 0) & step.truncated] = number
    torch.manual_seed(0)
    expected = 20 - torch.randint(20, (8,))
    ended = lengths > 0
    assert ended.sum() >= 4
    assert torch.equal(lengths[ended].long(), expected[ended])
    assert len(expected.unique()) > 4


def test_randomize_episode_steps_concerns_the_first_episodes_only(build):
    env = build("rslcore_tests/Count-v0", num_envs=1, vectorization="sync", kwargs={"max_episode_steps": 4})
    env.reset()
    env.randomize_episode_steps()
    truncated = [env.step(torch.zeros(1, 1, dtype=torch.int64)).truncated.item() for _ in range(12)]
    ends = [index for index, value in enumerate(truncated) if value]
    assert [later - earlier for earlier, later in itertools.pairwise(ends)] == [4, 4]


def test_randomize_episode_steps_without_a_limit_is_refused(build):
    env = build("rslcore_tests/Fails-v0", num_envs=2)
    with pytest.raises(ConfigError) as caught:
        env.randomize_episode_steps()
    assert str(caught.value) == (
        "runner.init_at_random_ep_len: 'rslcore_tests/Fails-v0' has no limit of steps to be random below"
    )


@pytest.mark.parametrize(("given", "limit"), [({}, 500), ({"max_episode_steps": 7}, 7)])
@pytest.mark.parametrize("vectorization", ["sync", "auto"])
def test_spec_has_the_limit_that_the_config_gives(build, vectorization, given, limit):
    env = build("CartPole-v1", num_envs=1, vectorization=vectorization, kwargs=given)
    assert env.spec.max_episode_length == limit


def test_spec_of_an_env_whose_limit_is_taken_away_has_none(build):
    env = build("Pendulum-v1", num_envs=1, kwargs={"max_episode_steps": -1})
    assert env.spec.max_episode_length is None


@pytest.mark.parametrize(
    ("mode", "num_envs", "reason"),
    [
        ("async", 4097, "each has a process of its own; give 4096 at most, or vectorization: sync"),
        (
            "sync",
            10_000_000,
            "they are stepped one after the other; give 16384 at most, or an env with a vectorised version",
        ),
    ],
)
def test_envs_made_one_by_one_beyond_what_a_machine_holds_are_refused(build, mode, num_envs, reason):
    message = f"env.num_envs: {num_envs} envs cannot be {mode}: {reason}"
    assert error_of(build, "Pendulum-v1", num_envs=num_envs, vectorization=mode) == message
