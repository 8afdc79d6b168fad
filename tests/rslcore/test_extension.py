"""What the hooks of extensions are given, on envs whose every number is known."""

from __future__ import annotations

import pytest
import torch
from tensordict import TensorDict
from torch import nn

from rslcore.config import ExtensionComponent, config, evolve
from rslcore.evaluation import load_policy
from rslcore.extension import Extension, Transition
from rslcore.protocols import EnvStep
from rslcore.registry import Entry, PluginRow, Registry, Source
from rslcore.returns import generalized_advantages
from rslcore.run.checkpoint import load_checkpoint
from rslcore.specs import TensorSpec
from rslcore.training import train

SOURCE = Source("tests", "rslcore-tests", "1.0", __name__)
COUNT = ("env.id=rslcore_tests/Count-v0", "env.vectorization=sync")


@config
class NoOptions:
    """Of the extensions."""


class Pairs(Extension):
    """Notes what it is given of each step; the group `twice` is the group `policy`, doubled."""

    latest = None

    def __init__(self, config, context):
        super().__init__(config, context)
        self.pairs, self.linked = [], []
        Pairs.latest = self

    def observation_groups(self):
        return {"twice": TensorSpec((2,))}

    def before_act(self, obs):
        added = obs.clone(recurse=False)
        added["twice"] = 2.0 * obs["policy"]
        return added

    def after_step(self, transition):
        self.pairs.append(torch.cat([transition.obs["twice"], transition.next_obs["twice"]], dim=1))
        self.linked.append(transition.linked)
        transition.add_to_episode("twice", 2.0 * transition.step.rewards)


class LatestActions(Extension):
    """Adds the action before each observation; notes what it has added."""

    def __init__(self, config, context):
        super().__init__(config, context)
        self.latest = None
        self.seen = []
        LatestActions.built = self

    def observation_groups(self):
        return {"action": TensorSpec((1,))}

    def before_act(self, obs):
        self.seen.append(self.extend_final_obs(obs)["action"])
        return self.extend_final_obs(obs)

    def extend_final_obs(self, final_obs):
        added = final_obs.clone(recurse=False)
        added["action"] = torch.zeros(len(final_obs), 1) if self.latest is None else self.latest
        return added

    def after_act(self, obs, actions):
        assert "action" in obs.keys()  # noqa: SIM118 - a TensorDict iterates over rows
        self.latest = 1.0 + actions.float()

    def reset(self, dones):
        self.latest = None if dones is None else torch.where(dones[:, None], 0.0, self.latest)


class OwnCritic(Extension):
    """Rewards every step with 1, valued by a critic of its own that is trained along (Burda et al. 2019)."""

    def fields(self):
        return {"own/rewards": TensorSpec(()), "own/returns": TensorSpec(())}

    def bind(self, bindings):
        self.storage = bindings.storage
        self.critic = nn.Linear(4, 1)
        nn.init.zeros_(self.critic.weight)
        nn.init.constant_(self.critic.bias, 10.0)
        bindings.modules.register("own_critic", self.critic, learning_rate=0.02)
        OwnCritic.latest = self

    def after_step(self, transition):
        self.storage.write("own/rewards", torch.ones(4))

    def after_returns(self, storage, outputs):
        self.dones = storage.column("dones").clone()
        values = self.critic(storage.observations()["policy"]).view(self.dones.shape)
        last_values = self.critic(outputs["last_obs"]["policy"]).squeeze(-1)
        advantages = generalized_advantages(
            storage.column("own/rewards"), values, self.dones, last_values, torch.zeros_like(values), 0.5, 0.0
        )
        storage.column("own/returns").copy_(advantages + values)
        self.before = storage.column("advantages").clone()
        storage.column("advantages").add_(advantages, alpha=2.0)

    def losses(self, batch, outputs):
        values = self.critic(batch.obs["policy"]).squeeze(-1)
        return {"own_value": ((values - batch["own/returns"]).square().mean(), 1.0)}

    def after_update(self, storage):
        self.after = storage.column("advantages").clone()


class Latents(Extension):
    """Pulls what the actor's last layer is fed with to zero."""

    def bind(self, bindings):
        Latents.policy = bindings.policy

    def losses(self, batch, outputs):
        assert outputs["latent"].shape == (len(batch), 64)
        return {"latent": (outputs["latent"].square().mean(), 1.0)}

    def after_minibatch(self, batch, outputs):
        last = Latents.policy.actor.output_layer(outputs["latent"])
        assert last.shape == (len(batch), 2)
        self.gradient = Latents.policy.actor.layers[0].weight.grad.abs().sum()


@pytest.fixture
def registry_with():
    def make(extension):
        entry = Entry("extension", "probe", f"{__name__}:{extension.__name__}", f"{__name__}:NoOptions", "", SOURCE)
        base = Registry.discover()
        return Registry([*base.plugins, PluginRow(SOURCE, "ok", "", (entry,))], base.manager)

    return make


