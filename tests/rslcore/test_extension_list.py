"""Extensions: every hook is called, several work together, what they register is trained and saved."""

from __future__ import annotations

import pytest
import torch
from tensordict import TensorDict
from torch import nn

from rslcore.batch import Batch
from rslcore.config import ExtensionComponent, config, evolve, option
from rslcore.errors import CheckpointError, ConfigError, ExtensionError, PluginFaultError
from rslcore.evaluation import load_policy
from rslcore.extension import Extension
from rslcore.extension_list import ExtensionList
from rslcore.hooks import HOOKS, Hooks
from rslcore.optim import OPTIMIZERS, Adam
from rslcore.registry import Entry, PluginRow, Registry, Source
from rslcore.run.checkpoint import load_checkpoint
from rslcore.specs import TensorSpec
from rslcore.training import train

SOURCE = Source("tests", "rslcore-tests", "1.0", __name__)


@config
class ProbeConfig:
    """Options of both extensions."""

    bonus: float = option(1.0, "Added to every reward.")


class Recorder(Extension):
    """Counts its calls, adds a group, a column, a reward and a loss."""

    latest = None

    def __init__(self, config, context):
        super().__init__(config, context)
        self.calls = dict.fromkeys(HOOKS, 0)
        Recorder.latest = self

    def observation_groups(self):
        return {"clock": TensorSpec((1,))}

    def fields(self):
        return {"speed": TensorSpec((1,))}

    def bind(self, bindings):
        self.storage = bindings.storage
        self.predictor = nn.Linear(2, 1)
        bindings.modules.register(bindings.name, self.predictor, learning_rate=0.05)

    def before_act(self, obs):
        self.calls["before_act"] += 1
        added = obs.clone(recurse=False)
        added["clock"] = torch.full((len(obs), 1), 0.5)
        return added

    def after_act(self, obs, actions):
        self.calls["after_act"] += 1
        assert actions.shape == (4, 1)

    def extend_final_obs(self, final_obs):
        self.calls["extend_final_obs"] += 1
        added = final_obs.clone(recurse=False)
        added["clock"] = torch.full((len(final_obs), 1), -0.5)
        return added

    def shape_reward(self, transition, rewards):
        self.calls["shape_reward"] += 1
        return rewards + self.config.bonus

    def after_step(self, transition):
        self.calls["after_step"] += 1
        assert (transition.obs["clock"] == 0.5).all()
        assert transition.actions.shape == (4, 1)
        done = transition.step.dones
        assert torch.equal(transition.next_obs["policy"][~done], transition.step.obs["policy"][~done])
        self.storage.write("speed", transition.next_obs["policy"][:, :1])

    def after_rollout(self, storage):
        self.calls["after_rollout"] += 1
        storage.column("speed").mul_(2.0)
        self.rewards = storage.column("rewards").clone()

    def after_returns(self, storage, outputs):
        self.calls["after_returns"] += 1
        assert outputs["values"].shape == (8, 4)
        assert outputs["last_values"].shape == (4,)
        assert set(outputs["last_obs"].keys()) == {"policy", "clock"}
        returns = storage.column("returns")
        assert torch.equal(storage.column("advantages") + outputs["values"], returns)

    def losses(self, batch, outputs):
        self.calls["losses"] += 1
        assert set(outputs) == {"params", "values", "log_prob", "ratio", "latent"}
        error = self.predictor(batch.obs["policy"][:, :2]) - batch["speed"]
        return {"predictor": (error.square().mean(), 0.5)}

    def reset(self, dones):
        self.calls["reset"] += 1
        assert dones.shape == (4,)

    def train_mode(self, mode):
        self.calls["train_mode"] += mode

    def samplers(self, num_updates, batch_size):
        self.calls["samplers"] += 1
        assert (num_updates, batch_size) == (40, 8)
        return {"numbers": iter(range(num_updates))}

    def augment(self, batch):
        self.calls["augment"] += 1
        assert batch.samples["numbers"] == (self.calls["augment"] - 1) % 40
        return batch

    def after_backward(self, batch, outputs):
        self.calls["after_backward"] += 1
        assert self.predictor.weight.grad is not None
        self.before = self.predictor.weight.detach().clone()

    def after_minibatch(self, batch, outputs):
        self.calls["after_minibatch"] += 1
        assert not torch.equal(self.before, self.predictor.weight)
        assert len(batch) == len(outputs["ratio"])
        assert self.predictor.weight.grad is not None

    def after_update(self, storage):
        self.calls["after_update"] += 1

    def start_iteration(self, iteration, total):
        self.calls["start_iteration"] += 1
        assert total == 2

    def metrics(self):
        self.calls["metrics"] += 1
        return {"Probe/bonus": torch.tensor(self.config.bonus)}

    def state_dict(self):
        return {"steps": self.calls["after_step"]}

    def load_state_dict(self, state):
        self.calls["after_step"] = state["steps"]


