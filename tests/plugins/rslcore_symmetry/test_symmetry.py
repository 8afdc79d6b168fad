"""Data augmentation and mirror loss, by hand and, for recurrent policies, against a loop over steps."""

from __future__ import annotations

import contextlib
import sys

import attrs
import mirrors
import pytest
import torch

from rslcore.config import ExtensionComponent, config, evolve
from rslcore.context import Context
from rslcore.errors import ConfigError, ExtensionError
from rslcore.evaluation import evaluate, load_policy
from rslcore.extension import Extension
from rslcore.recurrence import forget, zero_states
from rslcore.registry import Entry, PluginRow, Registry, Source
from rslcore.seeding import seed_everything
from rslcore.specs import TensorSpec
from rslcore.training import build_algorithm, num_steps_per_env, train

T, N = 8, 4
B = T * N
ONCE = ("algorithm.num_mini_batches=1", "algorithm.num_learning_epochs=1", "algorithm.optimizer=sgd")
LINEAR = (
    "policy.actor.network={name: mlp, hidden_dims: []}",
    "policy.critic.network={name: mlp, hidden_dims: []}",
)
SOURCE = Source("tests", "rslcore-tests", "1.0", __name__)


@config
class NoOptions:
    """Of an extension."""


class Curious(Extension):
    """A reward and a predictor of its own, as random network distillation has; learns from original rows only."""

    seen: tuple[int, int, int] = (0, 0, 0)

    def fields(self):
        return {"novelty": TensorSpec(())}

    def bind(self, bindings):
        self.storage = bindings.storage
        self.predictor = torch.nn.Linear(3, 1)
        bindings.modules.register("curious", self.predictor, learning_rate=0.01)

    def shape_reward(self, transition, rewards):
        self.novelty = self.predictor(transition.next_obs["policy"]).squeeze(1).square()
        return rewards + self.novelty

    def after_step(self, transition):
        self.storage.write("novelty", self.novelty)

    def losses(self, batch, outputs):
        rows = batch.obs["policy"][: batch.num_original]
        Curious.seen = batch.num_original, len(batch), len(batch["novelty"])
        return {"curious": (self.predictor(rows).square().mean(), 1.0)}


class Repeats(Extension):
    """Adds rows."""

    def augment(self, batch):
        columns = {name: torch.cat([column, column]) for name, column in batch.columns.items()}
        return attrs.evolve(batch, columns=columns, obs=torch.cat([batch.obs, batch.obs]))


@pytest.fixture
def registry():
    base = Registry.discover()
    entries = tuple(
        Entry("extension", cls.__name__.lower(), f"{__name__}:{cls.__name__}", f"{__name__}:NoOptions", "", SOURCE)
        for cls in (Curious, Repeats)
    )
    return Registry([*base.plugins, PluginRow(SOURCE, "ok", "", entries)], base.manager)


def with_extensions(original, registry, *extensions):
    """The config with extensions, given by name or as options of `symmetry`."""
    symmetry = registry.config_class("extension", "symmetry")
    components = tuple(
        ExtensionComponent(extension, NoOptions())
        if isinstance(extension, str)
        else ExtensionComponent("symmetry", symmetry(**extension))
        for extension in extensions
    )
    return evolve(
        original, algorithm=evolve(original.algorithm, config=evolve(original.algorithm.config, extensions=components))
    )


@pytest.fixture
def build(small_config, registry):
    """Env and PPO of a small config."""
    with contextlib.ExitStack() as stack:

        def make(*extensions, overrides=ONCE, recipe="pendulum"):
            config = with_extensions(small_config(*overrides, recipe=recipe), registry, *extensions)
            seed_everything(config.seed)
            context = Context(registry, config, torch.device("cpu"), config.seed, num_steps_per_env(config))
            env = stack.enter_context(contextlib.closing(context.build(config.env, "env")))
            return env, build_algorithm(attrs.evolve(context, env=env, spec=env.spec))

        yield make


