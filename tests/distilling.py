"""What the tests of distillation share: extensions, and how a rollout is collected."""

from __future__ import annotations

import attrs
import torch

from rslcore.config import ExtensionComponent, config, evolve
from rslcore.extension import Extension
from rslcore.registry import Source
from rslcore.specs import TensorSpec

T, N, RATE = 8, 4, 0.1


LINEAR = "{name: mlp, hidden_dims: []}"
LSTM = "{name: lstm, rnn_hidden_dim: 6, rnn_num_layers: 2, hidden_dims: [8], normalize: true}"
SOURCE = Source("tests", "rslcore-tests", "1.0", __name__)


@config
class NoOptions:
    """Of an extension."""


class Recorder(Extension):
    """Counts its calls; adds a group and a loss, and gives the teacher's group as zeros."""

    latest = None

    def __init__(self, config, context):
        super().__init__(config, context)
        self.calls = []
        Recorder.latest = self

    def observation_groups(self):
        return {"clock": TensorSpec((1,))}

    def fields(self):
        return {"height": TensorSpec((1,))}

    def bind(self, bindings):
        self.storage = bindings.storage
        self.dropout = torch.nn.Dropout()
        bindings.modules.register("dropout", self.dropout)

    def start_iteration(self, iteration, total):
        self.calls.append("start_iteration")

    def before_act(self, obs):
        self.calls.append("before_act")
        added = obs.clone(recurse=False)
        added["clock"] = torch.ones(len(obs), 1)
        added["privileged"] = torch.zeros(len(obs), 1)
        return added

    def after_step(self, transition):
        self.calls.append("after_step")
        assert (transition.obs["clock"] == 1.0).all()
        self.storage.write("height", transition.step.obs["policy"][:, :1])

    def after_rollout(self, storage):
        self.calls.append("after_rollout")

    def samplers(self, num_updates, batch_size):
        self.calls.append(f"samplers {num_updates} {batch_size}")
        return {"numbers": iter(range(num_updates))}

    def augment(self, batch):
        assert batch.samples["numbers"] == self.calls.count("augment") % 6
        self.calls.append("augment")
        return batch

    def losses(self, batch, outputs):
        self.calls.append("losses")
        assert set(outputs) == {"params", "actions", "latent"}
        assert batch["height"].shape == (len(batch), 1)
        return {"height": (outputs["actions"].square().mean(), 0.5)}

    def after_minibatch(self, batch, outputs):
        self.calls.append("after_minibatch")

    def after_update(self, storage):
        self.calls.append("after_update")

    def metrics(self):
        self.calls.append("metrics")
        return {"Recorder/one": torch.tensor(1.0)}


class Doubled(Extension):
    """Puts every row behind the original ones once more."""

    def augment(self, batch):
        columns = {name: torch.cat([column, column]) for name, column in batch.columns.items()}
        return attrs.evolve(batch, columns=columns, obs=torch.cat([batch.obs, batch.obs]))


class Shaper(Extension):
    """Changes rewards."""

    def shape_reward(self, transition, rewards):
        return rewards + 1.0


def with_extensions(original, *names):
    extensions = tuple(ExtensionComponent(name, NoOptions()) for name in names)
    return evolve(
        original, algorithm=evolve(original.algorithm, config=evolve(original.algorithm.config, extensions=extensions))
    )


def collect(env, algorithm, obs=None):
    """Collect a rollout; return the observations acted on, the steps, and the last observations."""
    if obs is None:
        obs = env.reset()
    seen, steps = [], []
    with algorithm.rollout_context():
        for _ in range(T):
            seen.append(obs)
            steps.append(env.step(algorithm.act(obs)))
            algorithm.process_env_step(steps[-1])
            obs = steps[-1].obs
    return seen, steps, obs


def ended(step):
    return step.dones if step.valid is None else step.dones | ~step.valid


def valid(step):
    return torch.ones(N, dtype=torch.bool) if step.valid is None else step.valid


def parameters_of(algorithm):
    return torch.cat([parameter.detach().flatten() for parameter in algorithm.policy.parameters()])
