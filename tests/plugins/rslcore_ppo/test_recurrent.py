"""PPO with recurrent networks: what is remembered, and that learning sees what acting saw."""

from __future__ import annotations

import contextlib
import re

import attrs
import pytest
import torch

from rslcore.config import ExtensionComponent, config, evolve, load_config
from rslcore.context import Context
from rslcore.errors import ConfigError
from rslcore.evaluation import evaluate, load_policy
from rslcore.extension import Extension
from rslcore.recurrence import InferenceMemory, forget, interleave, zero_state
from rslcore.registry import Entry, PluginRow, Registry, Source, default_registry
from rslcore.seeding import seed_everything
from rslcore.specs import TensorSpec
from rslcore.training import build_algorithm, num_steps_per_env, train
from rslcore_ppo.values import evaluate_rollout

CPU = torch.device("cpu")
T, N = 8, 4

MLP = "{name: mlp, hidden_dims: [8], normalize: true}"
LSTM = "{name: lstm, hidden_dims: [8], rnn_hidden_dim: 6, rnn_num_layers: 2, normalize: true}"
GRU = "{name: gru, hidden_dims: [8], rnn_hidden_dim: 6}"

# Episodes of at most 3 steps: Count's are truncated or terminated and begin anew in the same step, CartPole's are reset
# in the next one, which leaves rows that are no transitions.
SAME_STEP = ("env.id=rslcore_tests/Count-v0", "env.vectorization=sync", "algorithm.normalize_advantage=none")
NEXT_STEP = ("env.kwargs={max_episode_steps: 3}",)
ENVS = pytest.mark.parametrize("env", [SAME_STEP, NEXT_STEP], ids=["same_step", "next_step"])


def networks(actor, critic):
    return (f"policy.actor.network={actor}", f"policy.critic.network={critic}")


@pytest.fixture
def build(small_config):
    """Env and PPO of a small config."""
    with contextlib.ExitStack() as stack:

        def make(*overrides, change=lambda config: config, registry=None):
            config = change(small_config(*overrides))
            seed_everything(config.seed)
            registry = registry or default_registry()
            context = Context(registry, config, CPU, config.seed, num_steps_per_env(config))
            env = stack.enter_context(contextlib.closing(context.build(config.env, "env")))
            return env, build_algorithm(attrs.evolve(context, env=env, spec=env.spec))

        yield make


def collect(env, ppo, obs):
    """Collect a rollout; return the observations acted on, the steps and the last observations."""
    seen, steps = [], []
    with ppo.rollout_context():
        for _ in range(T):
            seen.append(obs)
            steps.append(env.step(ppo.act(obs)))
            ppo.process_env_step(steps[-1])
            obs = steps[-1].obs
    return seen, steps, obs


def ended(step):
    return step.dones if step.valid is None else step.dones | ~step.valid


@ENVS
@pytest.mark.parametrize(
    ("actor", "critic"), [(LSTM, LSTM), (GRU, GRU), (LSTM, MLP), (MLP, GRU)], ids=["lstm", "gru", "actor", "critic"]
)
def test_update_first_ratio_is_one_in_every_rollout(build, env, actor, critic):
    # One minibatch and one epoch: the KL divergence is that before the only step. What an actor remembers from the
    # rollout before, which another state of its weights computed, must be what it is given again.
    once = ("algorithm.num_mini_batches=1", "algorithm.num_learning_epochs=1", "algorithm.learning_rate=0.01")
    environment, ppo = build(*env, *once, *networks(actor, critic))
    ratios = []
    obs = environment.reset()
    for _ in range(4):
        _, _, obs = collect(environment, ppo, obs)
        ppo._compute_returns(obs)
        for batch in ppo.storage.mini_batches(2, 1, sequential=True):
            batch = ppo._with_states(batch)
            with torch.no_grad():
                params, _ = ppo.policy.actor_params(batch.obs, batch.states["actor"], batch.sequences)
                ratios.append((ppo.policy.distribution.log_prob(params, batch["actions"]) - batch["log_prob"]).exp())
                values, _ = ppo.policy.values(batch.obs, batch.states["critic"], batch.sequences)
            torch.testing.assert_close(values, batch["values"])
        assert ppo.update(obs)["Policy/kl"].item() == pytest.approx(0.0, abs=1e-6)
    ratios = torch.cat(ratios)
    torch.testing.assert_close(ratios, torch.ones_like(ratios))


