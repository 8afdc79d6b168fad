"""Numbers that go wrong in an update, in whole runs."""

from __future__ import annotations

import logging
import math

import pytest
import torch

from rslcore.config import ExtensionComponent, config, evolve
from rslcore.errors import RunError
from rslcore.extension import Extension
from rslcore.registry import Entry, PluginRow, Registry, Source
from rslcore.run.folder import RunFolder
from rslcore.run.incident import Incidents
from rslcore.training import train
from rslcore.watch import update as update_module
from rslcore.watch.update import UpdateWatch

SOURCE = Source("tests", "rslcore-tests", "1.0", __name__)
LEARNING = ("algorithm.num_mini_batches=2", "algorithm.num_learning_epochs=2", "runner.save_interval=1")
"""Four minibatches an iteration."""

GRADIENT = "the gradient of module 'policy' ('critic') is not finite"


@config
class NoOptions:
    """Of the extension."""


class Saboteur(Extension):
    """Breaks the policy in the minibatches that a test names, counted from 1 over the whole run."""

    gradients = ()
    parameters = ()
    mask = (0.0,)

    def bind(self, bindings):
        self.policy = bindings.policy
        self.policy.register_buffer("mask", torch.tensor(self.mask))
        self.minibatch = 0

    def after_backward(self, batch, outputs):
        self.minibatch += 1
        if self.minibatch in self.gradients:
            next(self.policy.critic.parameters()).grad[0, 0] = math.nan

    def after_minibatch(self, batch, outputs):
        if self.minibatch in self.parameters:
            with torch.no_grad():
                next(self.policy.critic.parameters())[0, 1] = math.inf


@pytest.fixture
def sabotaged(small_config, tmp_path, monkeypatch):
    """Train with the extension, which breaks gradients and parameters in these minibatches."""

    def run(*overrides, gradients=(), parameters=(), mask=(0.0,)):
        monkeypatch.setattr(Saboteur, "mask", mask)
        monkeypatch.setattr(Saboteur, "gradients", gradients)
        monkeypatch.setattr(Saboteur, "parameters", parameters)
        found = Registry.discover()
        entry = Entry("extension", "saboteur", f"{__name__}:Saboteur", f"{__name__}:NoOptions", "", SOURCE)
        registry = Registry([*found.plugins, PluginRow(SOURCE, "ok", "", (entry,))], found.manager)
        run_config = small_config(*LEARNING, *overrides, recipe="pendulum")
        component = ExtensionComponent("saboteur", NoOptions())
        algorithm = evolve(run_config.algorithm.config, extensions=(component,))
        run_config = evolve(run_config, algorithm=evolve(run_config.algorithm, config=algorithm))
        return train(run_config, log_root=tmp_path, quiet=True, registry=registry)

    return run


def end_of(folder, iteration):
    """How the message of a run ends."""
    (path,) = folder.rglob("bad_numbers_*.pt")
    assert path.name == f"bad_numbers_{iteration}.pt"
    checkpoints = sorted(folder.rglob("model_*.pt"))
    advice = f"the last checkpoint is {checkpoints[-1]}" if checkpoints else "there is no checkpoint yet"
    return f"; the run ends here, {advice}; what was collected is in {path}"


def test_a_gradient_that_is_not_finite_ends_the_run(sabotaged, tmp_path):
    with pytest.raises(RunError) as caught:
        sabotaged(gradients=(8,))
    assert [path.name for path in tmp_path.rglob("model_*.pt")] == ["model_1.pt"]
    assert str(caught.value) == (
        f"iteration 2: {GRADIENT} in minibatch 4 of 4, though its loss is{end_of(tmp_path, 2)}"
    )


def test_a_gradient_comes_before_the_losses_that_caught_it(sabotaged, tmp_path):
    with pytest.raises(RunError) as caught:
        sabotaged(gradients=(2,))
    assert str(caught.value) == (
        f"iteration 1: {GRADIENT} in minibatch 2 of 4, though its loss is, then Loss/value is nan{end_of(tmp_path, 1)}"
    )


def test_a_parameter_that_is_not_finite_ends_the_run_and_is_in_no_checkpoint(sabotaged, tmp_path):
    with pytest.raises(RunError) as caught:
        sabotaged(parameters=(8,))
    assert [path.name for path in tmp_path.rglob("model_*.pt")] == ["model_1.pt"]
    assert str(caught.value) == (
        f"iteration 2: parameter 'critic.layers.0.weight' of module 'policy' is not finite{end_of(tmp_path, 2)}"
    )


def test_what_is_saved_of_an_update_are_the_steps_and_the_columns_of_the_rollout(sabotaged, tmp_path):
    with pytest.raises(RunError):
        sabotaged(parameters=(4,))
    (path,) = tmp_path.rglob("bad_numbers_1.pt")
    saved = torch.load(path, weights_only=True)
    assert saved["envs"].tolist() == [0, 1, 2, 3]
    assert saved["obs"]["policy"].shape == (9, 4, 3)
    assert saved["columns"]["advantages"].shape == (32,)
    assert saved["columns"]["obs/policy"].shape == (32, 3)


