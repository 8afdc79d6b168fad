"""Adversarial motion priors at the hooks: reward, losses, statistics."""

from __future__ import annotations

import pytest
import torch
from tensordict import TensorDict

from rslcore import Batch, Bindings, Transition
from rslcore.config import ExtensionComponent
from rslcore.context import Context
from rslcore.errors import ConfigError, ExtensionError
from rslcore.modules import ModuleTable
from rslcore.protocols import EnvStep
from rslcore.registry import default_registry
from rslcore.specs import ActionSpec, EnvSpec, TensorSpec

GROUPS = {"policy": TensorSpec((2,)), "height": TensorSpec((1,)), "image": TensorSpec((1, 4, 4), "uint8")}
SCALE = 1.01
"""What a normalizer divides by before it has seen anything."""


@pytest.fixture
def context(small_config):
    spec = EnvSpec(2, GROUPS, ActionSpec(1, num_choices=(2,)))
    return Context(default_registry(), small_config(), torch.device("cpu"), 1, 8, spec=spec)


@pytest.fixture
def build(context, write_motions):
    """An `amp` that sees the height alone; its discriminator is `2 * before - after`, of normalized numbers.

    Without an env, motions are not read; a test gives them as pairs.
    """

    def make(*, name="amp", **options):
        options = {"motions": write_motions(), "groups": ("height",), "hidden_dims": (), **options}
        config = default_registry().config_class("extension", "amp")(**options)
        extension = context.build(ExtensionComponent("amp", config), "algorithm.extensions[0]")
        extension.bind(Bindings(None, ModuleTable(context.device), None, {}, name))
        (layer,) = extension.discriminator.network
        if layer.weight.shape == (1, 2):
            with torch.no_grad():
                layer.weight.copy_(torch.tensor([[2.0, -1.0]]))
                layer.bias.zero_()
        extension.reference = pairs((10.0, 30.0), (10.0, 30.0))
        return extension

    return make


def pairs(*rows):
    return torch.tensor(rows).unsqueeze(-1)


def observe(heights):
    return TensorDict({"height": SCALE * torch.tensor(heights).unsqueeze(1)}, batch_size=[len(heights)])


def transition(before, after, *, done=(False, False), final=None, valid=None):
    """Two envs whose heights, normalized, go from `before` to `after`; rewards are 1 and 10."""
    step = EnvStep(
        observe(after),
        torch.tensor([1.0, 10.0]),
        torch.tensor(done),
        torch.zeros(2, dtype=torch.bool),
        final_obs=None if final is None else observe(final),
        valid=None if valid is None else torch.tensor(valid),
    )
    return Transition(observe(before), torch.zeros(2, 1), step)


def shape(extension, *args, **options):
    made = transition(*args, **options)
    return extension.shape_reward(made, made.step.rewards)


def held(extension):
    """The pairs of the replay buffer, as they were before `observe`."""
    return (extension.replay.state_dict()["rows"].squeeze(-1) / SCALE).round(decimals=4).tolist()


def test_shape_reward_mixes_task_and_style(build):
    extension = build(task_reward_weight=0.25, style_reward_weight=2.0)
    # Outputs 2 * 0.5 - 0 = 1 and 2 * 0 - 1 = -1 + 1: styles 1 and 0.75.
    rewards = shape(extension, [0.5, 0.5], [0.0, 1.0])
    torch.testing.assert_close(rewards, torch.tensor([0.25 + 2.0, 2.5 + 1.5]))


def test_shape_reward_leaves_the_env_its_own_rewards_and_adds_up_the_style_of_an_episode(build):
    made = transition([0.5, 0.5], [0.0, 1.0])
    build(name="amp#2").shape_reward(made, made.step.rewards)
    assert made.step.rewards.tolist() == [1.0, 10.0]
    torch.testing.assert_close(made.step.extras["episode"]["amp#2_style_return"], torch.tensor([1.0, 0.75]))


@pytest.mark.parametrize(
    ("options", "styles", "kept"),
    [
        ({}, [1.0, 0.75], [[0.5, 0.0], [0.5, 1.0]]),
        ({"done": (True, False), "final": [1.0, 1.0]}, [0.75, 0.75], [[0.5, 1.0], [0.5, 1.0]]),
        ({"done": (True, False)}, [0.0, 0.75], [[0.5, 1.0]]),
        ({"valid": [True, False]}, [1.0, 0.0], [[0.5, 0.0]]),
    ],
    ids=["within", "final_observation", "no_final_observation", "resetting"],
)
def test_step_that_crosses_a_reset_is_neither_rewarded_nor_learned_from(build, options, styles, kept):
    extension = build(task_reward_weight=0.0, style_reward_weight=1.0)
    rewards = shape(extension, [0.5, 0.5], [0.0, 1.0], **options)
    torch.testing.assert_close(rewards, torch.tensor(styles))
    extension.after_rollout(None)
    assert held(extension) == kept
    torch.testing.assert_close(extension.metrics()["AMP/style_reward"], torch.tensor(sum(styles) / len(kept)))