def collect(env, ppo, obs=None):
    if obs is None:
        obs = env.reset()
    seen, steps = [], []
    with ppo.rollout_context():
        for _ in range(T):
            seen.append(obs)
            steps.append(env.step(ppo.act(obs)))
            ppo.process_env_step(steps[-1])
            obs = steps[-1].obs
    return seen, steps, obs


def batches(ppo, obs, count=1, sequential=False):
    """Minibatches of the rollout as an update draws them."""
    for after_rollout in ppo.extensions.hooks.after_rollout:
        after_rollout(ppo.storage)
    ppo._compute_returns(obs)
    drawn = ppo.storage.mini_batches(count, 1, sequential=sequential)
    return list(ppo.extensions.draw(map(ppo._with_states, drawn), count, B // count))


# The mirror loss


@pytest.mark.parametrize("augmented", [True, False])
def test_mirror_loss_of_a_linear_actor_and_its_gradient_by_hand(build, augmented):
    options = {"function": "mirrors:pendulum", "use_data_augmentation": augmented, "use_mirror_loss": True}
    env, ppo = build({**options, "mirror_loss_coeff": 0.3}, overrides=(*ONCE, *LINEAR))
    _, _, obs = collect(env, ppo)
    (batch,) = batches(ppo, obs)
    layer = ppo.policy.actor.layers[0]
    with torch.no_grad():
        layer.bias.fill_(0.7)  # makes the actor less symmetric
        x = batch.obs["policy"][:B]
        mirrored = x * torch.tensor([1.0, -1.0, -1.0])
        # What the actor does in a mirrored state should be the opposite of what it does in the state.
        error = (mirrored @ layer.weight.T + layer.bias) + (x @ layer.weight.T + layer.bias)
    params, _ = ppo.policy.actor_params(batch.obs, {})
    losses = ppo.extensions.losses(batch, {"params": params})
    assert losses.keys() == {"symmetry"}
    loss, weight = losses["symmetry"]
    assert weight == 0.3
    torch.testing.assert_close(loss.detach(), error.square().mean())
    loss.backward()
    # The target is no function of the parameters: only the mirrored rows carry gradients.
    torch.testing.assert_close(layer.weight.grad, 2.0 / B * error.T @ mirrored)
    torch.testing.assert_close(layer.bias.grad, 2.0 / B * error.sum(0))
    assert all(parameter.grad is None for parameter in ppo.policy.distribution.parameters())


def test_mirror_loss_is_learned_from(build):
    options = {"function": "mirrors:pendulum", "use_data_augmentation": False, "use_mirror_loss": True}
    losses = []
    for coefficient in (0.0, 10.0):
        overrides = (
            "algorithm.num_mini_batches=2",
            "algorithm.optimizer=adam",
            "policy.actor.network.output_scale=1.0",
        )
        env, ppo = build({**options, "mirror_loss_coeff": coefficient}, overrides=overrides)
        obs = None
        for _ in range(5):
            _, _, obs = collect(env, ppo, obs)
            metrics = ppo.update(obs)
        losses.append(metrics["Loss/symmetry"].item())
    assert losses[1] < 0.2 * losses[0]


def test_both_switches_off_only_logs(build):
    options = {"function": "mirrors:pendulum", "use_data_augmentation": False}
    results, metrics = [], []
    for extensions in ((), (options,)):
        env, ppo = build(*extensions)
        metrics.append(ppo.update(collect(env, ppo)[2]))
        results.append(torch.cat([parameter.detach().flatten() for parameter in ppo.policy.parameters()]))
    assert torch.equal(*results)
    assert set(metrics[1]) - set(metrics[0]) == {"Loss/symmetry"}
    assert metrics[1]["Loss/symmetry"] > 0.0


# Data augmentation


def test_augment_puts_mirrored_rows_behind_the_original_ones(build):
    env, ppo = build({"function": "mirrors:four"})
    _, _, obs = collect(env, ppo)
    (batch,) = batches(ppo, obs)
    assert (batch.num_original, len(batch)) == (B, 4 * B)
    assert {len(column) for column in batch.columns.values()} == {4 * B}
    original = batch.obs["policy"][:B]
    for copy, (factor, action_factor) in enumerate(zip(mirrors.FACTORS, (-1.0, 0.5, 2.0), strict=True), start=1):
        rows = slice(copy * B, (copy + 1) * B)
        assert torch.equal(batch.obs["policy"][rows], original * factor)
        assert torch.equal(batch["actions"][rows], batch["actions"][:B] * action_factor)
        for name in ("advantages", "returns", "values", "log_prob"):
            assert torch.equal(batch[name][rows], batch[name][:B])


def test_update_augmented_losses_are_means_over_all_rows_and_statistics_over_original_ones(build):
    # A standard deviation that depends on the state: entropies of mirrored rows are others.
    overrides = (*ONCE, *LINEAR, "policy.actor.distribution={name: heteroscedastic_gaussian}")
    overrides += ("algorithm.entropy_coef=0.01", "algorithm.clip_param=100.0")
    env, ppo = build({"function": "mirrors:pendulum"}, overrides=overrides)
    with torch.no_grad():
        ppo.policy.actor.layers[0].weight.copy_(torch.tensor([[0.3, 0.5, 0.2], [0.1, 0.4, -0.2]]))
    _, _, obs = collect(env, ppo)
    batches(ppo, obs)
    storage = ppo.storage
    columns = {
        name: storage.column(name).flatten(0, 1).clone() for name in ("actions", "advantages", "returns", "log_prob")
    }
    x = storage.observations()["policy"].clone()
    both, _ = mirrors.pendulum(None, storage.observations(), None)
    with torch.no_grad():
        params, _ = ppo.policy.actor_params(both, {})
        values, _ = ppo.policy.values(both, {})
        normal = torch.distributions.Normal(params["mean"], params["std"])
        log_prob = normal.log_prob(torch.cat([columns["actions"], -columns["actions"]])).sum(-1)
        ratio = (log_prob - columns["log_prob"].repeat(2)).exp()
        surrogate = -(ratio * columns["advantages"].repeat(2)).mean()
        value = (values - columns["returns"].repeat(2)).square().mean()
        entropy = normal.entropy().sum(-1)
    assert torch.equal(both["policy"][:B], x)
    metrics = ppo.update(obs)
    torch.testing.assert_close(metrics["Loss/surrogate"], surrogate)
    torch.testing.assert_close(metrics["Loss/value"], value)
    torch.testing.assert_close(metrics["Loss/entropy"], entropy[:B].mean())
    assert metrics["Loss/entropy"].item() != pytest.approx(entropy.mean().item(), rel=1e-3)
    assert metrics["Policy/kl"].item() == pytest.approx(0.0, abs=1e-6)


def test_discrete_actions_can_be_augmented(build):
    env, ppo = build({"function": "mirrors:cartpole"}, recipe="cartpole")
    metrics = ppo.update(collect(env, ppo)[2])
    assert "Loss/symmetry" not in metrics
    assert all(value.isfinite() for value in metrics.values())


# Recurrent policies


def recurrent(actor, critic):
    options = "hidden_dims: [8], rnn_hidden_dim: 6"
    network = {"mlp": "{name: mlp, hidden_dims: [8]}"}
    network |= {name: f"{{name: {name}, {options}}}" for name in ("gru", "lstm")}
    return (f"policy.actor.network={network[actor]}", f"policy.critic.network={network[critic]}")


def run(ppo, batch):
    """Means `[K, B]` and values `[K, B]` of a batch, and the row of the rollout of each original one, `[B]`."""
    with torch.no_grad():
        params, _ = ppo.policy.actor_params(batch.obs, batch.states.get("actor", {}), batch.sequences)
        values, _ = ppo.policy.values(batch.obs, batch.states.get("critic", {}), batch.sequences)
    count = batch.num_original
    (outputs,) = [params[name] for name in params if name != "std"]
    numbers = batch["numbers"][:count].long() if "numbers" in batch.columns else None
    return outputs[:, 0].view(-1, count), values.view(-1, count), numbers


PENDULUM = ("env.kwargs={max_episode_steps: 5}",)  # of which each env reaches the limit at another step
CARTPOLE = ("env.kwargs={max_episode_steps: 5}", "policy.actor.distribution={name: categorical}")


@pytest.mark.parametrize(("actor", "critic"), [("gru", "gru"), ("lstm", "lstm"), ("lstm", "mlp"), ("mlp", "gru")])
def test_recurrent_policy_whose_mirror_is_the_identity_does_the_same_in_both(build, actor, critic):
    env, ppo = build(
        {"function": "mirrors:same"}, overrides=("algorithm.num_mini_batches=2", *PENDULUM, *recurrent(actor, critic))
    )
    obs = env.reset()
    env.randomize_episode_steps()
    for _ in range(3):
        _, _, obs = collect(env, ppo, obs)
        for batch in batches(ppo, obs, 2, sequential=True):
            means, values, _ = run(ppo, batch)
            torch.testing.assert_close(means[0], means[1], rtol=1e-6, atol=1e-7)
            torch.testing.assert_close(values[0], values[1], rtol=1e-6, atol=1e-7)
        ppo.update(obs)


@pytest.mark.parametrize(("actor", "critic"), [("gru", "lstm"), ("mlp", "gru"), ("lstm", "mlp")])
@pytest.mark.parametrize("task", ["same_step", "next_step"])
def test_recurrent_policy_mirrored_rows_equal_a_loop_over_mirrored_steps(build, actor, critic, task):
    # Three mirrored copies and three rollouts, with an update after each; episodes end inside of them.
    if task == "same_step":
        function, factors, overrides, recipe = "mirrors:four", (1.0, *mirrors.FACTORS), PENDULUM, "pendulum"
    else:
        function, factors, overrides, recipe = "mirrors:cartpole", (1.0, -1.0), CARTPOLE, "cartpole"
    env, ppo = build(
        {"function": function},
        overrides=("algorithm.num_mini_batches=2", *overrides, *recurrent(actor, critic)),
        recipe=recipe,
    )
    states = [zero_states(ppo.policy.state_specs(), N, torch.device("cpu")) for _ in factors]
    obs = env.reset()
    env.randomize_episode_steps()
    for _ in range(3):
        seen, steps, obs = collect(env, ppo, obs)
        means, values = torch.zeros(len(factors), T, N), torch.zeros(len(factors), T, N)
        for copy, factor in enumerate(factors):
            for t, (observed, step) in enumerate(zip(seen, steps, strict=True)):
                mirrored = observed.clone()
                mirrored["policy"] = observed["policy"] * factor
                with torch.no_grad():
                    params, states[copy]["actor"] = ppo.policy.actor_params(mirrored, states[copy]["actor"])
                    values[copy, t], states[copy]["critic"] = ppo.policy.values(mirrored, states[copy]["critic"])
                (outputs,) = [params[name] for name in params if name != "std"]
                means[copy, t] = outputs[:, 0] if outputs.dim() == 2 else outputs[:, 0, 0]
                ended = step.dones if step.valid is None else step.dones | ~step.valid
                states[copy] = {name: forget(state, ended) for name, state in states[copy].items()}
        for batch in numbered_batches(ppo, obs):
            actual_means, actual_values, rows = run(ppo, batch)
            torch.testing.assert_close(actual_means, means.flatten(1)[:, rows])
            torch.testing.assert_close(actual_values, values.flatten(1)[:, rows])
        ppo.update(obs)


def numbered_batches(ppo, obs):
    """Minibatches that know which rows of the rollout they hold."""
    for after_rollout in ppo.extensions.hooks.after_rollout:
        after_rollout(ppo.storage)
    ppo._compute_returns(obs)
    ppo.storage._columns["numbers"] = torch.arange(B, dtype=torch.float32).view(T, N)
    drawn = ppo.storage.mini_batches(2, 1, sequential=True)
    yield from ppo.extensions.draw(map(ppo._with_states, drawn), 2, B // 2)
    del ppo.storage._columns["numbers"]


@pytest.mark.parametrize("augmented", [True, False])
def test_recurrent_policy_mirror_loss_of_the_identity_is_zero(build, augmented):
    options = {"function": "mirrors:same", "use_data_augmentation": augmented, "use_mirror_loss": True}
    overrides = ("algorithm.num_mini_batches=2", *PENDULUM, *recurrent("gru", "gru"))
    env, ppo = build(options, overrides=overrides)
    obs = None
    for _ in range(3):
        _, _, obs = collect(env, ppo, obs)
        assert ppo.update(obs)["Loss/symmetry"].item() == pytest.approx(0.0, abs=1e-10)


@pytest.mark.parametrize("same_episodes", [True, False], ids=["same", "new"])
def test_local_state_has_what_the_twins_remember_of_the_same_episodes(build, same_episodes):
    overrides = ("algorithm.num_mini_batches=2", *recurrent("gru", "gru"))
    env, ppo = build({"function": "mirrors:pendulum"}, overrides=overrides)
    ppo.update(collect(env, ppo)[2])
    (symmetry,) = ppo.extensions.extensions
    remembered = symmetry._twins[0]["actor"]["hidden"]
    assert remembered.any()
    _, other = build({"function": "mirrors:pendulum"}, overrides=overrides)
    other.load_local_state_dict(ppo.local_state_dict(), same_episodes)
    (restored,) = other.extensions.extensions
    expected = remembered if same_episodes else torch.zeros_like(remembered)
    assert torch.equal(restored._twins[0]["actor"]["hidden"], expected)


# Together with others


@pytest.mark.parametrize("order", [("symmetry", "curious"), ("curious", "symmetry")])
@pytest.mark.parametrize("network", ["mlp", "gru"])
def test_extension_beside_it_learns_from_original_rows(build, order, network):
    options = {"function": "mirrors:four", "use_mirror_loss": True}
    extensions = [options if name == "symmetry" else name for name in order]
    overrides = ("algorithm.num_mini_batches=2", *recurrent(network, network))
    env, ppo = build(*extensions, overrides=overrides)
    metrics = ppo.update(collect(env, ppo)[2])
    assert {"Loss/symmetry", "Loss/curious"} < set(metrics)
    assert Curious.seen == (B // 2, 4 * B // 2, 4 * B // 2)


def test_rows_that_another_extension_has_added_are_refused(build):
    env, ppo = build("repeats", {"function": "mirrors:pendulum"})
    message = (
        r"^algorithm\.extensions\[1\]\.name: 'symmetry' cannot mirror rows that other extensions add; use it alone$"
    )
    _, _, obs = collect(env, ppo)
    with pytest.raises(ConfigError, match=message):
        ppo.update(obs)


# Without the function


@pytest.fixture
def vanished(small_config, registry, tmp_path, monkeypatch):
    """A run and its config; the function that mirrored has gone."""
    (tmp_path / "my_robot.py").write_text("from mirrors import pendulum as mirror\n")
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        base = small_config("algorithm.num_mini_batches=2", *recurrent("gru", "gru"), recipe="pendulum")
        config = with_extensions(base, registry, {"function": "my_robot:mirror"})
        path = train(config, log_root=tmp_path, quiet=True).path
    (tmp_path / "my_robot.py").unlink()
    del sys.modules["my_robot"]
    return path, config


def test_policy_acts_where_the_function_is_not_installed(vanished):
    path, _ = vanished
    assert load_policy(path)({"policy": torch.zeros(2, 3)}).shape == (2, 1)
    assert len(evaluate(path, episodes=1).returns) == 1


def test_resume_where_the_function_is_not_installed_is_refused(vanished):
    path, config = vanished
    with pytest.raises(ConfigError) as caught:
        train(evolve(config, iterations=3), resume=path, quiet=True)
    assert str(caught.value) == (
        "algorithm.extensions[0].function: 'my_robot:mirror': there is no module 'my_robot'; "
        "install the package that has it, or put its folder on PYTHONPATH"
    )


def test_function_that_fails_later_is_named(build):
    env, ppo = build({"function": "mirrors:fails_on_many"})
    _, _, obs = collect(env, ppo)
    message = (
        "^extension 'symmetry' in `augment`: the mirror function 'mirrors:fails_on_many' failed: "
        "ValueError: too many rows$"
    )
    with pytest.raises(ExtensionError, match=message):
        ppo.update(obs)