@pytest.fixture
def train_with(small_config, tmp_path, registry_with):
    def run(extension, *overrides):
        registry = registry_with(extension)
        whole = small_config(*overrides)
        components = (ExtensionComponent("probe", NoOptions()),)
        algorithm = evolve(whole.algorithm, config=evolve(whole.algorithm.config, extensions=components))
        return train(evolve(whole, algorithm=algorithm), log_root=tmp_path, quiet=True, registry=registry)

    return run


def transition_of(*, terminated=(False, False), final=None, valid=None):
    def flags(values):
        return torch.tensor(values)

    step = EnvStep(
        obs=TensorDict({"policy": torch.zeros(2, 1)}, batch_size=[2]),
        rewards=torch.zeros(2),
        terminated=flags(terminated),
        truncated=flags((False, False)),
        final_obs=None if final is None else TensorDict({"policy": torch.tensor(final)}, batch_size=[2]),
        valid=None if valid is None else flags(valid),
    )
    return Transition(step.obs, torch.zeros(2, 1), step)


@pytest.mark.parametrize(
    ("given", "linked"),
    [
        ({}, [True, True]),
        ({"terminated": (True, False)}, [False, True]),
        ({"terminated": (True, False), "final": ((5.0,), (0.0,))}, [True, True]),
        ({"valid": (False, True)}, [False, True]),
        ({"valid": (True, False), "terminated": (True, True), "final": ((5.0,), (0.0,))}, [True, False]),
    ],
)
def test_linked_is_where_the_next_observation_is_of_the_same_episode(given, linked):
    assert transition_of(**given).linked.tolist() == linked


def test_next_obs_is_the_last_one_of_ended_episodes():
    transition = transition_of(terminated=(True, False), final=((5.0,), (0.0,)))
    assert transition.next_obs["policy"].tolist() == [[5.0], [0.0]]


def test_next_obs_has_the_groups_of_extensions_and_never_crosses_a_reset(train_with):
    train_with(Pairs, *COUNT, "policy.actor.network.groups=[policy,twice]", "iterations=4")
    pairs, linked = torch.cat(Pairs.latest.pairs), torch.cat(Pairs.latest.linked)
    assert linked.all()  # this env keeps final observations
    episode, step, next_episode, next_step = pairs.T
    assert torch.equal(episode, next_episode)
    assert torch.equal(step + 2.0, next_step)


def test_add_to_episode_reports_the_sum_of_an_episode(train_with):
    metrics = train_with(Pairs, *COUNT, "iterations=4").metrics
    assert metrics["Episode/twice"] == pytest.approx(2.0 * metrics["Train/mean_reward"])
    assert metrics["Train/mean_reward"] > 0.0


def test_after_returns_adds_the_advantages_of_a_second_critic_before_they_are_normalized(train_with):
    train_with(OwnCritic, "algorithm.normalize_advantage=none", "iterations=1")
    own = OwnCritic.latest
    # r + gamma * V' - V with gamma = 0.5 and V = 10: 1 + 5 - 10 within an episode, 1 - 10 at its end.
    expected = torch.where(own.dones, 1.0 - 10.0, 1.0 + 5.0 - 10.0)
    torch.testing.assert_close(own.after - own.before, 2.0 * expected)


def test_after_returns_second_critic_learns_the_value_of_its_reward_and_is_saved(train_with):
    result = train_with(OwnCritic, "iterations=30")
    assert result.metrics["Loss/own_value"] < 0.5  # 64 at first: 1 / (1 - 0.5) = 2 is the value of long episodes
    saved = load_checkpoint(result.path / "model_30.pt").algorithm["modules"]["own_critic"]["module"]
    assert torch.equal(saved["bias"], OwnCritic.latest.critic.bias.detach())


def test_latent_of_the_actor_can_be_learned_from(train_with):
    pulled = train_with(Latents, "algorithm.learning_rate=1e-3", "algorithm.schedule=fixed", "iterations=6")
    assert pulled.metrics["Loss/latent"] < 0.02


def test_after_act_tells_of_actions_in_rollouts_and_where_a_policy_acts(train_with, registry_with):
    registry = registry_with(LatestActions)
    result = train_with(LatestActions, *COUNT, "policy.actor.network.groups=[policy,action]", "iterations=1")
    trained = torch.stack(LatestActions.built.seen)
    assert trained[0].tolist() == [[0.0]] * 4
    assert set(trained.flatten().tolist()) == {0.0, 1.0}  # none, and action 0; action 1 ends the episode

    policy = load_policy(result.path, registry=registry)
    obs = {"policy": torch.zeros(2, 2)}
    actions = [policy(obs) for _ in range(3)]
    seen = LatestActions.built.seen[-3:]
    assert seen[0].tolist() == [[0.0]] * 2
    assert torch.equal(seen[1], 1.0 + actions[0].float())
    assert torch.equal(seen[2], 1.0 + actions[1].float())
