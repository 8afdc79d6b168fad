"""What an extension may get wrong, and what is said of it."""

from __future__ import annotations

import re

import pytest
import torch

from rslcore.config import ExtensionComponent, config, evolve
from rslcore.errors import ExtensionError, RunError
from rslcore.extension import Extension
from rslcore.registry import Entry, PluginRow, Registry, Source
from rslcore.specs import TensorSpec
from rslcore.training import train

SOURCE = Source("tests", "rslcore-tests", "1.0", __name__)


@config
class NoOptions:
    """Of the extensions."""


class Probe(Extension):
    """Has the losses that a test gives it."""

    def losses(self, batch, outputs):
        raise NotImplementedError


class Misspelled(Extension):
    """Means `after_rollout`."""

    def after_rolout(self, storage):
        pass


class OtherArguments(Extension):
    """Takes no outputs."""

    def losses(self, batch):
        return {}


class Shapes(Extension):
    """Writes rows of a shape that changes."""

    def fields(self):
        return {"speed": TensorSpec((3,))}

    def bind(self, bindings):
        self.storage = bindings.storage
        self.steps = 0

    def after_step(self, transition):
        self.steps += 1
        self.storage.write("speed", torch.zeros(4, 3 if self.steps < 3 else 1))


class Undeclared(Shapes):
    """Writes a column that it has not declared."""

    def after_step(self, transition):
        self.storage.write("sped", torch.zeros(4, 3))


class Forgotten(Extension):
    """Declares a group and does not add it."""

    def observation_groups(self):
        return {"clock": TensorSpec((1,))}


@pytest.fixture
def train_with(small_config, tmp_path):
    def run(extension):
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", extension.__name__).lower()
        target = f"{__name__}:{extension.__name__}"
        entry = Entry("extension", name, target, f"{__name__}:NoOptions", "", SOURCE)
        base = Registry.discover()
        registry = Registry([*base.plugins, PluginRow(SOURCE, "ok", "", (entry,))], base.manager)
        whole = small_config("runner.save_interval=1")
        components = (ExtensionComponent(name, NoOptions()),)
        algorithm = evolve(whole.algorithm, config=evolve(whole.algorithm.config, extensions=components))
        return train(evolve(whole, algorithm=algorithm), log_root=tmp_path, quiet=True, registry=registry)

    return run


@pytest.mark.parametrize(
    ("extension", "message"),
    [
        (
            Misspelled,
            "extension 'misspelled' has a method `after_rolout`, which no algorithm calls; did you mean "
            "`after_rollout`? If it is the extension's own, call it `_after_rolout`",
        ),
        (
            OtherArguments,
            "the hook `losses` of extension 'other_arguments' takes (self, batch); it is called with "
            "(self, batch, outputs)",
        ),
        (Shapes, "column 'speed' has rows of shape [4, 3], not [4, 1]"),
        (Undeclared, "the storage has no column 'sped', which `fields` must declare; did you mean 'speed'?"),
        (Forgotten, "there is no observation group 'clock' though an extension or the env declares it"),
    ],
)
def test_extensions_that_break_the_contract_are_refused(train_with, tmp_path, extension, message):
    with pytest.raises(ExtensionError, match=f"^{re.escape(message)}$"):
        train_with(extension)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (
            (torch.zeros(2), 1.0),
            "the loss 'probe' of extension 'probe' has shape [2]; a loss is a scalar: take its mean",
        ),
        (
            torch.zeros(()),
            "the loss 'probe' of extension 'probe' is a tensor of shape []; return a pair of a scalar tensor and a "
            "weight",
        ),
        (
            (0.5, 1.0),
            "the loss 'probe' of extension 'probe' is a tuple; return a pair of a scalar tensor and a weight",
        ),
    ],
)
def test_losses_that_are_no_scalars_are_refused(train_with, monkeypatch, loss, message):
    monkeypatch.setattr(Probe, "losses", lambda self, batch, outputs: {"probe": loss})
    with pytest.raises(ExtensionError, match=f"^{re.escape(message)}$"):
        train_with(Probe)


def test_losses_that_are_not_finite_end_the_run_and_leave_the_last_checkpoint(train_with, monkeypatch, tmp_path):
    values = iter([1.0] * 40 + [float("nan")] * 40)
    monkeypatch.setattr(Probe, "losses", lambda self, batch, outputs: {"probe": (torch.tensor(next(values)), 0.0)})
    with pytest.raises(RunError) as caught:
        train_with(Probe)
    (path,) = tmp_path.rglob("model_*.pt")
    assert path.name == "model_1.pt"
    assert str(caught.value) == (
        "iteration 2: Loss/probe is nan (a loss of extension 'probe'); the run ends here, "
        f"the last checkpoint is {path}"
    )


def test_losses_that_are_infinite_at_once_end_the_run_without_a_checkpoint(train_with, monkeypatch, tmp_path):
    loss = torch.tensor(float("inf"))
    monkeypatch.setattr(Probe, "losses", lambda self, batch, outputs: {"probe": (loss, 0.0)})
    message = r"^iteration 1: Loss/probe is inf \(a loss of extension 'probe'\); .*, there is no checkpoint yet$"
    with pytest.raises(RunError, match=message):
        train_with(Probe)
    assert not list(tmp_path.rglob("model_*.pt"))