class OwnOptimizer(Extension):
    """Trains a module with an optimizer of its own."""

    def bind(self, bindings):
        self.module = nn.Linear(1, 1)
        self.optimizer = torch.optim.SGD(self.module.parameters(), lr=0.1)
        bindings.modules.register(bindings.name, self.module, optimizer=self.optimizer)

    def losses(self, batch, outputs):
        return {"own": (self.module.bias.square().sum(), 1.0)}

    def after_minibatch(self, batch, outputs):
        self.optimizer.step()
        self.optimizer.zero_grad()


@pytest.fixture
def registry():
    base = Registry.discover()
    entries = tuple(
        Entry("extension", name, f"{__name__}:{cls}", f"{__name__}:ProbeConfig", "", SOURCE)
        for name, cls in (("recorder", "Recorder"), ("own_optimizer", "OwnOptimizer"), ("values", "Values"))
    )
    return Registry([*base.plugins, PluginRow(SOURCE, "ok", "", entries)], base.manager)


@pytest.fixture
def with_extensions(small_config):
    def make(*extensions, overrides=()):
        base = small_config(*overrides)
        components = tuple(ExtensionComponent(name, ProbeConfig(**options)) for name, options in extensions)
        algorithm = evolve(base.algorithm, config=evolve(base.algorithm.config, extensions=components))
        return evolve(base, algorithm=algorithm)

    return make


def test_extensions_every_hook_is_called_as_often_as_it_should(with_extensions, registry, tmp_path):
    overrides = ("env.id=rslcore_tests/Spaces-v0", "env.vectorization=sync")  # episodes of exactly 5 steps
    config = with_extensions(("recorder", {}), ("own_optimizer", {}), overrides=overrides)
    result = train(config, log_root=tmp_path, quiet=True, registry=registry)
    recorder = Recorder.latest
    steps, minibatches = 2 * 8, 2 * 10 * 4
    assert recorder.calls == {
        "after_act": steps,
        "before_act": steps,  # once for each observation that is acted on
        "extend_final_obs": steps + 2,  # the next observations of each transition, and the last ones of two rollouts
        "reset": steps,
        "train_mode": 1,
        "shape_reward": steps,
        "after_step": steps,
        "after_rollout": 2,
        "after_returns": 2,
        "samplers": 2,
        "augment": minibatches,
        "losses": minibatches,
        "after_backward": minibatches,
        "after_minibatch": minibatches,
        "after_update": 2,
        "start_iteration": 2,
        "metrics": 2,
    }
    assert result.metrics["Probe/bonus"] == 1.0
    assert {"Loss/predictor", "Loss/own"} < set(result.metrics)


def test_extensions_shaped_reward_is_learned_from_and_the_raw_one_is_reported(with_extensions, registry, tmp_path):
    config = with_extensions(("recorder", {"bonus": 5.0}))
    train(config, log_root=tmp_path, quiet=True, registry=registry)
    assert set(Recorder.latest.rewards.unique().tolist()) <= {5.0, 6.0}


def test_extensions_added_group_can_be_read_by_networks(with_extensions, registry, tmp_path):
    config = with_extensions(("recorder", {}), overrides=("policy.actor.network.groups=[policy,clock]",))
    result = train(config, log_root=tmp_path, quiet=True, registry=registry)
    weight = load_checkpoint(result.path / "model_2.pt").algorithm["modules"]["policy"]["module"][
        "actor.layers.0.weight"
    ]
    assert weight.shape[1] == 5


