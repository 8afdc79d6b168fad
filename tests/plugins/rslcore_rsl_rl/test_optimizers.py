"""Moments of torch's optimizers and of ours: each goes on with those of the other."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from rslcore.optim import OPTIMIZERS, ParameterGroup
from rslcore_rsl_rl.optimizers import TorchMoments, read_torch_state, to_flat, to_torch_state

NAMES = ["actor.a", "actor.b", "critic.c"]
THEIRS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "rmsprop": torch.optim.RMSprop, "sgd": torch.optim.SGD}
RATE = 0.05


@pytest.fixture
def parameters():
    torch.manual_seed(1)
    return [nn.Parameter(torch.randn(shape)) for shape in ((3, 2), (3,), (2,))]


def groups_of(parameters):
    """Actor, in another order than rsl_rl's, and critic."""
    a, b, c = (parameter.shape for parameter in parameters)
    return [{"actor.b": b, "actor.a": a}, {"critic.c": c}]


def make_ours(name, parameters):
    a, b, c = parameters
    rate = torch.tensor(RATE)
    return OPTIMIZERS[name]([ParameterGroup([b, a], rate, None, "actor"), ParameterGroup([c], rate, None, "critic")])


def step(optimizer, parameters, number):
    generator = torch.Generator().manual_seed(number)
    for parameter in parameters:
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    optimizer.step()


@pytest.mark.parametrize("name", THEIRS)
def test_ours_goes_on_with_theirs(parameters, name):
    theirs = THEIRS[name](parameters, lr=RATE)
    for number in range(3):
        step(theirs, parameters, number)
    twins = copy.deepcopy(parameters)
    ours = make_ours(name, twins)
    state, fault = to_flat(read_torch_state(theirs.state_dict(), NAMES), ours.state_dict(), groups_of(parameters))
    assert fault == ""
    ours.load_state_dict(state)
    for number in range(3, 6):
        step(theirs, parameters, number)
        step(ours, twins, number)
    torch.testing.assert_close(twins, parameters, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", THEIRS)
def test_theirs_goes_on_with_ours(parameters, name):
    ours = make_ours(name, parameters)
    for number in range(3):
        step(ours, parameters, number)
    twins = copy.deepcopy(parameters)
    theirs = THEIRS[name](twins, lr=1.0)
    theirs.load_state_dict(to_torch_state(ours.state_dict(), NAMES, groups_of(parameters), RATE))
    for number in range(3, 6):
        step(ours, parameters, number)
        step(theirs, twins, number)
    torch.testing.assert_close(twins, parameters, rtol=1e-6, atol=1e-6)


def test_parameter_that_was_given_twice_and_one_that_is_never_stepped(parameters):
    ours = make_ours("adam", parameters)
    step(ours, parameters, 0)
    names = ["actor.std", "actor.a", "actor.b", "actor.a", "critic.c"]
    state = to_torch_state(ours.state_dict(), names, groups_of(parameters), RATE)
    assert state["param_groups"][0]["params"] == [0, 1, 2, 1, 4]
    assert sorted(state["state"]) == [1, 2, 4]
    back, fault = to_flat(
        read_torch_state(state, names), make_ours("adam", parameters).state_dict(), groups_of(parameters)
    )
    assert fault == ""
    torch.testing.assert_close(back["groups"], ours.state_dict()["groups"])


def test_steps_are_those_of_parameters_that_stepped_once(parameters):
    theirs = torch.optim.Adam(parameters, lr=RATE)
    step(theirs, parameters, 0)
    state = theirs.state_dict()
    state["state"][0]["step"] = torch.tensor(2.0)
    flat, _ = to_flat(read_torch_state(state, NAMES), make_ours("adam", parameters).state_dict(), groups_of(parameters))
    assert [group["steps"].item() for group in flat["groups"]] == [1.0, 1.0]


def test_state_before_the_first_step(parameters):
    fresh = make_ours("adam", parameters).state_dict()
    theirs = torch.optim.Adam(parameters, lr=RATE).state_dict()
    flat, fault = to_flat(read_torch_state(theirs, NAMES), fresh, groups_of(parameters))
    assert fault == ""
    torch.testing.assert_close(flat["groups"], fresh["groups"])
    assert to_torch_state(fresh, NAMES, groups_of(parameters), RATE)["state"] == {}


def test_groups_of_extensions_keep_their_moments(parameters):
    extra = nn.Parameter(torch.zeros(4))
    rate = torch.tensor(RATE)
    ours = OPTIMIZERS["adam"]([ParameterGroup(each, rate, None) for each in ([*parameters], [extra])])
    theirs = torch.optim.Adam(parameters, lr=RATE)
    step(theirs, parameters, 0)
    group = {name: parameter.shape for name, parameter in zip(NAMES, parameters, strict=True)}
    flat, fault = to_flat(read_torch_state(theirs.state_dict(), NAMES), ours.state_dict(), [group])
    assert fault == ""
    assert flat["groups"][0]["mean"].any()
    assert not flat["groups"][1]["mean"].any()
    assert flat["groups"][1]["steps"] == 1.0  # all groups of an optimizer have stepped as often


@pytest.mark.parametrize(
    "state", [None, {}, {"state": {}, "param_groups": []}, {"state": 3, "param_groups": [{"lr": 1, "params": []}]}]
)
def test_what_is_no_state_of_an_optimizer(state):
    assert read_torch_state(state, NAMES) == TorchMoments({}, None, "it is no state of an optimizer of torch")


def test_state_of_other_parameters(parameters):
    theirs = torch.optim.Adam(parameters, lr=RATE)
    step(theirs, parameters, 0)
    ours = make_ours("adam", parameters).state_dict()
    found = read_torch_state(theirs.state_dict(), NAMES[:2])
    assert (found.learning_rate, found.fault) == (RATE, "it has 3 parameters, the models beside it have 2")
    assert to_flat(found, ours, groups_of(parameters)) == (ours, found.fault)


def test_state_of_another_optimizer(parameters):
    theirs = torch.optim.RMSprop(parameters, lr=RATE)
    step(theirs, parameters, 0)
    ours = make_ours("adam", parameters).state_dict()
    _, fault = to_flat(read_torch_state(theirs.state_dict(), NAMES), ours, groups_of(parameters))
    assert fault == "'adam' needs 'exp_avg', 'exp_avg_sq', and it keeps 'square_avg': it is of another optimizer"


def test_moments_of_another_shape(parameters):
    theirs = torch.optim.Adam(parameters, lr=RATE)
    step(theirs, parameters, 0)
    state = theirs.state_dict()
    state["state"][2]["exp_avg"] = torch.zeros(7)
    ours = make_ours("adam", parameters).state_dict()
    _, fault = to_flat(read_torch_state(state, NAMES), ours, groups_of(parameters))
    assert fault == "'exp_avg' of critic.c has another shape than the parameter"
