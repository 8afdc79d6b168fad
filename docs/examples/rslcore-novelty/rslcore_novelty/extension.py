"""A reward for novelty (Burda et al. 2019), much simplified.

    novelty(s) = mean_i (predictor(s)[i] - target(s)[i])^2

where the target is a random network that stays as it is. The reward of a step becomes `r + weight * novelty(s')` with
the true observation s' after the step. The predictor learns from the same s', so that what is seen often stops to pay.

Legend: N envs, B rows, D features of the observations.
"""

from collections.abc import Mapping
from typing import Any

import torch
from rslcore import Batch, Bindings, Extension, Transition
from rslcore.context import Context
from rslcore.metrics import Means
from rslcore.observations import vector_size
from rslcore.specs import TensorSpec
from tensordict import TensorDict
from torch import Tensor, nn

from rslcore_novelty.config import NoveltyConfig


class NoveltyExtension(Extension):
    """Rewards observations on which the predictor still differs from the random network.

    Args:
        config: The options.
        context: The surroundings: device, seed, and what the env says of itself (`context.env_spec`).

    Raises:
        ConfigError: The env has no 1-D observation group `policy`.
    """

    config: NoveltyConfig

    def __init__(self, config: NoveltyConfig, context: Context) -> None:
        super().__init__(config, context)
        self._num_features, width = vector_size(context, ["policy"], "name"), config.width
        self.target, self.predictor = (
            nn.Sequential(nn.Linear(self._num_features, width), nn.Tanh(), nn.Linear(width, width)).to(context.device)
            for _ in range(2)
        )
        self.target.requires_grad_(False)
        self._means = Means()

    # When the algorithm is built

    def observation_groups(self) -> Mapping[str, TensorSpec]:
        """The novelty of an observation, a number."""
        return {"novelty": TensorSpec((1,))}

    def bind(self, bindings: Bindings) -> None:
        """Both networks go into checkpoints; the algorithm's optimizer trains the predictor."""
        self._storage, self._column = bindings.storage, f"{bindings.name}/seen"
        bindings.modules.register(f"{bindings.name}_target", self.target)
        bindings.modules.register(f"{bindings.name}_predictor", self.predictor, learning_rate=self.config.learning_rate)

    def fields(self) -> Mapping[str, TensorSpec]:
        """What was rewarded: the true observation after each step, which the rollout's observations may not hold."""
        return {self._column: TensorSpec((self._num_features,))}

    # While a rollout is collected

    @torch.no_grad()
    def before_act(self, obs: TensorDict) -> TensorDict:
        """Add the group to observations `[N, ...]`, which stay as they are."""
        seen = obs.clone(recurse=False)
        seen["novelty"] = self._error(obs["policy"]).unsqueeze(-1)
        return seen

    def shape_reward(self, transition: Transition, rewards: Tensor) -> Tensor:
        """Add the novelty of what the step led to."""
        reward = self.config.weight * transition.next_obs["novelty"].squeeze(-1)
        self._means.add({"Novelty/reward": reward.mean()})
        return rewards + reward

    def after_step(self, transition: Transition) -> None:
        """Keep what was rewarded."""
        self._storage.write(self._column, transition.next_obs["policy"].float())

    # While the algorithm learns

    def losses(self, batch: Batch, outputs: Mapping[str, Any]) -> Mapping[str, tuple[Tensor, float]]:
        """The predictor's loss, with weight 1; logged as `Loss/novelty`."""
        return {"novelty": (self._error(batch[self._column]).mean(), 1.0)}

    def metrics(self) -> Mapping[str, Tensor]:
        """The mean reward of the iteration, still on the device."""
        return self._means.collect()

    def _error(self, rows: Tensor) -> Tensor:
        """Novelty `[B]` of observations `[B, D]`."""
        rows = rows.float()
        return (self.predictor(rows) - self.target(rows)).square().mean(-1)