def test_extensions_state_is_saved_and_restored(with_extensions, registry, tmp_path):
    config = with_extensions(("recorder", {}), ("own_optimizer", {}))
    result = train(config, log_root=tmp_path, quiet=True, registry=registry)
    state = load_checkpoint(result.path / "model_2.pt").algorithm
    assert set(state["modules"]) == {"policy", "recorder", "own_optimizer"}
    assert state["modules"]["own_optimizer"]["optimizer"] is not None
    assert state["extensions"] == {"recorder": {"steps": 16}, "own_optimizer": {}}

    load_policy(result.path, registry=registry)
    assert Recorder.latest.calls["after_step"] == 16


def test_extensions_fixed_learning_rate_is_not_adapted(with_extensions, registry, tmp_path, monkeypatch):
    made = []
    monkeypatch.setitem(OPTIMIZERS, "adam", lambda groups: made.append(Adam(groups)) or made[-1])
    config = with_extensions(("recorder", {}), overrides=("algorithm.schedule=adaptive",))
    result = train(config, log_root=tmp_path, quiet=True, registry=registry)
    assert result.metrics["Loss/learning_rate"] != pytest.approx(1e-3)
    rates = [group.learning_rate.item() for group in made[0].groups]
    assert rates[:2] == [pytest.approx(result.metrics["Loss/learning_rate"])] * 2
    assert rates[2] == pytest.approx(0.05)


def test_extensions_final_observations_are_extended_apart(with_extensions, registry, tmp_path):
    config = with_extensions(("recorder", {}), overrides=("env.id=rslcore_tests/Count-v0", "env.vectorization=sync"))
    train(config, log_root=tmp_path, quiet=True, registry=registry)
    assert Recorder.latest.calls["before_act"] == 2 * 8
    assert Recorder.latest.calls["extend_final_obs"] > 2


def test_extensions_of_one_kind_have_names_of_their_own(with_extensions, registry, tmp_path):
    config = with_extensions(("own_optimizer", {}), ("own_optimizer", {}))
    result = train(config, log_root=tmp_path, quiet=True, registry=registry)
    state = load_checkpoint(result.path / "model_2.pt").algorithm
    assert set(state["modules"]) == {"policy", "own_optimizer", "own_optimizer#2"}


def test_extensions_that_take_one_name_are_refused(with_extensions, registry, tmp_path):
    config = with_extensions(("recorder", {}), ("recorder", {}))
    message = r"^algorithm\.extensions\[1\]: the storage has a field 'speed' already; choose another name$"
    with pytest.raises(ConfigError, match=message):
        train(config, log_root=tmp_path, quiet=True, registry=registry)


@pytest.mark.parametrize("hook", ["observation_groups", "bind", "fields"])
def test_extension_whose_code_raises_is_named_and_not_its_algorithm(
    with_extensions, registry, tmp_path, monkeypatch, hook
):
    def fail(self, *arguments):
        raise ValueError("not what was meant")

    monkeypatch.setattr(Recorder, hook, fail)
    message = f"^extension 'recorder' of rslcore-tests 1.0 failed in `{hook}`: ValueError: not what was meant$"
    with pytest.raises(PluginFaultError, match=message):
        train(with_extensions(("recorder", {})), log_root=tmp_path, quiet=True, registry=registry)


def test_extensions_other_than_those_of_the_checkpoint_are_refused(with_extensions, registry, tmp_path):
    result = train(with_extensions(("recorder", {})), log_root=tmp_path, quiet=True, registry=registry)
    other = with_extensions(("own_optimizer", {}), overrides=("iterations=3",))
    message = "^the checkpoint was made with the extensions 'recorder', this config has 'own_optimizer'$"
    with pytest.raises(CheckpointError, match=message):
        train(other, resume=result.path, quiet=True, registry=registry)


