"""PPO on real envs: what it stores, what it computes, what it refuses."""

from __future__ import annotations

import contextlib

import attrs
import pytest
import torch

from rslcore.context import Context
from rslcore.errors import CheckpointError, ConfigError
from rslcore.protocols import Algorithm
from rslcore.registry import default_registry
from rslcore.seeding import seed_everything
from rslcore.specs import ActionSpec, EnvSpec, TensorSpec
from rslcore.training import build_algorithm, num_steps_per_env
from rslcore_ppo.checks import check_mini_batches
from rslcore_ppo.ppo import PPO


@pytest.fixture
def build(small_config):
    """Env and PPO of a small config."""
    with contextlib.ExitStack() as stack:

        def make(*overrides, recipe="cartpole", keeps_final_obs=True):
            config = small_config(*overrides, recipe=recipe)
            seed_everything(config.seed)
            context = Context(default_registry(), config, torch.device("cpu"), config.seed, num_steps_per_env(config))
            env = stack.enter_context(contextlib.closing(context.build(config.env, "env")))
            spec = attrs.evolve(env.spec, keeps_final_obs=keeps_final_obs)
            return env, build_algorithm(attrs.evolve(context, env=env, spec=spec))

        yield make


def collect(env, ppo, obs=None, steps=8):
    obs = env.reset() if obs is None else obs
    with ppo.rollout_context():
        for _ in range(steps):
            step = env.step(ppo.act(obs))
            ppo.process_env_step(step)
            obs = step.obs
    return obs


def test_ppo_is_an_algorithm(build):
    assert isinstance(build()[1], Algorithm)


def test_act_stores_observations_and_the_actions_it_returns(build):
    env, ppo = build()
    obs = env.reset()
    with ppo.rollout_context():
        actions = ppo.act(obs)
        params, _ = ppo.policy.actor_params(obs, {})
    assert actions.shape == (4, 1)
    assert torch.equal(ppo.storage.column("actions")[0], actions)
    assert torch.equal(ppo.storage.observations()["policy"][:4], obs["policy"])
    assert torch.equal(ppo.storage.column("params/log_probs")[0], params["log_probs"])


def test_update_first_ratio_is_exactly_one_and_stays_so_with_normalization(build):
    # With one minibatch and one epoch the KL divergence is taken before the only step: 0 if nothing moved since.
    overrides = ("algorithm.num_mini_batches=1", "algorithm.num_learning_epochs=1")
    overrides += ("policy.actor.network.normalize=true", "policy.critic.network.normalize=true")
    env, ppo = build(*overrides, recipe="pendulum")
    obs = None
    for _ in range(3):
        obs = collect(env, ppo, obs)
        # By hand: the ratio is 1, so the surrogate is minus the mean of standardized advantages, 0.
        metrics = ppo.update(obs)
        assert metrics["Policy/kl"].item() == pytest.approx(0.0, abs=1e-6)
        assert metrics["Loss/surrogate"].item() == pytest.approx(0.0, abs=1e-6)
    assert ppo.policy.actor.normalizer.count == 3 * 8 * 4


def test_compute_returns_bootstraps_truncation_from_the_final_observation(build):
    # Count ends by action 1, terminally, or by its limit of 3 steps; the final observation holds the step's number.
    env, ppo = build("env.id=rslcore_tests/Count-v0", "env.vectorization=sync", "algorithm.normalize_advantage=none")
    # Env 0 runs into its limit, env 1 ends at once, env 2 in its second step, env 3 in the very step of its limit.
    scripts = torch.tensor([[0] * 8, [1] * 8, [0, 1] * 4, [0, 0, 1] * 2 + [0, 0]])
    steps, obs = [], env.reset()
    with ppo.rollout_context():
        for actions in scripts.T:
            ppo.act(obs)
            steps.append(env.step(actions.unsqueeze(1)))
            ppo.process_env_step(steps[-1])
            obs = steps[-1].obs
    ppo._compute_returns(obs)
    storage = ppo.storage
    returns, rewards, values = (storage.column(name) for name in ("returns", "rewards", "values"))
    truncated = torch.stack([step.truncated for step in steps])
    terminated = torch.stack([step.terminated for step in steps])
    assert (truncated & terminated).nonzero().tolist() == [[2, 3], [5, 3]]
    assert (truncated & ~terminated).nonzero().tolist() == [[2, 0], [5, 0]]
    # Where an episode ends, the return is the reward, and after a truncation the discounted value of what was cut off.
    # A time limit that falls on a terminal state cuts nothing off.
    torch.testing.assert_close(returns[terminated], rewards[terminated])
    for t, n in (truncated & ~terminated).nonzero().tolist():
        final = steps[t].final_obs["policy"][n]
        assert final[1] == 3.0
        expected = rewards[t, n] + ppo.config.gamma * ppo.policy.critic.layers(final).squeeze().detach()
        torch.testing.assert_close(returns[t, n], expected)
    torch.testing.assert_close(storage.column("advantages"), returns - values)