@ENVS
@pytest.mark.parametrize("critic", [LSTM, GRU], ids=["lstm", "gru"])
def test_values_of_a_recurrent_critic_equal_those_step_by_step(build, env, critic):
    environment, ppo = build(*env, *networks(MLP, critic))
    network, obs = ppo.policy.critic, environment.reset()
    state = zero_state(network.state_specs(), N, CPU)
    num_truncated = num_compared = 0
    for _ in range(3):
        first = state
        seen, steps, obs = collect(environment, ppo, obs)
        values, finals = [], torch.zeros(T, N)
        with torch.no_grad():
            for t, (rows, step) in enumerate(zip(seen, steps, strict=True)):
                value, state = network(rows, state, None)
                values.append(value.squeeze(-1))
                if step.final_obs is not None:
                    finals[t] = network(step.final_obs, state, None)[0].squeeze(-1)
                state = forget(state, ended(step))
            last_values = network(obs, state, None)[0].squeeze(-1)
        values = torch.stack(values)
        found = evaluate_rollout(ppo.policy, ppo.storage, obs, ppo._final_obs, first)
        valid = torch.stack([torch.ones(N, dtype=torch.bool) if s.valid is None else s.valid for s in steps])
        truncated = torch.stack([step.truncated & ~step.terminated for step in steps])
        torch.testing.assert_close(found.values[valid], values[valid])
        torch.testing.assert_close(found.final_values[truncated], finals[truncated])
        torch.testing.assert_close(found.last_values, last_values)
        for name, part in state.items():
            torch.testing.assert_close(found.state[name], part)
        num_truncated += truncated.sum()
        num_compared += valid.sum()

        ppo._compute_returns(obs)
        storage = ppo.storage
        torch.testing.assert_close(storage.column("values")[valid], values[valid])
        # Where an episode was cut, the return is the reward and the discounted value of what was cut off.
        expected = (storage.column("rewards") + ppo.config.gamma * finals)[truncated]
        torch.testing.assert_close(storage.column("returns")[truncated], expected)
        goes_on = valid[-1] & ~steps[-1].dones
        expected = storage.column("rewards")[-1] + ppo.config.gamma * last_values
        torch.testing.assert_close(storage.column("returns")[-1][goes_on], expected[goes_on])
        ppo.update(obs)
    assert num_truncated > 0
    assert num_compared > 2 * T


@ENVS
def test_states_are_zero_after_an_end_and_only_there(build, env):
    environment, ppo = build(*env, *networks(LSTM, LSTM))
    obs = environment.reset()
    for _ in range(2):
        with ppo.rollout_context():
            for _ in range(T):
                step = environment.step(ppo.act(obs))
                ppo.process_env_step(step)
                obs = step.obs
                for part in ppo._states["actor"].values():
                    assert torch.equal(part.flatten(1).any(1), ~ended(step))
        ppo.update(obs)
        for part in ppo._states["critic"].values():
            assert torch.equal(part.flatten(1).any(1), ~ended(step))


def test_states_are_zero_after_load_state_dict(build):
    environment, ppo = build(*networks(LSTM, LSTM))
    obs = environment.reset()
    before = ppo.state_dict()
    _, _, obs = collect(environment, ppo, obs)
    ppo.update(obs)
    ppo.act_inference(obs)
    assert all(part.any() for state in ppo._states.values() for part in state.values())
    ppo.load_state_dict(before)
    for states in (ppo._states, ppo._first_states):
        assert not any(part.any() for state in states.values() for part in state.values())
    assert torch.equal(*(act() for act in (lambda: fresh(ppo, obs), lambda: ppo.act_inference(obs))))


def fresh(ppo, obs):
    """What the policy does with an empty memory."""
    return InferenceMemory(ppo.policy, CPU).act(obs)


def test_states_carry_no_gradient(build):
    environment, ppo = build(*networks(LSTM, GRU))
    _, _, obs = collect(environment, ppo, environment.reset())
    ppo.update(obs)
    assert not any(part.requires_grad for state in ppo._states.values() for part in state.values())


@ENVS
@pytest.mark.parametrize("shuffle", ["epoch", "rollout", "none"])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "rmsprop"])
def test_update_changes_every_parameter_and_is_finite(build, env, shuffle, optimizer):
    overrides = (f"algorithm.shuffle={shuffle}", f"algorithm.optimizer={optimizer}", "algorithm.num_mini_batches=2")
    environment, ppo = build(*env, *overrides, *networks(LSTM, GRU))
    before = [parameter.clone() for parameter in ppo.policy.parameters()]
    _, _, obs = collect(environment, ppo, environment.reset())
    assert all(value.isfinite() for value in ppo.update(obs).values())
    for old, new in zip(before, ppo.policy.parameters(), strict=True):
        assert new.isfinite().all()
        assert not torch.equal(old, new)