def test_hooks_that_nobody_overrides_are_empty():
    class OnlyMetrics(Extension):
        def metrics(self):
            return {}

    hooks = Hooks([OnlyMetrics(None, None), Extension(None, None)], ["metrics", "nothing"], ["", ""])
    assert {hook: len(getattr(hooks, hook)) for hook in HOOKS if getattr(hooks, hook)} == {"metrics": 1}


class History(Extension):
    """Adds the number of observations of the running episode; noise only while it trains."""

    def observation_groups(self):
        return {"age": TensorSpec((1,))}

    def bind(self, bindings):
        self.age, self.training = None, True

    def before_act(self, obs):
        self.age = torch.zeros(len(obs), 1) if self.age is None else self.age + 1.0
        added = obs.clone(recurse=False)
        added["age"] = self.age.clone()
        return added

    def extend_final_obs(self, final_obs):
        added = final_obs.clone(recurse=False)
        added["age"] = self.age + 1.0
        return added

    def reset(self, dones):
        if dones is None:
            self.age = None
        else:
            self.age[dones] = -1.0

    def train_mode(self, mode):
        self.training = mode


def test_extensions_forget_ended_episodes_in_rollouts_and_at_inference(with_extensions, registry, tmp_path):
    entry = Entry("extension", "history", f"{__name__}:History", f"{__name__}:ProbeConfig", "", SOURCE)
    registry = Registry([*registry.plugins, PluginRow(SOURCE, "ok", "", (entry,))], registry.manager)
    overrides = (
        "env.id=rslcore_tests/Count-v0",
        "env.vectorization=sync",
        "policy.actor.network.groups=[policy, age]",
        "policy.critic.network.groups=[policy]",
    )
    config = with_extensions(("history", {}), overrides=overrides)
    result = train(config, log_root=tmp_path, quiet=True, registry=registry)
    policy = load_policy(result.path, registry=registry)
    (history,) = policy.algorithm.extensions.extensions
    assert not history.training
    obs = {"policy": torch.zeros(3, 2)}
    policy(obs)
    policy(obs)
    policy.reset(torch.tensor([True, False, False]))
    policy(obs)
    assert history.age.flatten().tolist() == [0.0, 2.0, 2.0]
    policy.reset()
    policy({"policy": torch.zeros(5, 2)})
    assert history.age.flatten().tolist() == [0.0] * 5


@pytest.mark.parametrize(
    ("streams", "message"),
    [
        (
            ({"expert": range(99)}, {"expert": range(99)}),
            "^two extensions have a sampler 'expert'; one must choose another name$",
        ),
        (({"expert": range(1)},), "^the sampler 'expert' gave fewer than the 2 items$"),
    ],
)
def test_samplers_that_break_the_contract_are_refused(small_config, streams, message):
    extensions = ExtensionList((), None)
    extensions.hooks.samplers = tuple(
        lambda num_updates, batch_size, stream=stream: {name: iter(items) for name, items in stream.items()}
        for stream in streams
    )
    batches = (Batch({}, TensorDict({}, batch_size=[1]), 1) for _ in range(2))
    with pytest.raises(ExtensionError, match=message):
        list(extensions.draw(batches, 2, 1))


class Values(Extension):
    """Has two losses that are named as PPO's."""

    def losses(self, batch, outputs):
        return {"value": (torch.tensor(self.config.bonus), 1.0)}


def test_losses_that_take_a_name_of_the_algorithm_get_a_number(with_extensions, registry, tmp_path):
    config = with_extensions(("values", {"bonus": 3.0}), ("values", {"bonus": 4.0}))
    metrics = train(config, log_root=tmp_path, quiet=True, registry=registry).metrics
    assert (metrics["Loss/value#2"], metrics["Loss/value#3"]) == (3.0, 4.0)
    assert metrics["Loss/value"] not in (3.0, 4.0)


def test_augment_that_leaves_lengths_apart_is_refused():
    extensions = ExtensionList((), None)
    extensions.hooks.augment = (lambda batch: batch,)
    batch = Batch({"rewards": torch.zeros(2)}, TensorDict({}, batch_size=[4]), 2)
    message = "^`augment` returned observations of 4 rows, but column 'rewards' has 2$"
    with pytest.raises(ExtensionError, match=message):
        list(extensions.draw(iter([batch]), 1, 2))
