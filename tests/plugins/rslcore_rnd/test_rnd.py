"""Random network distillation: rewards, loss, normalization, training, state."""

from __future__ import annotations

import math
import sys

import attrs
import pytest
import torch
from tensordict import TensorDict
from torch import nn

from rslcore import Batch, Bindings, Transition
from rslcore.cli import main
from rslcore.config import ExtensionComponent, StorageComponent
from rslcore.context import Context
from rslcore.errors import ConfigError
from rslcore.modules import ModuleTable
from rslcore.protocols import EnvStep
from rslcore.registry import default_registry
from rslcore.run.checkpoint import load_checkpoint
from rslcore.specs import ActionSpec, EnvSpec, TensorSpec
from rslcore.training import train

GROUPS = {"policy": TensorSpec((2,)), "height": TensorSpec((1,)), "image": TensorSpec((1, 4, 4), "uint8")}
SMALL = {"num_outputs": 2, "predictor_hidden_dims": (), "target_hidden_dims": ()}


@pytest.fixture
def context(small_config):
    spec = EnvSpec(2, GROUPS, ActionSpec(1, num_choices=(2,)))
    return Context(default_registry(), small_config(), torch.device("cpu"), 1, 8, spec=spec)


@pytest.fixture
def storage(context):
    """A storage of 8 steps of the group `policy`, for 2 envs."""
    policy_only = attrs.evolve(context.env_spec, observations={"policy": GROUPS["policy"]})
    return attrs.evolve(context, spec=policy_only).build(context.config.storage, "storage")


@pytest.fixture
def build(context, storage):
    """An `rnd` with linear networks: the target doubles its 2 inputs, the predictor gives zeros."""

    def make(**options):
        config = default_registry().config_class("extension", "rnd")(**SMALL | options)
        extension = context.build(ExtensionComponent("rnd", config), "algorithm.extensions[0]")
        extension.bind(Bindings(None, ModuleTable(context.device), storage, {}, "rnd"))
        storage.add_fields(extension.fields())
        (target,), (predictor,) = extension.networks.target, extension.networks.predictor
        with torch.no_grad():
            nn.init.zeros_(target.bias)
            nn.init.zeros_(predictor.bias)
            nn.init.zeros_(predictor.weight)
            if target.weight.shape == (2, 2):
                target.weight.copy_(2.0 * torch.eye(2))
        return extension

    return make


def observe(rows):
    return TensorDict({"policy": torch.tensor(rows)}, batch_size=[len(rows)])


def transition(rows, *, final=None, valid=None):
    ended = torch.zeros(len(rows), dtype=torch.bool)
    step = EnvStep(
        observe(rows),
        torch.ones(len(rows)),
        ended,
        ended,
        final_obs=None if final is None else observe(final),
        valid=None if valid is None else torch.tensor(valid),
    )
    return Transition(observe([[0.0, 0.0]] * len(rows)), torch.zeros(len(rows), 1), step)


def shape(extension, rows, **options):
    made = transition(rows, **options)
    return extension.shape_reward(made, made.step.rewards)


def collect(extension, storage, rows, **options):
    """A step as an algorithm takes it, from observations of zeros; the rewards."""
    made = transition(rows, **options)
    rewards = extension.shape_reward(made, made.step.rewards)
    storage.write_obs(made.obs)
    if made.step.valid is not None:
        storage.write_valid(made.step.valid)
    extension.after_step(made)
    storage.advance()
    return rewards


def update(extension, storage):
    """An update as an algorithm makes it, of one minibatch with all rows; the loss."""
    (batch,) = storage.mini_batches(1, 1)
    loss, _ = extension.losses(batch, {})["rnd"]
    loss.backward()
    extension.after_minibatch(batch, {})
    extension.after_update(storage)
    storage.clear()
    return loss.item()


def test_shape_reward_adds_the_weighted_distance(build):
    extension = build(weight=0.1)
    # The target gives [6, 8] and [0, 2], the predictor zeros: distances 10 and 2.
    torch.testing.assert_close(shape(extension, [[3.0, 4.0], [0.0, 1.0]]), torch.tensor([2.0, 1.2]))


def test_shape_reward_leaves_the_env_its_own_rewards(build):
    made = transition([[3.0, 4.0], [0.0, 1.0]])
    build(weight=0.1).shape_reward(made, made.step.rewards)
    assert made.step.rewards.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(("choice", "expected"), [("final", [2.0, 1.2]), ("next", [1.0, 1.2])])
def test_shape_reward_where_an_episode_ended(build, choice, expected):
    extension = build(weight=0.1, reward_observation=choice)
    rewards = shape(extension, [[0.0, 0.0], [0.0, 1.0]], final=[[3.0, 4.0], [0.0, 1.0]])
    torch.testing.assert_close(rewards, torch.tensor(expected))


