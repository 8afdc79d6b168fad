"""What an extension may get wrong, and what is said of it."""

from __future__ import annotations

import re

import pytest
import torch

from rslcore.config import ExtensionComponent, config, evolve
from rslcore.errors import ExtensionError, PluginFaultError, RunError
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


class OtherGroup(Forgotten):
    """Adds a group of another shape than it declares."""

    def before_act(self, obs):
        added = obs.clone(recurse=False)
        added["clock"] = torch.zeros(len(obs), 2)
        return added


class Undeclaring(Extension):
    """Adds a group that it does not declare."""

    def before_act(self, obs):
        added = obs.clone(recurse=False)
        added["clock"] = torch.zeros(len(obs), 1)
        return added


class Fractions(Extension):
    """Writes numbers to a column of flags."""

    def fields(self):
        return {"flag": TensorSpec((), "bool")}

    def bind(self, bindings):
        self.storage = bindings.storage

    def after_step(self, transition):
        self.storage.write("flag", torch.full((4,), 0.4))


class WideRewards(Extension):
    """Returns rewards `[N, 1]`."""

    def shape_reward(self, transition, rewards):
        return rewards.unsqueeze(1)


class NoLosses(Extension):
    """Forgets to return."""

    def losses(self, batch, outputs):
        pass


class WideMetric(Extension):
    """Has a metric that is no scalar."""

    def metrics(self):
        return {"Probe/wide": torch.zeros(3)}


class NoObservations(Extension):
    """Forgets to return."""

    def before_act(self, obs):
        pass


class Raises(Extension):
    """Has a bug."""

    def after_step(self, transition):
        raise KeyError("speed")


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
        (Shapes, "extension 'shapes' in `after_step`: column 'speed' has rows of shape [4, 3], not [4, 1]"),
        (
            Undeclared,
            "extension 'undeclared' in `after_step`: the storage has no column 'sped', which `fields` must declare; "
            "did you mean 'speed'?",
        ),
        (Forgotten, "extension 'forgotten' declares the observation group 'clock' and does not add it"),
        (
            Undeclaring,
            "`before_act` adds the observation groups 'clock', which no extension declares in `observation_groups`",
        ),
        (
            OtherGroup,
            "extension 'other_group' declares the observation group 'clock' with rows of shape [1], and adds [2]",
        ),
        (
            Fractions,
            "extension 'fractions' in `after_step`: column 'flag' holds bool, to which float32 cannot be written",
        ),
        (
            WideRewards,
            "extension 'wide_rewards' in `shape_reward`: it returned a tensor of shape [4, 1]; "
            "return rewards of shape [4]",
        ),
        (NoLosses, "extension 'no_losses' in `losses`: it returned None; return a dict, empty for nothing"),
        (
            WideMetric,
            "extension 'wide_metric' in `metrics`: the metric 'Probe/wide' is a tensor of shape [3]; "
            "a metric is a scalar: take its mean",
        ),
        (
            NoObservations,
            "extension 'no_observations' in `before_act`: it returned None; return a TensorDict of 4 rows",
        ),
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
            "the loss 'probe' has shape [2]; a loss is a scalar: take its mean",
        ),
        (
            torch.zeros(()),
            "the loss 'probe' is a tensor of shape []; return a pair of a scalar tensor and a weight",
        ),
        (
            (0.5, 1.0),
            "the loss 'probe' is a pair that begins with a float; give a scalar tensor",
        ),
        (
            (torch.zeros(()), float("nan")),
            "the loss 'probe' has the weight nan; a weight is a finite number",
        ),
        (
            (torch.zeros(()), "big"),
            "the loss 'probe' has the weight 'big'; a weight is a finite number",
        ),
    ],
)
def test_losses_that_are_no_scalars_are_refused(train_with, monkeypatch, loss, message):
    monkeypatch.setattr(Probe, "losses", lambda self, batch, outputs: {"probe": loss})
    with pytest.raises(ExtensionError, match=f"^extension 'probe' in `losses`: {re.escape(message)}$"):
        train_with(Probe)


def test_losses_that_are_not_finite_end_the_run_and_leave_the_last_checkpoint(train_with, monkeypatch, tmp_path):
    values = iter([1.0] * 40 + [float("nan")] * 40)
    monkeypatch.setattr(Probe, "losses", lambda self, batch, outputs: {"probe": (torch.tensor(next(values)), 0.0)})
    with pytest.raises(RunError) as caught:
        train_with(Probe)
    (path,) = tmp_path.rglob("model_*.pt")
    (saved,) = tmp_path.rglob("bad_numbers_*.pt")
    assert (path.name, saved.name) == ("model_1.pt", "bad_numbers_2.pt")
    assert str(caught.value) == (
        "iteration 2: Loss/probe is nan (a loss of extension 'probe'); the run ends here, "
        f"the last checkpoint is {path}; what was collected is in {saved}"
    )


def test_losses_that_are_infinite_at_once_end_the_run_without_a_checkpoint(train_with, monkeypatch, tmp_path):
    loss = torch.tensor(float("inf"))
    monkeypatch.setattr(Probe, "losses", lambda self, batch, outputs: {"probe": (loss, 0.0)})
    message = r"^iteration 1: Loss/probe is inf \(a loss of extension 'probe'\); .*, there is no checkpoint yet; what "
    with pytest.raises(RunError, match=message):
        train_with(Probe)
    assert not list(tmp_path.rglob("model_*.pt"))


def test_extensions_that_raise_are_named_with_their_distribution(train_with):
    message = "^extension 'raises' of rslcore-tests 1.0 failed in `after_step`: KeyError: 'speed'$"
    with pytest.raises(PluginFaultError, match=message) as caught:
        train_with(Raises)
    assert isinstance(caught.value.__cause__, KeyError)


def test_losses_that_catch_it_from_shaped_rewards_say_so(train_with, monkeypatch):
    monkeypatch.setattr(Probe, "losses", Extension.losses)
    monkeypatch.setattr(Probe, "shape_reward", lambda self, transition, rewards: rewards * float("nan"))
    message = "^iteration 1: the rewards that extensions have shaped are not finite, then Loss/surrogate is nan, "
    with pytest.raises(RunError, match=message):
        train_with(Probe)