def test_the_columns_that_are_saved_have_a_limit(sabotaged, tmp_path, monkeypatch):
    # Of a row: 3 numbers of observations, action, mean, std, reward, value, log_prob, return, advantage; two flags.
    monkeypatch.setattr("rslcore.watch.evidence.LIMIT", 3 * 4 * (11 * 4 + 2))
    with pytest.raises(RunError):
        sabotaged(parameters=(4,))
    (path,) = tmp_path.rglob("bad_numbers_1.pt")
    assert torch.load(path, weights_only=True)["columns"]["rewards"].shape == (12,)


def test_a_policy_that_has_stopped_exploring_ends_the_run(small_config, tmp_path):
    distribution = "{name: gaussian, init_std: 5e-6, learn_std: false}"
    overrides = (f"policy.actor.distribution={distribution}", "algorithm.learning_rate=1e-12")
    with pytest.raises(RunError) as caught:
        train(small_config(*LEARNING, *overrides, recipe="pendulum"), log_root=tmp_path, quiet=True)
    assert str(caught.value) == (
        f"iteration 1: Policy/min_std is 5e-06, the policy has stopped exploring{end_of(tmp_path, 1)}"
    )


def test_one_action_that_is_no_longer_explored_ends_the_run(tmp_path):
    incidents = Incidents()
    incidents.folder = RunFolder(tmp_path)
    watch = UpdateWatch(object(), incidents, stops=True)
    assert watch.judge(1, [{"Policy/mean_std": 0.5, "Policy/min_std": 2e-5}], dict) == {
        "Policy/mean_std": 0.5,
        "Policy/min_std": 2e-5,
    }
    with pytest.raises(RunError) as caught:
        watch.judge(2, [{"Policy/mean_std": 0.5, "Policy/min_std": 1e-6}], dict)
    assert str(caught.value) == (
        f"iteration 2: Policy/min_std is 1e-06, the policy has stopped exploring{end_of(tmp_path, 2)}"
    )


def test_a_buffer_that_is_infinite_to_begin_with_is_left_alone(sabotaged):
    assert sabotaged(mask=(-math.inf, 0.0), parameters=()).iteration == 2


def test_a_buffer_that_becomes_infinite_ends_the_run(sabotaged, tmp_path, monkeypatch):
    monkeypatch.setattr(Saboteur, "after_minibatch", lambda saboteur, *_: saboteur.policy.mask.fill_(math.inf))
    with pytest.raises(RunError) as caught:
        sabotaged()
    assert str(caught.value) == f"iteration 1: buffer 'mask' of module 'policy' is not finite{end_of(tmp_path, 1)}"


# Going on


def test_a_run_that_skips_leaves_such_steps_out(sabotaged, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        result = sabotaged("on_bad_numbers=skip", "iterations=3", gradients=(3, 9, 10))
    assert result.metrics["Watch/skipped_steps"] == 2.0
    assert all(map(math.isfinite, result.metrics.values()))
    (path,) = tmp_path.rglob("bad_numbers_1.pt")
    (warning,) = [record.getMessage() for record in caplog.records if record.name == "rslcore.run.incident"]
    assert warning == (
        f"iteration 1: {GRADIENT} in minibatch 3 of 4, though its loss is; "
        f"the run goes on without such optimizer steps (this is said once); what was collected is in {path}"
    )


def test_a_run_that_skips_ends_at_a_bad_parameter_all_the_same(sabotaged, tmp_path):
    with pytest.raises(RunError) as caught:
        sabotaged("on_bad_numbers=skip", parameters=(4,))
    assert str(caught.value) == (
        f"iteration 1: parameter 'critic.layers.0.weight' of module 'policy' is not finite{end_of(tmp_path, 1)}"
    )


def test_a_run_that_skips_ends_if_no_step_can_be_taken(sabotaged, tmp_path, monkeypatch):
    monkeypatch.setattr(update_module, "PATIENCE", 2)
    with pytest.raises(RunError) as caught:
        sabotaged("on_bad_numbers=skip", "iterations=5", gradients=range(5, 100))
    assert str(caught.value).startswith(
        f"iteration 3: {GRADIENT} in minibatch 1 of 4, though its loss is, "
        "then no optimizer step of 2 iterations could be taken; the run ends here, the last checkpoint is "
    )


def test_more_minibatches_than_are_kept_are_counted_all_the_same(sabotaged, caplog, monkeypatch):
    monkeypatch.setattr(update_module, "PATIENCE", 1)
    overrides = ("on_bad_numbers=skip", "iterations=1", "algorithm.num_learning_epochs=501")
    with caplog.at_level(logging.WARNING):
        result = sabotaged(*overrides, gradients=range(3, 1003))
    assert result.metrics["Watch/skipped_steps"] == 1000.0  # of 1002
    assert f"{GRADIENT} in minibatch 3 of 1002, though its loss is" in caplog.text