def test_shape_reward_follows_the_schedule_by_env_step(build):
    schedule = {"mode": "step", "final_step": 3, "final_value": 1.0}
    schedule_class = type(default_registry().config_class("extension", "rnd")().weight_schedule)
    extension = build(weight=0.5, weight_schedule=schedule_class(**schedule))
    rewards = [shape(extension, [[0.0, 1.0], [0.0, 0.0]])[0].item() for _ in range(4)]
    assert rewards == [2.0, 2.0, 3.0, 3.0]
    assert extension.metrics()["Rnd/weight"].item() == 1.0


def test_shape_reward_normalized_is_divided_by_the_spread_of_the_discounted_sum(build):
    extension = build(weight=0.5, reward_normalization=True)
    # Distances 4 and 2: sums 4 and 2, standard deviation 1.
    torch.testing.assert_close(shape(extension, [[0.0, 2.0], [0.0, 1.0]]), torch.tensor([3.0, 2.0]))
    # Distances 0 and 2: sums 0.99 * 4 + 0 and 0.99 * 2 + 2.
    sums = [4.0, 2.0, 3.96, 3.98]
    mean = sum(sums) / 4
    std = math.sqrt(sum((number - mean) ** 2 for number in sums) / 4)
    torch.testing.assert_close(shape(extension, [[0.0, 0.0], [0.0, 1.0]]), torch.tensor([1.0, 1.0 + 0.5 * 2.0 / std]))


def test_shape_reward_normalized_without_any_spread_is_left(build):
    extension = build(weight=0.5, reward_normalization=True)
    torch.testing.assert_close(shape(extension, [[0.0, 1.0], [1.0, 0.0]]), torch.tensor([2.0, 2.0]))


def test_shape_reward_rows_that_are_no_transitions_leave_the_sums(build):
    extension = build(weight=1.0, reward_normalization=True)
    shape(extension, [[0.0, 2.0], [0.0, 1.0]])
    shape(extension, [[0.0, 1.0], [0.0, 9.0]], valid=[True, False])
    torch.testing.assert_close(extension.networks.reward_scale.sums, torch.tensor([0.99 * 4.0 + 2.0, 2.0]))


@pytest.mark.parametrize("choice", ["final", "next"])
def test_losses_are_of_the_original_rows(build, choice):
    extension = build(reward_observation=choice)
    rows, others = observe([[1.0, 2.0], [0.0, 1.0], [50.0, 50.0]]), observe([[9.0, 9.0]] * 3)
    columns = {"rnd/embedding": 2.0 * rows["policy"]}
    if choice == "final":
        batch = Batch({"rnd/observation": rows["policy"], **columns}, others, num_original=2)
    else:
        batch = Batch(columns, rows, num_original=2)
    loss, weight = extension.losses(batch, {})["rnd"]
    # Errors 2, 4, 0, 2.
    assert (loss.item(), weight) == ((4.0 + 16.0 + 0.0 + 4.0) / 4, 1.0)


@pytest.mark.parametrize(("choice", "learned"), [("final", [[0.5, 2.5], [1.5, 0.5]]), ("next", [[0.0, 0.0]] * 2)])
def test_the_target_is_asked_once_about_what_is_learned_from(build, storage, choice, learned):
    extension = build(reward_observation=choice, state_normalization=True)
    extension.networks.state_normalizer.mean += 0.5
    for _ in range(8):
        collect(extension, storage, [[0.0, 0.0], [9.0, 9.0]], final=[[0.5, 2.5], [1.5, 0.5]])
    expected = extension.networks.embed(torch.tensor(learned))
    assert torch.equal(storage.column("rnd/embedding"), expected.expand(8, 2, 2))
    extension.networks.target.register_forward_hook(lambda *_: pytest.fail("asked again"))
    update(extension, storage)


def test_of_a_replay_the_target_is_asked_in_every_update(build, context):
    extension = build()
    replay = context.build(
        StorageComponent("replay", default_registry().config_class("storage", "replay")()), "storage"
    )
    extension.bind(Bindings(None, ModuleTable(context.device), replay, {}, "rnd"))
    assert list(extension.fields()) == ["rnd/observation"]
    batch = Batch({"rnd/observation": torch.tensor([[1.0, 2.0]])}, observe([[0.0, 0.0]]), num_original=1)
    assert extension.losses(batch, {})["rnd"][0].item() == (4.0 + 16.0) / 2


def test_losses_are_of_what_was_rewarded(build, storage):
    extension = build(weight=1.0)
    for _ in range(7):
        collect(extension, storage, [[1.0, 0.0], [1.0, 0.0]])
    # The first env's episode ends at [0, 3]; the other env is resetting.
    rewards = collect(extension, storage, [[1.0, 0.0], [5.0, 5.0]], final=[[0.0, 3.0], [5.0, 5.0]], valid=[True, False])
    assert rewards[0] == 1.0 + 6.0
    # 15 transitions of 2 outputs: errors of 2 in 14, 6 in one.
    assert update(extension, storage) == pytest.approx((14 * 4.0 + 36.0) / 30)


