"""fast_sac on real envs: what it collects, what it learns from, what it saves and what it refuses."""

from __future__ import annotations

import contextlib
import math

import attrs
import pytest
import torch

from rslcore.config import ExtensionComponent, config, evolve, load_config
from rslcore.context import Context
from rslcore.errors import CheckpointError, ConfigError
from rslcore.evaluation import evaluate, load_policy
from rslcore.extension import Extension
from rslcore.protocols import Algorithm
from rslcore.registry import Entry, PluginRow, Registry, Source, default_registry
from rslcore.run.checkpoint import load_checkpoint
from rslcore.seeding import seed_everything
from rslcore.specs import TensorSpec
from rslcore.training import build_algorithm, num_steps_per_env, train

SOURCE = Source("tests", "rslcore-tests", "1.0", __name__)


@pytest.fixture
def build():
    """Env and algorithm of a config."""
    with contextlib.ExitStack() as stack:

        def make(config, keeps_final_obs=True):
            seed_everything(config.seed)
            context = Context(default_registry(), config, torch.device("cpu"), config.seed, num_steps_per_env(config))
            env = stack.enter_context(contextlib.closing(context.build(config.env, "env")))
            spec = attrs.evolve(env.spec, keeps_final_obs=keeps_final_obs)
            return env, build_algorithm(attrs.evolve(context, env=env, spec=spec))

        yield make


def collect(env, sac, steps, obs=None):
    obs = env.reset() if obs is None else obs
    taken = []
    with sac.rollout_context():
        for _ in range(steps):
            taken.append(sac.act(obs))
            step = env.step(taken[-1])
            sac.process_env_step(step)
            obs = step.obs
    return obs, torch.stack(taken)


def test_fast_sac_is_an_algorithm(build, small_sac):
    assert isinstance(build(small_sac())[1], Algorithm)


# Collecting


def test_actions_are_uniform_until_there_is_enough_to_learn_from(build, small_sac):
    env, sac = build(small_sac("algorithm.learning_starts=200"))
    obs, actions = collect(env, sac, 49)  # 196 transitions of 4 envs
    assert actions.abs().max() <= 1.0
    assert actions.std().item() == pytest.approx((1.0 / 3.0) ** 0.5, abs=0.05)
    before = [parameter.clone() for parameter in sac.policy.parameters()]
    assert "Loss/critic" not in sac.update(obs)
    assert all(map(torch.equal, before, sac.policy.parameters()))
    obs, _ = collect(env, sac, 1, obs)
    metrics = sac.update(obs)
    assert {"Loss/critic", "Loss/actor", "Loss/temperature", "Policy/entropy", "Policy/temperature"} <= set(metrics)
    assert math.exp(-5.0) <= metrics["Policy/min_std"] <= metrics["Policy/mean_std"] <= math.exp(2.0)
    assert not any(map(torch.equal, before, sac.policy.actor.parameters()))
    torch.manual_seed(0)
    expected = sac.policy.sample(obs)[0]
    torch.manual_seed(0)
    assert torch.equal(sac.act(obs), sac.policy.to_env(expected))


def test_act_stores_what_it_saw_and_did(build, small_sac):
    env, sac = build(small_sac("env.rescale_actions=false"))
    first = env.reset()
    _, actions = collect(env, sac, 1, first)
    batch = sac.storage.sample(200, 1, 0.99)
    assert actions.abs().max() > 1.0  # a pendulum's are in [-2, 2]
    torch.testing.assert_close(batch["actions"].abs().max(), actions.abs().max() / 2.0)
    for row in range(20):
        (env_index,) = (first["policy"] == batch.obs["policy"][row]).all(1).nonzero()[0].tolist()
        torch.testing.assert_close(2.0 * batch["actions"][row], actions[0, env_index])


def test_truncated_episodes_are_followed_by_their_last_observation(build, small_sac):
    env, sac = build(small_sac("env.kwargs={max_episode_steps: 5}"))
    collect(env, sac, 7)
    batch = sac.storage.sample(400, 1, 0.5)
    assert (batch.discounts == 0.5).all()
    ended = batch["dones"]
    assert ended.any()
    # A pendulum turns by its new speed times 0.05 s a step: no episode begins that near to the end of another one.
    before, after = batch.obs["policy"][ended], batch.next_obs["policy"][ended]
    turned = torch.atan2(after[:, 1], after[:, 0]) - torch.atan2(before[:, 1], before[:, 0])
    turned = torch.atan2(turned.sin(), turned.cos())
    torch.testing.assert_close(turned, 0.05 * after[:, 2], atol=1e-4, rtol=0.0)