def test_after_rollout_without_a_single_pair_is_an_error(build):
    extension = build()
    shape(extension, [0.5, 0.5], [0.0, 1.0], done=(True, True))
    with pytest.raises(ExtensionError) as caught:
        extension.after_rollout(None)
    assert str(caught.value) == (
        "'amp' has seen no step whose two observations are of one episode, nothing to compare with the reference"
    )


def test_samplers_draw_as_many_of_the_past_as_of_the_reference(build):
    extension = build(name="amp#2")
    shape(extension, [0.5, 0.5], [0.0, 0.0])
    extension.after_rollout(None)
    drawn = next(extension.samplers(1, 7)["amp#2"])
    assert drawn["policy"].shape == drawn["reference"].shape == (7, 2, 1)
    torch.testing.assert_close(drawn["policy"][:, :, 0] / SCALE, torch.tensor([[0.5, 0.0]] * 7))
    torch.testing.assert_close(drawn["reference"], pairs(*[(10.0, 30.0)] * 7))


def test_losses_are_those_of_the_paper(build):
    extension = build(gradient_penalty_coef=8.0, logit_regularization_coef=0.5, weight_decay_coef=0.25)
    samples = {
        "policy": SCALE * pairs((0.5, 1.0), (1.0, 1.0)),  # outputs 0 and 1
        "reference": SCALE * pairs((1.0, 1.0), (0.0, 1.0)),  # outputs 1 and -1
    }
    batch = Batch({}, observe([0.0]), num_original=1, samples={"amp": samples})
    losses = {name: (loss.item(), weight) for name, (loss, weight) in extension.losses(batch, {}).items()}
    assert losses == {
        "amp": (pytest.approx((1.0 + 4.0) / 2 + (0.0 + 4.0) / 2), 1.0),
        "amp_gradient_penalty": (pytest.approx(5.0), 4.0),
        "amp_logit_regularization": (pytest.approx(5.0), 0.5),
        "amp_weight_decay": (pytest.approx(5.0), 0.25),
    }
    metrics = {name: value.item() for name, value in extension.metrics().items()}
    assert metrics == {
        "AMP/policy_output": pytest.approx(0.5),
        "AMP/reference_output": pytest.approx(0.0),
        "AMP/gradient_penalty": pytest.approx(5.0),
        "AMP/accuracy": pytest.approx(0.25),
    }
    assert extension.metrics() == {}


def test_discriminator_has_a_learning_rate_of_its_own_in_the_optimizer_of_the_algorithm(build, context):
    extension, modules = build(learning_rate=0.25), ModuleTable(context.device)
    extension.bind(Bindings(None, modules, None, {}, "amp"))
    (entry,) = modules
    assert (entry.module, entry.learning_rate, entry.optimizer) == (extension.discriminator, 0.25, None)


def test_after_update_merges_the_rollout_and_as_many_reference_frames(build):
    extension = build()
    shape(extension, [0.0, 2.0 / SCALE], [5.0, 5.0])
    extension.after_rollout(None)
    extension.after_update(None)
    normalizer = extension.discriminator.normalizer
    # Of 0 and 2 of the policy, and 10 and 10 of the reference.
    torch.testing.assert_close(normalizer.mean, torch.tensor([5.5]))
    torch.testing.assert_close(normalizer.variance, torch.tensor([(5.5**2 + 3.5**2 + 2 * 4.5**2) / 4]))


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (("clock",), "the env has no observation group 'clock' (it has 'height', 'image', 'policy')"),
        (
            ("image",),
            "group 'image' has shape [1, 4, 4], only 1-D groups can be read here; images are read by the network 'cnn'",
        ),
    ],
    ids=["unknown", "image"],
)
def test_groups_that_cannot_be_read_are_refused(build, groups, message):
    with pytest.raises(ConfigError) as caught:
        build(groups=groups)
    assert str(caught.value) == f"algorithm.extensions[0].groups: {message}"