def test_compute_returns_without_final_observations_bootstraps_from_the_last_one(build):
    env, ppo = build("env.id=rslcore_tests/Spaces-v0", "env.vectorization=sync", keeps_final_obs=False)
    ppo._compute_returns(collect(env, ppo))  # 8 steps of episodes that are cut after 5
    storage = ppo.storage
    truncated = storage.column("truncated")
    assert truncated.nonzero()[:, 0].tolist() == [4] * 4
    expected = storage.column("rewards")[truncated] + ppo.config.gamma * storage.column("values")[truncated]
    torch.testing.assert_close(storage.column("returns")[truncated], expected)


def test_compute_returns_values_and_log_probs_are_those_of_the_rollout(build):
    env, ppo = build(recipe="pendulum")
    last = collect(env, ppo)
    ppo._compute_returns(last)
    storage = ppo.storage
    with torch.no_grad():
        params, _ = ppo.policy.actor_params(storage.observations(), {})
        values, _ = ppo.policy.values(storage.observations(), {})
    torch.testing.assert_close(storage.column("values").flatten(), values)
    actions = storage.column("actions").flatten(0, 1)
    expected = torch.distributions.Normal(params["mean"], params["std"]).log_prob(actions).sum(-1)
    torch.testing.assert_close(storage.column("log_prob").flatten(), expected)
    advantages = storage.column("advantages")
    assert advantages.mean().item() == pytest.approx(0.0, abs=1e-5)
    assert advantages.std().item() == pytest.approx(1.0, abs=1e-4)


def test_update_normalizes_advantages_over_valid_rows_only(build):
    env, ppo = build("env.kwargs={max_episode_steps: 3}")
    ppo._compute_returns(collect(env, ppo))
    valid = ppo.storage.valid
    assert not valid.all()
    assert ppo.storage.column("advantages")[valid].mean().item() == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("choice", ["rollout", "minibatch", "none"])
@pytest.mark.parametrize("schedule", ["adaptive", "fixed"])
def test_update_changes_every_parameter_and_is_finite(build, choice, schedule):
    env, ppo = build(f"algorithm.normalize_advantage={choice}", f"algorithm.schedule={schedule}", recipe="pendulum")
    before = [parameter.clone() for parameter in ppo.policy.parameters()]
    metrics = ppo.update(collect(env, ppo))
    assert all(value.isfinite() for value in metrics.values())
    assert set(metrics) == {
        "Loss/surrogate",
        "Loss/value",
        "Loss/entropy",
        "Loss/learning_rate",
        "Policy/kl",
        "Policy/mean_std",
        "Policy/min_std",
    }
    assert not any(torch.equal(old, new) for old, new in zip(before, ppo.policy.parameters(), strict=True))
    if schedule == "fixed":
        assert metrics["Loss/learning_rate"].item() == pytest.approx(1e-3)


def test_clipped_value_loss_switch_changes_the_update(build):
    results = []
    for clipped in (True, False):
        env, ppo = build(f"algorithm.use_clipped_value_loss={clipped}", "algorithm.clip_param=0.01")
        ppo.update(collect(env, ppo))
        results.append(torch.cat([parameter.flatten() for parameter in ppo.policy.critic.parameters()]))
    assert not torch.equal(*results)


def test_act_inference_is_the_mode_and_remembers_nothing(build):
    env, ppo = build(recipe="pendulum")
    obs = env.reset()
    with torch.no_grad():
        assert torch.equal(ppo.act_inference(obs), ppo.policy.actor(obs))
        assert torch.equal(ppo.act_inference(obs), ppo.act_inference(obs))


