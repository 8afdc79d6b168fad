"""The estimator's hooks: histories, what is stored, losses, optimizer, and what is refused."""

from __future__ import annotations

import math

import pytest
import torch
from tensordict import TensorDict

from rslcore import Batch, Transition
from rslcore.errors import ConfigError
from rslcore.protocols import EnvStep
from rslcore.training import train


def observe(*rows, privileged=0.0):
    groups = {"policy": torch.tensor(rows).unsqueeze(1), "privileged": torch.full((len(rows), 1), privileged)}
    return TensorDict(groups, batch_size=[len(rows)])


def transition(extension, obs, next_obs, *, dones=(False, False), final=None, valid=None):
    dones = torch.tensor(dones)
    valid = None if valid is None else torch.tensor(valid)
    step = EnvStep(next_obs, torch.ones(2), dones, torch.zeros(2, dtype=torch.bool), final_obs=final, valid=valid)
    return Transition(obs, torch.zeros(2, 1), step, extension.extend_final_obs)


def estimates(extension, obs):
    """The estimates `[N]` of observations, in units of what the linear encoder sums up."""
    return (extension.before_act(obs)["estimate"] / 1.01).flatten().tolist()


# Histories


def test_before_act_fills_up_with_the_first_observation(build):
    extension = build()
    assert estimates(extension, observe(1.0, 2.0)) == pytest.approx([3.0, 6.0])
    assert estimates(extension, observe(10.0, 20.0)) == pytest.approx([12.0, 24.0])
    assert estimates(extension, observe(100.0, 200.0)) == pytest.approx([111.0, 222.0])
    assert estimates(extension, observe(1000.0, 2000.0)) == pytest.approx([1110.0, 2220.0])


def test_before_act_leaves_the_observations_as_they_are(build):
    obs = observe(1.0, 2.0)
    build().before_act(obs)
    assert set(obs.keys()) == {"policy", "privileged"}


def test_before_act_gives_no_gradient_to_the_encoder(build):
    assert not build().before_act(observe(1.0, 2.0))["estimate"].requires_grad


def test_reset_forgets_the_episodes_that_ended(build):
    extension = build()
    estimates(extension, observe(1.0, 2.0))
    extension.reset(torch.tensor([False, True]))
    assert estimates(extension, observe(10.0, 20.0)) == pytest.approx([12.0, 60.0])
    assert estimates(extension, observe(100.0, 200.0)) == pytest.approx([111.0, 240.0])


def test_reset_twice_before_an_observation_forgets_both(build):
    extension = build()
    estimates(extension, observe(1.0, 2.0))
    extension.reset(torch.tensor([False, True]))
    extension.reset(torch.tensor([True, False]))
    assert estimates(extension, observe(10.0, 20.0)) == pytest.approx([30.0, 60.0])


@pytest.mark.parametrize(
    "forget",
    [lambda e: e.reset(None), lambda e: e.load_local_state_dict(e.local_state_dict(), same_episodes=False)],
    ids=["reset", "load"],
)
def test_all_histories_are_forgotten(build, forget):
    extension = build()
    estimates(extension, observe(1.0, 2.0))
    forget(extension)
    assert estimates(extension, observe(10.0, 20.0)) == pytest.approx([30.0, 60.0])


@pytest.mark.parametrize("ended", [None, torch.tensor([False, True])], ids=["running", "one_ended"])
def test_local_state_has_the_histories_of_the_same_episodes(build, ended):
    extension = build()
    estimates(extension, observe(1.0, 2.0))
    if ended is not None:
        extension.reset(ended)
    state = extension.local_state_dict()
    expected = estimates(extension, observe(10.0, 20.0))
    assert expected == pytest.approx([12.0, 24.0] if ended is None else [12.0, 60.0])
    estimates(extension, observe(100.0, 200.0))
    extension.load_local_state_dict(state, same_episodes=True)
    assert estimates(extension, observe(10.0, 20.0)) == expected


def test_local_state_before_the_first_observation_has_no_histories(build):
    extension = build()
    state = extension.local_state_dict()
    estimates(extension, observe(1.0, 2.0))
    extension.load_local_state_dict(state, same_episodes=True)
    assert estimates(extension, observe(10.0, 20.0)) == pytest.approx([30.0, 60.0])


