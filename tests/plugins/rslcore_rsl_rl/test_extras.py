"""Logs and final observations in the extras of a step."""

from __future__ import annotations

from types import SimpleNamespace

import numpy
import pytest
import torch
from adapting import Minimal, adapt, make, short, still
from tensordict import TensorDict

from rslcore.errors import EnvError


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