def test_modes_reach_the_policy(build):
    _, ppo = build()
    ppo.eval_mode()
    assert not ppo.policy.training
    ppo.train_mode()
    assert ppo.policy.training


def test_state_round_trip_goes_on_alike(build):
    env, ppo = build(recipe="pendulum")
    ppo.update(collect(env, ppo))
    _, other = build("seed=5", recipe="pendulum")
    other.load_state_dict(ppo.state_dict())
    results = []
    for algorithm in (ppo, other):
        env, _ = build("seed=9", recipe="pendulum")
        seed_everything(3)
        results.append(algorithm.update(collect(env, algorithm)))
    assert results[0] == results[1]


IMAGES = (
    "groups: [policy, camera, depth], hidden_dims: [8], encoder: {channels: [2]}, encoders: {depth: {channels: [1]}}"
)


@pytest.mark.parametrize("share", [False, True])
def test_update_with_images_first_ratio_is_one(build, share):
    overrides = (f"policy.{part}.network={{name: cnn, normalize: true, {IMAGES}}}" for part in ("actor", "critic"))
    overrides = (*overrides, "env.id=rslcore_tests/Camera-v0", "env.vectorization=sync")
    overrides += (f"policy.share_encoders={share}", "algorithm.num_mini_batches=1", "algorithm.num_learning_epochs=1")
    env, ppo = build(*overrides)
    obs = None
    for _ in range(2):
        obs = collect(env, ppo, obs)
        before = [parameter.clone() for parameter in ppo.policy.parameters()]
        assert ppo.storage.observations()["camera"].dtype == torch.uint8
        assert ppo.update(obs)["Policy/kl"].item() == pytest.approx(0.0, abs=1e-6)
        assert not any(torch.equal(old, new) for old, new in zip(before, ppo.policy.parameters(), strict=True))
    _, other = build(*overrides, "seed=5")
    other.load_state_dict(ppo.state_dict())
    with torch.no_grad():
        assert torch.equal(other.act_inference(obs), ppo.act_inference(obs))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "algorithm.optimizer=adam",
            "^the checkpoint was made with the optimizer 'rmsprop', this run has 'adam'; go on with the same$",
        ),
        (
            "policy.share_encoders=true",
            "^the checkpoint was made with the parameters in other groups; let networks share what they shared then$",
        ),
    ],
)
def test_load_state_dict_of_another_optimizer_is_refused_and_nothing_is_loaded(build, override, message):
    overrides = (f"policy.{part}.network={{name: cnn, {IMAGES}}}" for part in ("actor", "critic"))
    overrides = (*overrides, "env.id=rslcore_tests/Camera-v0", "env.vectorization=sync", "algorithm.optimizer=rmsprop")
    env, ppo = build(*overrides)
    ppo.update(collect(env, ppo))
    _, other = build(*overrides, override)
    before = {name: value.clone() for name, value in other.policy.state_dict().items()}
    with pytest.raises(CheckpointError, match=message):
        other.load_state_dict(ppo.state_dict())
    assert all(torch.equal(value, before[name]) for name, value in other.policy.state_dict().items())


def test_bootstrap_from_the_last_value_is_that_of_the_observation_before(build):
    overrides = ("env.id=rslcore_tests/Spaces-v0", "env.vectorization=sync", "algorithm.bootstrap=last_value")
    env, ppo = build(*overrides)
    ppo._compute_returns(collect(env, ppo))  # 8 steps of episodes that are cut after 5
    storage = ppo.storage
    truncated = storage.column("truncated")
    assert truncated.nonzero()[:, 0].tolist() == [4] * 4
    expected = storage.column("rewards")[truncated] + ppo.config.gamma * storage.column("values")[truncated]
    torch.testing.assert_close(storage.column("returns")[truncated], expected)
    assert not ppo._final_obs


@pytest.mark.parametrize(("shuffle", "same"), [("epoch", False), ("rollout", True), ("none", True)])
def test_update_shuffles_as_the_option_says(build, monkeypatch, shuffle, same):
    env, ppo = build(f"algorithm.shuffle={shuffle}", "algorithm.num_learning_epochs=2", "algorithm.num_mini_batches=2")
    seen = []

    def note(loss, batch, own_losses):
        seen.append(batch.obs["policy"])
        return {}

    monkeypatch.setattr(ppo.learner, "minimize", note)
    ppo.update(collect(env, ppo))
    assert len(seen) == 4
    assert torch.equal(torch.cat(seen[:2]), torch.cat(seen[2:])) == same
    assert torch.equal(torch.cat(seen[:2]), ppo.storage.observations()["policy"]) == (shuffle == "none")