def test_without_final_observations_the_step_of_a_truncation_is_left_out(build, small_sac):
    env, sac = build(small_sac("env.kwargs={max_episode_steps: 5}"), keeps_final_obs=False)
    obs = env.reset()
    with sac.rollout_context():
        for _ in range(7):
            step = attrs.evolve(env.step(sac.act(obs)), final_obs=None)
            sac.process_env_step(step)
            obs = step.obs
    batch = sac.storage.sample(400, 3, 0.5)
    assert not batch["dones"].any()
    assert batch.discounts.unique().tolist() == [0.125, 0.25, 0.5]


def test_terminal_states_are_worth_nothing_though_their_observation_is_not_kept(build, small_sac):
    env, sac = build(small_sac(), keeps_final_obs=False)
    obs = env.reset()
    with sac.rollout_context():
        step = env.step(sac.act(obs))
        sac.process_env_step(attrs.evolve(step, terminated=torch.ones(4, dtype=torch.bool)))
    assert (sac.storage.sample(20, 3, 0.5).discounts == 0.0).all()


def test_rows_in_which_an_env_only_resets_are_left_out(build, small_sac):
    env, sac = build(small_sac())
    obs = env.reset()
    valid = torch.tensor([True, False, True, True])
    with sac.rollout_context():
        sac.process_env_step(attrs.evolve(env.step(sac.act(obs)), valid=valid, rewards=torch.arange(4.0)))
    assert set(sac.storage.sample(100, 1, 0.5)["rewards"].tolist()) == {0.0, 2.0, 3.0}


# Learning


def test_targets_are_rewards_and_the_discounted_soft_value(build, small_sac):
    env, sac = build(small_sac())
    collect(env, sac, 8)
    batch = sac.storage.sample(16, 3, 0.5)
    temperature = torch.tensor(0.3)
    torch.manual_seed(0)
    targets = sac._targets(batch, temperature)
    torch.manual_seed(0)
    with torch.no_grad():
        actions, log_prob, _ = sac.policy.sample(batch.next_obs)
        q_values = sac.policy.target_values(sac.policy.features(batch.next_obs), actions)
    expected = batch.returns + batch.discounts * (q_values.min(0).values - 0.3 * log_prob)
    torch.testing.assert_close(targets, expected)


def test_losses_give_gradients_to_those_that_they_are_for(build, small_sac):
    env, sac = build(small_sac("algorithm.optimizer=sgd", "algorithm.learning_rate=0.01"))
    collect(env, sac, 8)
    batch = sac.storage.sample(16, 1, 0.9)
    torch.manual_seed(0)
    sac.learner.minimize(sac._loss, batch)
    gradients = {name: parameter.grad.clone() for name, parameter in sac.policy.critics.named_parameters()}
    _, again = build(small_sac("algorithm.optimizer=sgd", "algorithm.learning_rate=0.01"))
    torch.manual_seed(0)
    targets = again._targets(batch, torch.tensor(sac.config.init_temperature))
    q_values = again.policy.q_values(again.policy.features(batch.obs), batch["actions"])
    (0.5 * (q_values - targets).square().mean(1).sum()).backward()
    for name, parameter in again.policy.critics.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad)  # none of the actor's
    assert all(parameter.grad is None for parameter in sac.policy.targets.parameters())


def test_bf16_learns_in_full_precision_weights(build, small_sac):
    env, sac = build(small_sac("algorithm.precision=bf16"))
    obs, _ = collect(env, sac, 10)
    metrics = sac.update(obs)
    assert all(torch.isfinite(value) and value.dtype == torch.float32 for value in metrics.values())
    assert {parameter.dtype for parameter in sac.policy.parameters()} == {torch.float32}


def test_normalizers_take_in_each_observation_once(build, small_sac):
    env, sac = build(small_sac())
    obs, _ = collect(env, sac, 10)
    sac.update(obs)
    obs, _ = collect(env, sac, 5, obs)
    sac.update(obs)
    assert sac.policy.normalizer.count == sac.policy.actor.normalizer.count == 15 * 4


def test_train_reads_no_tensor_on_the_host(small_sac, tmp_path, count_reads, reads_of_runs):
    config = small_sac("runner.num_steps_per_env=16", "algorithm.num_updates=8")
    train(config, log_root=tmp_path, quiet=True)
    assert count_reads(lambda: train(config, log_root=tmp_path, quiet=True)) == reads_of_runs(2, 16)