def test_losses_with_the_next_observation_are_of_what_was_acted_on(build, storage):
    extension = build(reward_observation="next")
    assert "rnd/observation" not in extension.fields()
    for _ in range(8):
        collect(extension, storage, [[1.0, 0.0], [1.0, 0.0]])
    assert update(extension, storage) == 0.0  # all of them zeros


GOING, ENDED = [[1.0, 0.0]] * 2, [[0.0, 1.0]] * 2


@pytest.mark.parametrize(
    "ending",
    [
        [{"rows": GOING, "final": ENDED}],
        [{"rows": ENDED}, {"rows": GOING, "valid": [False, False]}],
    ],
    ids=["reset_in_the_same_step", "reset_in_the_next_step"],
)
def test_reward_where_an_episode_ends_fades_as_elsewhere(build, storage, ending):
    # No policy acts on [0, 1], at which all episodes end; the other steps lead to [1, 0].
    extension = build(weight=1.0, learning_rate=0.05)
    rollout = [*[{"rows": GOING}] * (8 - len(ending)), *ending]
    bonuses = []
    for _ in range(150):
        rewards = [collect(extension, storage, **step)[0].item() for step in rollout]
        bonuses.append((rewards[0] - 1.0, rewards[-len(ending)] - 1.0))
        update(extension, storage)
    assert bonuses[0] == (2.0, 2.0)
    assert max(bonuses[-1]) < 0.02


def test_after_minibatch_moves_the_predictor_alone_and_drops_its_gradients(build):
    extension = build(learning_rate=0.25)
    columns = {"rnd/observation": torch.tensor([[1.0, 0.0]] * 2), "rnd/embedding": torch.tensor([[2.0, 0.0]] * 2)}
    batch = Batch(columns, observe([[0.0, 0.0]] * 2), num_original=2)
    extension.losses(batch, {})["rnd"][0].backward()
    extension.after_minibatch(batch, {})
    (target,), (predictor,) = extension.networks.target, extension.networks.predictor
    # Adam's first step is the learning rate wherever there is a gradient.
    torch.testing.assert_close(predictor.weight.detach(), torch.tensor([[0.25, 0.0], [0.0, 0.0]]))
    assert target.weight.tolist() == [[2.0, 0.0], [0.0, 2.0]]
    assert all(parameter.grad is None for parameter in extension.networks.parameters())


@pytest.mark.parametrize("choice", ["final", "next"])
def test_after_update_merges_the_transitions_into_the_statistics(build, storage, choice):
    extension = build(state_normalization=True, weight=1.0, reward_observation=choice)
    # Mean 0 and variance 1 to begin with: inputs are divided by 1.01.
    torch.testing.assert_close(shape(extension, [[0.0, 1.01], [0.0, 0.0]]), torch.tensor([3.0, 1.0]))
    steps = [([[0.0, 0.0], [4.0, 0.0]], None), ([[100.0, 100.0], [2.0, 0.0]], [False, True])]
    for rows, valid in steps:
        made = transition(rows, valid=valid)
        if choice == "next":  # what was acted on is learned from, so let that be the rows
            made = Transition(observe(rows), made.actions, made.step)
        extension.after_step(made)
    extension.after_update(storage)
    normalizer = extension.networks.state_normalizer
    torch.testing.assert_close(normalizer.mean, torch.tensor([2.0, 0.0]))
    torch.testing.assert_close(normalizer.variance, torch.tensor([8.0 / 3.0, 0.0]))
    torch.testing.assert_close(shape(extension, [[2.0, 0.01], [2.0, 0.0]]), torch.tensor([3.0, 1.0]))


def test_shape_reward_adds_what_env_and_extension_give_to_the_episode(build):
    made = transition([[3.0, 4.0], [0.0, 1.0]])
    build(weight=0.1).shape_reward(made, made.step.rewards)
    added = {name: values.tolist() for name, values in made.step.extras["episode"].items()}
    assert added == {
        "Rnd/mean_extrinsic_reward": [1.0, 1.0],
        "Rnd/mean_intrinsic_reward": pytest.approx([1.0, 0.2]),
    }


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (("clock",), "the env has no observation group 'clock' (it has 'height', 'image', 'policy')"),
        (("image",), "group 'image' has shape [1, 4, 4], only 1-D groups can be read here; images are read by the "),
        ((), "names no observation group; the env has 'height', 'image', 'policy'"),
    ],
    ids=["unknown", "image", "none"],
)
def test_groups_that_cannot_be_read_are_refused(build, groups, message):
    message += "network 'cnn'" if "image" in groups else ""
    with pytest.raises(ConfigError) as caught:
        build(groups=groups)
    assert str(caught.value) == f"algorithm.extensions[0].groups: {message}"


