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


def down(loss, scale=1.0, name="own"):
    """A function of a batch: a loss, what is logged, and what extensions see of it."""
    return lambda batch: (loss(), {f"Loss/{name}": torch.tensor(7.0)}, {"scale": scale})


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
    logged = learner.minimize(down(lambda: 5.0 * module.weight.sum(), scale=2.0), BATCH)
    # d loss / d weight = 5 + 3 * 2 = 11; an extension doubles it; sgd: 1 - 0.1 * 22.
    assert extension.noted == [(1.0, pytest.approx(11.0)), (pytest.approx(-1.2), pytest.approx(22.0))]
    assert {name: value.item() for name, value in logged.items()} == {"Loss/own": 7.0, "Loss/extra": 2.0}


def test_minimize_lets_no_extension_take_the_name_of_an_own_loss(build):
    learner, _, module = build()
    logged = learner.minimize(
        lambda batch: (module.weight.sum(), {"Loss/extra": torch.tensor(1.0)}, {"scale": 1.0}), BATCH
    )
    assert set(logged) == {"Loss/extra", "Loss/extra#2"}


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


class RowMean(Extension):
    """Pulls the outputs for each row to 1; a mean over rows."""

    is_row_wise = True

    def __init__(self, module):
        super().__init__(None, None)
        self.module = module
        self.sizes = []
        self.told = []

    def losses(self, batch, outputs):
        self.sizes.append(len(batch))
        return {"pull": ((outputs["out"] - 1.0).square().mean(), 0.5)}

    def after_backward(self, batch, outputs):
        self.told.append((len(batch), outputs.keys()))


class Whole(RowMean):
    """The same, which says nothing of rows."""

    is_row_wise = False


@pytest.fixture
def learn():
    """One step on 50 rows; the learner, the extension and what was logged."""

    def run(extension_class=RowMean, **options):
        torch.manual_seed(0)
        module = nn.Linear(3, 1)
        extensions = ExtensionList((), None)
        extension = extension_class(module)
        extensions.extensions.append(extension)
        extensions.hooks = Hooks([extension], ["pull"], ["extension 'pull'"])
        modules = ModuleTable(torch.device("cpu"))
        modules.register("linear", module)
        learner = Learner(modules, make_optimizer("sgd", modules, torch.tensor(0.1), 0.5), extensions, **options)
        rows = torch.randn(50, 3)
        batch = Batch({"targets": rows.sum(1)}, TensorDict({"policy": rows}, batch_size=[50]), 50)

        def loss(batch):
            out = module(batch.obs["policy"]).squeeze(1)
            own = (out - batch["targets"]).square().mean()
            return own, {"Loss/own": own}, {"out": out}

        before = []
        logged = learner.minimize(loss, batch, lambda logged: before.append((dict(logged), module.weight.clone())))
        return learner, extension, logged, before

    return run


def test_minimize_makes_the_same_step_of_micro_batches(learn):
    whole, _, expected, _ = learn()
    parts, extension, logged, before = learn(micro_batch_size=16)
    assert extension.sizes == [16, 16, 16, 2]
    assert extension.told == [(50, {}.keys())]
    assert logged.keys() == expected.keys() == {"Loss/own", "Loss/pull"}
    torch.testing.assert_close(logged, expected)
    torch.testing.assert_close(before[0][0], expected)
    torch.testing.assert_close(parts.minibatches[0].loss, whole.minibatches[0].loss)
    torch.testing.assert_close(parts.modules.state_dict(), whole.modules.state_dict())


def test_minimize_gives_whole_minibatches_to_extensions_that_want_them(learn):
    _, extension, _, _ = learn(Whole, micro_batch_size=16)
    assert extension.sizes == [50]
    assert extension.told == [(50, {"out": None}.keys())]


def test_minimize_asks_before_the_step(learn):
    learner, _, _, before = learn()
    ((_, weight),) = before
    assert not torch.equal(weight, next(iter(learner.modules)).module.weight)