@pytest.mark.parametrize(
    ("number", "nearest", "actor", "critic"),
    [(3, 2, LSTM, MLP), (3, 2, MLP, GRU), (5, 4, LSTM, LSTM), (8, 4, GRU, GRU)],
)
def test_mini_batches_that_do_not_divide_the_envs_are_refused(build, number, nearest, actor, critic):
    message = (
        f"algorithm.num_mini_batches: {number} does not divide the 4 envs, which a recurrent policy learns from whole; "
        f"the nearest number that does is {nearest}"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        build(f"algorithm.num_mini_batches={number}", *networks(actor, critic))


def test_act_inference_remembers_until_it_is_reset(build):
    environment, ppo = build("env.id=Pendulum-v1", "policy.actor.distribution={name: gaussian}", *networks(LSTM, MLP))
    obs = environment.reset()
    with torch.no_grad():
        params, state = ppo.policy.actor_params(obs, zero_state(ppo.policy.state_specs()["actor"], N, CPU))
        again, _ = ppo.policy.actor_params(obs, state)
        assert torch.equal(ppo.act_inference(obs), params["mean"])
        ppo.reset(torch.tensor([True, False, False, True]))
        expected = torch.where(torch.tensor([[True], [False], [False], [True]]), params["mean"], again["mean"])
        torch.testing.assert_close(ppo.act_inference(obs), expected)
        ppo.reset()
        assert torch.equal(ppo.act_inference(obs), params["mean"])


def test_act_inference_leaves_the_rollout_alone(build):
    overrides = ("algorithm.num_mini_batches=1", "algorithm.num_learning_epochs=1")
    environment, ppo = build(*overrides, *networks(LSTM, LSTM))
    obs = environment.reset()
    with ppo.rollout_context():
        for _ in range(T):
            ppo.act_inference(obs)
            ppo.reset(torch.ones(N, dtype=torch.bool))
            step = environment.step(ppo.act(obs))
            ppo.process_env_step(step)
            obs = step.obs
    assert ppo.update(obs)["Policy/kl"].item() == pytest.approx(0.0, abs=1e-6)


@config
class NoOptions:
    """None."""


class Mirror(Extension):
    """Keeps a column, and doubles every minibatch."""

    seen: tuple = ()

    def fields(self):
        return {"mirror/number": TensorSpec((2,), "int64")}

    def bind(self, bindings):
        self.storage = bindings.storage
        self.count = 0
        Mirror.seen = []

    def after_step(self, transition):
        numbers = self.count + torch.arange(N)
        self.storage.write("mirror/number", torch.stack((numbers, transition.obs["policy"][:, 0].long()), -1))
        self.count += N

    def augment(self, batch):
        assert torch.equal(batch["mirror/number"][:, 1], batch.obs["policy"][:, 0].long())
        Mirror.seen.append(batch["mirror/number"][:, 0].tolist())
        batch.columns = {name: torch.cat((column, column)) for name, column in batch.columns.items()}
        batch.obs = torch.cat((batch.obs, batch.obs))
        if batch.sequences is not None:
            batch.sequences = batch.sequences.tile(2)
            batch.states = {name: interleave([state, state]) for name, state in batch.states.items()}
        return batch


@pytest.mark.parametrize("actor", [MLP, LSTM], ids=["flat", "recurrent"])
def test_extensions_see_their_columns_and_may_add_rows(build, actor):
    source = Source("tests", "rslcore-tests", "1.0", __name__)
    entry = Entry("extension", "mirror", f"{__name__}:Mirror", f"{__name__}:NoOptions", "", source)
    base = Registry.discover()
    registry = Registry([*base.plugins, PluginRow(source, "ok", "", (entry,))], base.manager)

    def with_mirror(config):
        components = (ExtensionComponent("mirror", NoOptions()),)
        return evolve(
            config, algorithm=evolve(config.algorithm, config=evolve(config.algorithm.config, extensions=components))
        )

    overrides = ("algorithm.num_learning_epochs=1", "algorithm.num_mini_batches=1", "algorithm.entropy_coef=0.01")
    results = []
    for change, used in ((lambda config: config, None), (with_mirror, registry)):
        environment, ppo = build(*SAME_STEP, *overrides, *networks(actor, MLP), change=change, registry=used)
        _, _, obs = collect(environment, ppo, environment.reset())
        metrics = ppo.update(obs)
        assert metrics["Policy/kl"].item() == pytest.approx(0.0, abs=1e-6)
        results.append([parameter.detach() for parameter in ppo.policy.parameters()])
    assert sorted(Mirror.seen[0]) == list(range(T * N))
    # Every row twice has the same mean as every row once.
    for once, twice in zip(*results, strict=True):
        torch.testing.assert_close(once, twice, atol=1e-4, rtol=1e-4)


@ENVS
def test_train_then_evaluate_a_recurrent_run(tmp_path, env):
    overrides = ["iterations=2", "env.num_envs=4", "runner.num_steps_per_env=8", "loggers=[]", *env]
    result = train(load_config("cartpole", [*overrides, *networks(LSTM, GRU)]), log_root=tmp_path, quiet=True)
    evaluation = evaluate(result.path, episodes=6, seed=3)
    assert len(evaluation.returns) == 6
    assert max(evaluation.lengths) <= 3
    assert evaluate(result.path, episodes=6, seed=3).returns == evaluation.returns
    policy = load_policy(result.path)
    assert policy({"policy": torch.zeros(5, *policy.spec.observations["policy"].shape)}).shape == (5, 1)
    policy.reset(torch.ones(5, dtype=torch.bool))
    policy.reset()


def test_train_resumes_a_recurrent_run(tmp_path, small_config):
    result = train(small_config(*networks(LSTM, GRU)), log_root=tmp_path, quiet=True)
    resumed = train(small_config("iterations=3", *networks(LSTM, GRU)), resume=result.path, quiet=True)
    assert resumed.iteration == 3
