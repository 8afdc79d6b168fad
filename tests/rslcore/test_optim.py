"""Our optimizers are torch's of the same name, without their host reads."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from rslcore.errors import CheckpointError
from rslcore.modules import ModuleTable
from rslcore.optim import OPTIMIZERS, Adam, AdamW, ParameterGroup, RmsProp, Sgd, make_optimizer

TORCHS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
}
NAMES = pytest.mark.parametrize("name", list(TORCHS))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 2))


def backward(network, step):
    torch.manual_seed(100 + step)
    network(torch.randn(16, 5)).square().mean().backward()


def test_optimizers_are_those_that_configs_name():
    assert set(OPTIMIZERS) == set(TORCHS)


@NAMES
@pytest.mark.parametrize("max_grad_norm", [None, 0.05])
def test_steps_equal_those_of_torch(network, name, max_grad_norm):
    theirs = copy.deepcopy(network)
    reference = TORCHS[name](theirs.parameters(), lr=3e-3)
    ours = OPTIMIZERS[name]([ParameterGroup(network.parameters(), torch.tensor(3e-3), max_grad_norm)])
    for step in range(20):
        ours.zero_grad()
        reference.zero_grad()
        backward(network, step)
        backward(theirs, step)
        if max_grad_norm is not None:
            nn.utils.clip_grad_norm_(theirs.parameters(), max_grad_norm)
        ours.step()
        reference.step()
    for parameter, expected in zip(network.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(parameter, expected, rtol=1e-5, atol=1e-7)


def step_once(name, gradient=2.0, rate=0.1):
    parameter = nn.Parameter(torch.tensor([1.0]))
    optimizer = OPTIMIZERS[name]([ParameterGroup([parameter], torch.tensor(rate), None)])
    (gradient * parameter).sum().backward()
    optimizer.step()
    return parameter.item()


def test_adam_first_step_by_hand():
    # g = 2: m = 0.2, v = 0.004; bias-corrected both are g and g^2, so the step is the learning rate.
    assert step_once("adam") == pytest.approx(0.9)


def test_adamw_first_step_by_hand():
    # Before Adam's step, the parameter loses 0.1 * 0.01 of itself.
    assert step_once("adamw") == pytest.approx(0.999 - 0.1)


def test_sgd_first_step_by_hand():
    assert step_once("sgd") == pytest.approx(1.0 - 0.1 * 2.0)


def test_rmsprop_first_step_by_hand():
    # v = 0.01 * 4, so g / sqrt(v) = 2 / 0.2.
    assert step_once("rmsprop", rate=0.01) == pytest.approx(1.0 - 0.01 * 10.0)


def test_step_clips_each_group_on_its_own():
    small, large = nn.Parameter(torch.tensor([0.0])), nn.Parameter(torch.tensor([0.0]))
    rate = torch.tensor(1.0)
    optimizer = Sgd([ParameterGroup([small], rate, 1.0), ParameterGroup([large], rate, 1.0)])
    (0.5 * small + 100.0 * large).sum().backward()
    optimizer.step()
    torch.testing.assert_close(torch.stack(optimizer.norms), torch.tensor([0.5, 100.0]))
    torch.testing.assert_close(torch.cat([small, large]), torch.tensor([-0.5, -1.0]))


@NAMES
def test_step_takes_groups_at_rates_of_their_own(name):
    def make():
        return [nn.Parameter(torch.tensor([1.0, -2.0])), nn.Parameter(torch.tensor([3.0]))]

    ours, theirs, rates = make(), make(), (0.1, 0.01)
    optimizer = OPTIMIZERS[name](
        [ParameterGroup([each], torch.tensor(rate), None) for each, rate in zip(ours, rates, strict=True)]
    )
    reference = TORCHS[name]([{"params": [each], "lr": rate} for each, rate in zip(theirs, rates, strict=True)], lr=1.0)
    for _ in range(3):
        for parameters, each in ((ours, optimizer), (theirs, reference)):
            each.zero_grad()
            sum(parameter.square().sum() for parameter in parameters).backward()
            each.step()
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("name", ["adam", "sgd", "rmsprop"])
def test_step_leaves_a_parameter_outside_the_loss(name):
    used, unused = nn.Parameter(torch.tensor([1.0])), nn.Parameter(torch.tensor([1.0]))
    optimizer = OPTIMIZERS[name]([ParameterGroup([used, unused], torch.tensor(0.1), None)])
    used.sum().backward()
    optimizer.step()
    assert unused.item() == 1.0
    assert used.item() < 1.0


@NAMES
def test_step_follows_a_learning_rate_tensor_that_groups_share(name):
    parameter, rate = nn.Parameter(torch.tensor([1.0])), torch.tensor(0.1)
    optimizer = OPTIMIZERS[name]([ParameterGroup([parameter], rate, None)])
    rate.zero_()
    parameter.sum().backward()
    optimizer.step()
    assert parameter.item() == 1.0


@NAMES
def test_step_reads_nothing_on_the_host(network, name, count_reads):
    optimizer = OPTIMIZERS[name]([ParameterGroup(network.parameters(), torch.tensor(3e-3), 1.0)])
    backward(network, 0)
    optimizer.step()
    assert count_reads(optimizer.step) == 0


@NAMES
def test_state_round_trip_goes_on_alike(network, name):
    ours = OPTIMIZERS[name]([ParameterGroup(network.parameters(), torch.tensor(3e-3), 1.0)])
    for step in range(3):
        ours.zero_grad()
        backward(network, step)
        ours.step()
    other = copy.deepcopy(network)
    restored = OPTIMIZERS[name]([ParameterGroup(other.parameters(), torch.tensor(3e-3), 1.0)])
    restored.load_state_dict(ours.state_dict())
    for module, optimizer in ((network, ours), (other, restored)):
        for step in range(3, 6):
            optimizer.zero_grad()
            backward(module, step)
            optimizer.step()
    for parameter, expected in zip(other.parameters(), network.parameters(), strict=True):
        assert torch.equal(parameter, expected)


@NAMES
def test_state_is_a_copy(network, name):
    optimizer = OPTIMIZERS[name]([ParameterGroup(network.parameters(), torch.tensor(3e-3), None)])
    backward(network, 0)
    optimizer.step()
    state = optimizer.state_dict()
    before = copy.deepcopy(state)
    optimizer.step()
    for group, expected in zip(state["groups"], before["groups"], strict=True):
        assert all(torch.equal(group[key], expected[key]) for key in expected)
    assert state["groups"][0]["steps"] == 1.0


@pytest.mark.parametrize(("made_with", "loaded_by"), [(Sgd, RmsProp), (RmsProp, Adam), (Adam, Sgd)])
def test_state_of_another_optimizer_is_refused(network, made_with, loaded_by):
    made, loading = (
        cls([ParameterGroup(network.parameters(), torch.tensor(0.1), None)]) for cls in (made_with, loaded_by)
    )
    message = (
        f"^the checkpoint was made with the optimizer '{made_with.name}', this run has '{loaded_by.name}'; "
        "go on with the same$"
    )
    with pytest.raises(CheckpointError, match=message):
        loading.load_state_dict(made.state_dict())


def test_state_of_other_groups_is_refused_and_nothing_is_loaded(network):
    rate = torch.tensor(0.1)
    made = Adam([ParameterGroup(layer.parameters(), rate, None) for layer in (network[0], network[2])])
    backward(network, 0)
    made.step()
    loading = Adam([ParameterGroup(layer.parameters(), rate, None) for layer in (network[2], network[0])])
    message = "^the checkpoint was made with the parameters in other groups; let networks share what they shared then$"
    with pytest.raises(CheckpointError, match=message):
        loading.load_state_dict(made.state_dict())
    assert loading.steps == 0.0


def test_make_optimizer_steps_modules_at_their_rates_unless_they_have_their_own(network):
    modules, rate = ModuleTable(torch.device("cpu")), torch.tensor(0.1)
    modules.register("follows", network, groups={"a": network[0].parameters(), "b": network[2].parameters()})
    modules.register("fixed", nn.Linear(1, 1), learning_rate=0.05)
    own = nn.Linear(1, 1)
    modules.register("own", own, optimizer=torch.optim.SGD(own.parameters(), lr=0.1))
    optimizer = make_optimizer("rmsprop", modules, rate, 2.0)
    assert type(optimizer) is RmsProp
    assert [len(group.parameters) for group in optimizer.groups] == [2, 2, 2]
    assert optimizer.groups[0].learning_rate is optimizer.groups[1].learning_rate is rate
    assert optimizer.groups[2].learning_rate.item() == pytest.approx(0.05)
    assert [group.max_grad_norm for group in optimizer.groups] == [2.0] * 3


def test_adamw_leaves_what_took_no_part_in_the_loss():
    # By hand, as torch's: 1 - 0.1 * 0.01 * 1 - 0.1 for the one, nothing for the other.
    used, unused = nn.Parameter(torch.tensor([1.0])), nn.Parameter(torch.tensor([1.0]))
    adamw = AdamW([ParameterGroup([used, unused], torch.tensor(0.1), None)])
    (2.0 * used).sum().backward()
    adamw.step()
    torch.testing.assert_close(used.data, torch.tensor([0.899]))
    assert unused.item() == 1.0