def test_groups_are_concatenated(build):
    assert build(groups=("height", "policy")).networks.predictor[0].in_features == 3


def test_train_with_two_of_them_saves_both_apart(small_config, tmp_path):
    extensions = "[{name: rnd, weight: 0.1, state_normalization: true}, {name: rnd, weight: 0.2, num_outputs: 3}]"
    overrides = ("runner.num_steps_per_env=64", f"algorithm.extensions={extensions}")
    result = train(small_config(*overrides), log_root=tmp_path, quiet=True)
    assert {"Loss/rnd", "Loss/rnd#2"} <= set(result.metrics)
    ours = [result.metrics[f"{name}/mean_intrinsic_reward"] for name in ("Rnd", "Rnd#2")]
    assert 0.0 < ours[0] != ours[1] > 0.0
    theirs = [result.metrics[f"{name}/mean_extrinsic_reward"] for name in ("Rnd", "Rnd#2")]
    assert theirs == [result.metrics["Train/mean_reward"]] * 2
    assert result.metrics["Rnd/weight"] == pytest.approx(0.1)
    assert result.metrics["Rnd#2/weight"] == pytest.approx(0.2)
    state = load_checkpoint(result.path / "model_2.pt").algorithm
    assert {"policy", "rnd", "rnd#2"} == set(state["modules"])
    assert state["modules"]["rnd"]["module"]["state_normalizer.count"] > 0


def test_train_makes_the_predictor_better(small_config, tmp_path):
    overrides = ("iterations=6", "algorithm.extensions=[{name: rnd, learning_rate: 0.01}]")
    metrics = []
    for iterations in (1, 6):
        config = small_config(*overrides, f"iterations={iterations}")
        metrics.append(train(config, log_root=tmp_path, quiet=True).metrics)
    assert metrics[1]["Loss/rnd"] < 0.2 * metrics[0]["Loss/rnd"]


def test_train_resumed_goes_on_with_everything_that_was_saved(small_config, tmp_path):
    schedule = "{mode: step, final_step: 20, final_value: 0.7}"  # 8 steps an iteration: reached in the third
    options = f"state_normalization: true, reward_normalization: true, weight_schedule: {schedule}"
    overrides = (f"algorithm.extensions=[{{name: rnd, {options}}}]",)
    first = train(small_config(*overrides), log_root=tmp_path, quiet=True)
    assert first.metrics["Rnd/weight"] == pytest.approx(0.1)
    checkpoint = load_checkpoint(first.path / "model_2.pt")
    saved = checkpoint.algorithm
    assert saved["extensions"]["rnd"] == {"steps": 16}
    assert checkpoint.ranks[0]["algorithm"]["extensions"]["rnd"]["sums"].shape == (4,)

    second = train(small_config(*overrides, "iterations=3"), resume=first.path, quiet=True)
    assert second.metrics["Rnd/weight"] == pytest.approx(0.7)
    resumed = load_checkpoint(second.path / "model_3.pt").algorithm
    before, after = (state["modules"]["rnd"]["module"] for state in (saved, resumed))
    assert after["reward_scale.statistics.count"] == before["reward_scale.statistics.count"] + 8 * 4
    assert torch.equal(after["target.0.weight"], before["target.0.weight"])
    steps = [state["modules"]["rnd"]["optimizer"]["groups"][0]["steps"] for state in (saved, resumed)]
    assert steps[1] == 1.5 * steps[0]


@pytest.mark.parametrize("same_episodes", [True, False], ids=["same", "new"])
def test_local_state_has_the_sums_which_run_over_the_ends_of_episodes(build, same_episodes):
    extension = build(reward_normalization=True)
    sums = extension.networks.reward_scale.sums
    sums.copy_(torch.tensor([1.0, 2.0]))
    state = extension.local_state_dict()
    sums.zero_()
    extension.load_local_state_dict(state, same_episodes)
    assert sums.tolist() == [1.0, 2.0]


def test_local_state_of_a_run_without_reward_normalization_leaves_the_sums(build):
    extension = build(reward_normalization=True)
    extension.load_local_state_dict({"sums": None}, same_episodes=True)
    assert extension.networks.reward_scale.sums.tolist() == [0.0, 0.0]


def test_train_command_takes_it_by_name(tmp_path, capsys, monkeypatch):
    overrides = ["iterations=1", "env.num_envs=4", "runner.num_steps_per_env=64"]
    arguments = ["train", "cartpole", *overrides, "algorithm.extensions=[{name: rnd, weight: 0.1}]"]
    monkeypatch.setattr(sys, "argv", ["rslcore", *arguments, "--log-root", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert "mean intrinsic reward" in capsys.readouterr().out