# Extensions


@config
class BonusConfig:
    """None."""


class Bonus(Extension):
    """A clock in the observations, a reward, a column and a loss."""

    latest = None

    def __init__(self, config, context):
        super().__init__(config, context)
        self.batches = []
        Bonus.latest = self

    def observation_groups(self):
        return {"clock": TensorSpec((1,))}

    def fields(self):
        return {"bonus": TensorSpec(())}

    def bind(self, bindings):
        self.storage = bindings.storage

    def before_act(self, obs):
        return obs.clone(recurse=False).set("clock", torch.full((len(obs), 1), 0.5))

    def extend_final_obs(self, final_obs):
        return final_obs.clone(recurse=False).set("clock", torch.full((len(final_obs), 1), -0.5))

    def shape_reward(self, transition, rewards):
        return torch.full_like(rewards, 7.0)

    def after_step(self, transition):
        self.storage.write("bonus", torch.full((4,), 3.0))

    def losses(self, batch, outputs):
        self.batches.append(batch)
        assert set(outputs) == {"q_values", "targets", "actions", "log_prob", "latent"}
        assert outputs["q_values"].shape == (2, 16)
        assert outputs["latent"].shape == (16, 8)
        assert outputs["actions"].shape == (16, 1)
        return {"drift": (outputs["q_values"].square().mean(), 0.1)}

    def after_backward(self, batch, outputs):
        self.batches.append(None)

    def metrics(self):
        return {"Bonus/seen": torch.tensor(1.0)}


class Augmenter(Extension):
    """Works through hooks that only an algorithm with rollouts calls."""

    def augment(self, batch):
        return batch

    def after_rollout(self, storage):
        pass


@pytest.fixture
def train_with(small_sac, tmp_path):
    """Train with one of the extensions above."""
    base = Registry.discover()
    entries = tuple(
        Entry("extension", cls.__name__.lower(), f"{__name__}:{cls.__name__}", f"{__name__}:BonusConfig", "", SOURCE)
        for cls in (Bonus, Augmenter)
    )
    registry = Registry([*base.plugins, PluginRow(SOURCE, "ok", "", entries)], base.manager)

    def run(name, *overrides):
        config = small_sac("iterations=6", *overrides)
        components = (ExtensionComponent(name, BonusConfig()),)
        algorithm = evolve(config.algorithm, config=evolve(config.algorithm.config, extensions=components))
        return train(evolve(config, algorithm=algorithm), log_root=tmp_path, quiet=True, registry=registry)

    return run


def test_extension_sees_and_changes_what_is_learned_from(train_with):
    groups = ("policy.actor.network.groups=[policy, clock]", "policy.critic.groups=[policy, clock]")
    metrics = train_with("bonus", *groups).metrics
    batch = Bonus.latest.batches[-2]
    assert Bonus.latest.batches[-1] is None  # the gradients come after the losses
    assert (batch["rewards"] == 7.0).all()
    assert (batch["bonus"] == 3.0).all()
    assert (batch.obs["clock"] == 0.5).all()
    assert (batch.next_obs["clock"] == -0.5).all()  # as `extend_final_obs` makes them: nobody acts on them here
    assert metrics["Train/mean_shaped_reward"] == 7.0
    assert metrics["Bonus/seen"] == 1.0
    assert metrics["Loss/drift"] > 0.0


def test_extension_for_rollouts_is_refused(train_with):
    message = (
        r"^algorithm\.extensions\[0\]: 'augmenter' works through `after_rollout`, `augment`, which 'fast_sac' never "
        r"calls; leave it out$"
    )
    with pytest.raises(ConfigError, match=message):
        train_with("augmenter")


# State


def test_train_evaluate_and_load_a_policy(small_sac, tmp_path):
    result = train(small_sac("iterations=4"), log_root=tmp_path, quiet=True)
    assert result.metrics["Loss/critic"] > 0.0
    assert evaluate(result.path, episodes=2).summary()["length"]["mean"] == 200.0
    policy = load_policy(result.path)
    obs = {"policy": torch.randn(5, 3)}
    actions = policy(obs)
    assert actions.shape == (5, 1)
    assert torch.equal(actions, policy(obs))
    assert policy.groups == ("policy",)