def test_before_act_of_another_number_of_rows_begins_anew(build):
    extension = build()
    estimates(extension, observe(1.0, 2.0))
    assert estimates(extension, observe(1.0, 2.0, 3.0)) == pytest.approx([3.0, 6.0, 9.0])


def test_extend_final_obs_leaves_the_histories(build):
    extension = build()
    estimates(extension, observe(1.0, 2.0))
    final = extension.extend_final_obs(observe(10.0, 20.0))["estimate"] / 1.01
    assert final.flatten().tolist() == pytest.approx([12.0, 24.0])
    assert estimates(extension, observe(100.0, 200.0)) == pytest.approx([102.0, 204.0])


# Learning


def collect(extension, storage, obs, next_obs, **options):
    seen = extension.before_act(obs)
    made = transition(extension, seen, next_obs, **options)
    storage.write_obs(seen)
    if made.step.valid is not None:
        storage.write_valid(made.step.valid)
    extension.after_step(made)
    extension.reset(made.step.resets)
    storage.advance()


def test_after_step_keeps_what_was_encoded(build, storage):
    extension = build()
    collect(extension, storage, observe(1.0, 2.0), observe(3.0, 5.0), dones=(False, True), final=observe(3.0, 4.0))
    collect(extension, storage, observe(3.0, 5.0), observe(7.0, 8.0))
    histories = storage.column("estimate/history")
    assert histories[0].squeeze(-1).tolist() == [[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]]
    assert histories[1].squeeze(-1).tolist() == [[1.0, 1.0, 3.0], [5.0, 5.0, 5.0]]


def test_after_step_variational_keeps_the_true_next_observation(build, storage):
    extension = build(loss="variational")
    collect(extension, storage, observe(1.0, 2.0), observe(3.0, 5.0), dones=(False, True), final=observe(3.0, 4.0))
    collect(extension, storage, observe(3.0, 5.0), observe(7.0, 8.0), dones=(False, True))  # not kept by the env
    assert storage.column("estimate/next")[:2].squeeze(-1).tolist() == [[3.0, 4.0], [7.0, 8.0]]
    assert storage.column("estimate/linked")[:2].tolist() == [[True, True], [True, False]]


def test_after_rollout_merges_transitions_into_the_statistics(build, storage):
    extension = build()
    for row, valid in ((0.0, True), (2.0, True), (4.0, True), (50.0, False)):
        obs = observe(row, row, privileged=10.0 * row)
        collect(extension, storage, obs, obs, valid=None if valid else (False, False))
    extension.after_rollout(storage)
    networks = extension.networks
    assert (networks.features.mean.item(), networks.features.variance.item()) == pytest.approx((2.0, 8.0 / 3.0))
    assert (networks.targets.mean.item(), networks.targets.variance.item()) == pytest.approx((20.0, 800.0 / 3.0))


def test_losses_regression_is_the_error_of_the_original_rows(build):
    extension = build()
    histories = torch.tensor([[1.0, 1.0, 1.0], [0.0, 1.0, 2.0], [9.0, 9.0, 9.0]]).unsqueeze(-1)
    batch = Batch({"estimate/history": histories}, observe(0.0, 0.0, 0.0, privileged=1.01), num_original=2)
    losses = extension.losses(batch, {})
    # Normalized estimates 3 and 3, targets of 1.
    assert losses.keys() == {"estimator"}
    loss, weight = losses["estimator"]
    assert (loss.item(), weight) == (pytest.approx(4.0), 1.0)


