"""What an algorithm trains, stepped and saved as one."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from tensordict import TensorDict
from torch import nn

from rslcore.batch import Batch
from rslcore.errors import CheckpointError
from rslcore.extension import Extension
from rslcore.extension_list import ExtensionList
from rslcore.hooks import Hooks
from rslcore.learner import Learner
from rslcore.modules import ModuleTable
from rslcore.optim import make_optimizer

BATCH = Batch({}, TensorDict({}, batch_size=[1]), 1)


def down(loss, scale=1.0):
    """A function of a batch: a loss, and what extensions see of it."""
    return lambda batch: (loss(), {"scale": scale})


def squares(module):
    return module.weight.square().sum()


class Noted(Extension):
    """Has a loss of weight 3; notes the weight of the module and its gradient at each hook."""

    def __init__(self, module):
        super().__init__(None, None)
        self.module = module
        self.noted = []

    def losses(self, batch, outputs):
        return {"extra": (self.module.weight.sum() * outputs["scale"], 3.0)}

    def after_backward(self, batch, outputs):
        self.noted.append((self.module.weight.item(), self.module.weight.grad.item()))
        self.module.weight.grad.mul_(2.0)

    def after_minibatch(self, batch, outputs):
        self.noted.append((self.module.weight.item(), self.module.weight.grad.item()))

    def train_mode(self, mode):
        self.noted.append(mode)


@pytest.fixture
def build(monkeypatch):
    def make(optimizer="sgd"):
        module = nn.Linear(1, 1, bias=False)
        nn.init.constant_(module.weight, 1.0)
        extensions = ExtensionList((), None)
        extension = Noted(module)
        extensions.extensions.append(extension)
        extensions._names.append("noted")
        extensions.hooks = Hooks([extension], ["noted"], ["extension 'noted'"])
        modules = ModuleTable(torch.device("cpu"))
        modules.register("linear", module)
        built = make_optimizer(optimizer, modules, torch.tensor(0.1), None)
        return Learner(modules, built, extensions), extension, module

    return make


def test_minimize_goes_down_the_weighted_sum_and_calls_the_hooks_around_the_step(build):
    learner, extension, module = build()
    logged = learner.minimize(down(lambda: 5.0 * module.weight.sum(), scale=2.0), BATCH, ("surrogate",))
    # d loss / d weight = 5 + 3 * 2 = 11; an extension doubles it; sgd: 1 - 0.1 * 22.
    assert extension.noted == [(1.0, pytest.approx(11.0)), (pytest.approx(-1.2), pytest.approx(22.0))]
    assert {name: value.item() for name, value in logged.items()} == {"Loss/extra": 2.0}


def test_minimize_lets_no_extension_take_the_name_of_an_own_loss(build):
    learner, _, module = build()
    assert set(learner.minimize(down(module.weight.sum), BATCH, ("extra",))) == {"Loss/extra#2"}


def test_minimize_drops_the_gradients_of_the_step_before(build):
    learner, extension, module = build()
    for _ in range(2):
        learner.minimize(down(lambda: 0.0 * module.weight.sum()), BATCH)
    assert [gradient for _, gradient in extension.noted] == [3.0, 6.0, 3.0, 6.0]


def test_train_reaches_modules_and_extensions(build):
    learner, extension, module = build()
    learner.train(False)
    assert not module.training
    learner.train(True)
    assert module.training
    assert extension.noted == [False, True]


def test_load_state_dict_that_does_not_fit_loads_nothing(build):
    learner, _, module = build()
    other, _, trained = build("adam")
    other.minimize(down(trained.weight.sum), BATCH)
    with pytest.raises(CheckpointError, match="^the checkpoint was made with the optimizer 'adam', this run has 'sgd'"):
        learner.load_state_dict(other.state_dict())
    assert module.weight.item() == 1.0


def test_state_round_trip_goes_on_alike(build):
    (first, _, trained), (second, _, restored) = build("adam"), build("adam")
    first.minimize(down(trained.weight.sum), BATCH)
    second.load_state_dict(first.state_dict())
    for learner, module in ((first, trained), (second, restored)):
        learner.minimize(down(partial(squares, module), scale=-2.0), BATCH)
    assert torch.equal(trained.weight, restored.weight)