def test_resumed_run_acts_with_its_policy_while_the_replay_fills(small_sac, tmp_path):
    result = train(small_sac("iterations=4"), log_root=tmp_path, quiet=True)
    checkpoint = load_checkpoint(result.path / "model_4.pt")
    assert checkpoint.algorithm["has_learned"]
    assert checkpoint.ranks[0]["algorithm"]["storage"] == {}
    again = train(small_sac("iterations=5"), log_root=tmp_path, resume=result.path, quiet=True)
    assert "Loss/critic" in again.metrics  # 32 transitions an iteration are enough


def test_saved_replay_is_learned_from_at_once(build, small_sac, tmp_path):
    overrides = ("storage.save=true", "algorithm.learning_starts=100")
    result = train(small_sac("iterations=4", *overrides), log_root=tmp_path, quiet=True)
    checkpoint = load_checkpoint(result.path / "model_4.pt")
    _, sac = build(small_sac(*overrides))
    sac.load_state_dict(checkpoint.algorithm)
    assert sac.storage.num_transitions == 0
    sac.load_local_state_dict(checkpoint.ranks[0]["algorithm"], same_episodes=True)
    assert sac.storage.num_transitions == 4 * 8 * 4
    again = train(small_sac("iterations=5", *overrides), log_root=tmp_path, resume=result.path, quiet=True)
    assert "Loss/critic" in again.metrics


def test_state_of_other_networks_is_refused_whole(build, small_sac):
    _, sac = build(small_sac())
    _, other = build(small_sac("policy.critic.hidden_dims=[9]"))
    before = [parameter.clone() for parameter in other.policy.parameters()]
    with pytest.raises(CheckpointError, match=r"policy\.critics\.biases\.0 is \[2, 1, 8\] in the checkpoint and "):
        other.load_state_dict(sac.state_dict())
    assert all(map(torch.equal, before, other.policy.parameters()))


# Refusals


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "storage={name: rollout}",
            r"storage\.name: 'rollout' keeps no replay, which algorithm 'fast_sac' needs; write replay",
        ),
        (
            "policy={name: actor_critic, actor: {network: {name: mlp}, distribution: {name: gaussian}}, "
            "critic: {network: {name: mlp}}}",
            r"policy\.name: 'actor_critic' has no critics of actions, which algorithm 'fast_sac' needs; write "
            r"soft_actor_critic",
        ),
        (
            "algorithm.learning_starts=500",
            r"algorithm\.learning_starts: 500 transitions never are in the replay, which keeps 400; give fewer, or "
            r"raise storage\.capacity",
        ),
        (
            "env.id=CartPole-v1",
            r"algorithm\.name: 'fast_sac' is for continuous actions; the env takes 1 discrete with 2 choices; use "
            r"'ppo'",
        ),
    ],
)
def test_what_does_not_fit_is_refused(build, small_sac, override, message):
    with pytest.raises(ConfigError, match=f"^{message}$"):
        build(small_sac(override))


@pytest.mark.parametrize(
    ("algorithm", "message"),
    [("ppo", r"storage\.name: 'replay' keeps no rollout, which algorithm 'ppo' needs; write rollout")],
)
def test_replay_is_refused_by_algorithms_with_rollouts(build, small_config, algorithm, message):
    with pytest.raises(ConfigError, match=f"^{message}$"):
        build(small_config("storage={name: replay}", recipe="pendulum"))


def test_recipe_fits(build):
    pytest.importorskip("mujoco")
    _, sac = build(load_config("halfcheetah_sac"))
    assert sac.policy.critics.num_critics == 2


def test_rnd_learns_beside_it(build, small_sac):
    env, sac = build(small_sac("algorithm.extensions=[{name: rnd, state_normalization: true}]"))
    obs = None
    for _ in range(4):
        obs, _ = collect(env, sac, 8, obs)
        metrics = sac.update(obs)
    assert metrics["Loss/rnd"] > 0.0
    assert metrics["Rnd/weight"] == pytest.approx(0.1)
    assert sac.extensions.extensions[0].networks.state_normalizer.count == 4 * 8 * env.spec.num_envs


def test_update_normalizes_by_transitions_only(build, small_sac):
    env, sac = build(small_sac())
    obs, _ = collect(env, sac, 3)
    seen, _ = sac._seen[1]
    sac._seen[1] = seen, torch.zeros(len(seen), dtype=torch.bool)  # as of a step in which all envs were resetting
    sac.update(obs)
    assert sac.policy.normalizer.count == 2 * env.spec.num_envs