def test_losses_variational_are_the_negative_evidence_lower_bound(build):
    extension = build(loss="variational", beta=0.5)
    encoder, decoder = extension.networks.encoder[0], extension.networks.decoder[0]
    with torch.no_grad():
        encoder.weight[1, 2] = 1.01  # the context's mean is the latest observation,
        encoder.bias[2] = -40.0  # and as good as certain
        decoder.weight.copy_(torch.tensor([[1.0, 2.0]]))
    columns = {
        "estimate/history": torch.tensor([[1.0, 1.0, 1.0], [0.0, 1.0, 2.0]]).unsqueeze(-1),
        "estimate/next": 1.01 * torch.tensor([[4.0], [5.0]]),
        "estimate/linked": torch.tensor([True, False]),
    }
    losses = extension.losses(Batch(columns, observe(0.0, 0.0), num_original=2), {})
    assert {name: weight for name, (_, weight) in losses.items()} == {
        "estimator": 1.0,
        "estimator_reconstruction": 1.0,
        "estimator_divergence": 0.5,
    }
    values = {name: loss.item() for name, (loss, _) in losses.items()}
    assert values["estimator"] == pytest.approx(9.0)  # estimates of 3, targets of 0
    # Decoded: 3 + 2 * 1, where 4 came next; the other row is not linked.
    assert values["estimator_reconstruction"] == pytest.approx(1.0, rel=1e-5)
    # 1/2 (mean^2 + variance - 1 - log variance) with means 1 and 2.
    assert values["estimator_divergence"] == pytest.approx(0.5 * (2.5 + math.exp(-40.0) - 1.0 + 40.0))


def test_losses_variational_draws_the_context(build):
    extension = build(loss="variational")
    with torch.no_grad():
        extension.networks.decoder[0].weight.copy_(torch.tensor([[0.0, 1.0]]))  # gives the context as it is
    columns = {
        "estimate/history": torch.zeros(20_000, 3, 1),
        "estimate/next": torch.zeros(20_000, 1),
        "estimate/linked": torch.ones(20_000, dtype=torch.bool),
    }
    torch.manual_seed(0)
    losses = extension.losses(Batch(columns, observe(*[0.0] * 20_000), num_original=20_000), {})
    assert losses["estimator_reconstruction"][0].item() == pytest.approx(1.0, abs=0.05)  # the variance of the prior


def test_losses_reconstruction_leaves_the_estimate_alone(build):
    extension = build(loss="variational")
    encoder, decoder = extension.networks.encoder[0], extension.networks.decoder[0]
    with torch.no_grad():
        decoder.weight.fill_(1.0)
    columns = {
        "estimate/history": torch.ones(2, 3, 1),
        "estimate/next": torch.zeros(2, 1),
        "estimate/linked": torch.ones(2, dtype=torch.bool),
    }
    extension.losses(Batch(columns, observe(0.0, 0.0), num_original=2), {})["estimator_reconstruction"][0].backward()
    of_estimate, of_mean, of_log_variance = encoder.weight.grad
    assert not of_estimate.any()
    assert of_mean.all()
    assert of_log_variance.all()


def test_after_minibatch_steps_the_networks_and_drops_their_gradients(build):
    extension = build(learning_rate=0.25)
    batch = Batch({"estimate/history": torch.ones(2, 3, 1)}, observe(0.0, 0.0), num_original=2)
    extension.losses(batch, {})["estimator"][0].backward()
    extension.after_minibatch(batch, {})
    # Adam's first step is the learning rate wherever there is a gradient.
    torch.testing.assert_close(extension.networks.encoder[0].weight.detach(), torch.full((1, 3), 1.01 - 0.25))
    assert all(parameter.grad is None for parameter in extension.networks.parameters())


# What is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"output_group": "policy"},
            "output_group: the env has an observation group 'policy' already; choose another name",
        ),
        (
            {"targets": ("speed",)},
            "targets: the env has no observation group 'speed' (it has 'image', 'policy', 'privileged')",
        ),
        (
            {"groups": ("image",)},
            "groups: group 'image' has shape [1, 4, 4], only 1-D groups can be read here; images are read by the "
            "network 'cnn'",
        ),
    ],
    ids=["output_group", "targets", "groups"],
)
def test_groups_that_do_not_fit_are_refused(build, options, message):
    with pytest.raises(ConfigError) as caught:
        build(**options)
    assert str(caught.value) == f"algorithm.extensions[0].{message}"


def test_two_estimators_of_one_output_group_are_refused(small_config, tmp_path):
    config = small_config("algorithm.extensions=[{name: estimator}, {name: estimator}]", recipe="pendulum_estimator")
    with pytest.raises(ConfigError) as caught:
        train(config, log_root=tmp_path, quiet=True)
    assert str(caught.value) == (
        "algorithm.extensions[1]: the storage has a field 'estimate/history' already; choose another name"
    )