@pytest.mark.parametrize(
    ("num_envs", "num_steps", "count", "nearest"),
    [
        (10_000_000, 1_000_000, 9_999_999, 10_000_000),
        (10_000_000, 1_000_000, 7, 8),
        (9_999_991, 1, 10_000_000, 9_999_991),  # a prime
        (9_999_991, 1, 5_000_000, 9_999_991),
        (9_999_991, 1, 3, 1),
        (4, 8, 5, 4),
        (5, 6, 7, 6),
        (5, 6, 12, 10),
    ],
)
def test_nearest_number_of_mini_batches_is_found_for_rollouts_of_any_size(
    small_config, num_envs, num_steps, count, nearest
):
    config = small_config(f"algorithm.num_mini_batches={count}")
    spec = EnvSpec(num_envs, {"policy": TensorSpec((4,))}, ActionSpec(1, num_choices=(2,)))
    context = Context(default_registry(), config, torch.device("cpu"), 1, num_steps, spec=spec)
    with pytest.raises(ConfigError, match=f"; the nearest number that does is {nearest}$"):
        check_mini_batches(config.algorithm.config, context, sequential=False)


def test_mini_batches_that_do_not_divide_are_refused(build):
    message = (
        r"^algorithm\.num_mini_batches: 5 does not divide the rollout of 32 rows \(4 envs \* 8 steps\); "
        r"the nearest number that does is 4$"
    )
    with pytest.raises(ConfigError, match=message):
        build("algorithm.num_mini_batches=5")


@pytest.mark.parametrize(
    "overrides",
    [
        ("env.num_envs=1", "runner.num_steps_per_env=1", "algorithm.num_mini_batches=1"),
        ("algorithm.normalize_advantage=minibatch", "algorithm.num_mini_batches=32"),
    ],
)
def test_advantages_of_a_single_row_are_refused(build, overrides):
    message = r"^algorithm\.normalize_advantage: '\w+' has a single row here; collect more, or write 'none'$"
    with pytest.raises(ConfigError, match=message):
        build(*overrides)


@pytest.mark.parametrize("rate", [1e-6, 0.05])
def test_adaptive_learning_rate_outside_its_bounds_is_refused(build, rate):
    message = (
        rf"algorithm\.learning_rate: {rate} is outside \[1e-05, 0\.01\], in which the adaptive schedule keeps it; "
        "choose one inside, or `schedule: fixed`"
    )
    with pytest.raises(ConfigError, match=message):
        build("algorithm.schedule=adaptive", f"algorithm.learning_rate={rate}")


def test_policy_without_a_critic_is_refused(build, monkeypatch):
    monkeypatch.setattr("rslcore_actor_critic.policy.ActorCritic.values", None)
    monkeypatch.delattr("rslcore_actor_critic.policy.ActorCritic.values")
    message = r"^policy\.name: 'actor_critic' has no actor and critic, which algorithm 'ppo' needs$"
    with pytest.raises(ConfigError, match=message):
        build()


def test_kl_divergence_without_a_closed_form_is_estimated(build, monkeypatch):
    divergences = []
    for closed_form in (True, False):
        env, ppo = build("algorithm.schedule=fixed", "env.num_envs=64", "runner.num_steps_per_env=32")
        if not closed_form:
            monkeypatch.setattr(type(ppo.policy.distribution), "kl_divergence", lambda self, old, new: None)
        divergences.append(ppo.update(collect(env, ppo, steps=32))["Policy/kl"].item())
    exact, estimated = divergences
    assert estimated != exact
    assert estimated == pytest.approx(exact, rel=0.3)


def test_rollout_can_be_collected_with_gradients(build, monkeypatch):
    monkeypatch.setattr(PPO, "rollout_context", lambda self: torch.enable_grad())
    losses = []
    for _ in range(2):
        env, ppo = build()
        losses.append(ppo.update(collect(env, ppo)))
        monkeypatch.undo()  # the second time without
    assert {name: value.item() for name, value in losses[0].items()} == {
        name: value.item() for name, value in losses[1].items()
    }
