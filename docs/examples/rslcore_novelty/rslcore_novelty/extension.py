"""A reward for novelty (Burda et al. 2019), much simplified."""

from collections.abc import Mapping
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor, nn

from rslcore import Batch, Bindings, Extension, Transition
from rslcore.context import Context
from rslcore_novelty.config import NoveltyConfig


class Novelty(Extension):
    """Rewards observations on which the predictor still differs from the random network."""

    def __init__(self, config: NoveltyConfig, context: Context) -> None:
        super().__init__(config, context)
        num_inputs, width = context.env_spec.observations["policy"].size, config.width
        self.target = nn.Sequential(nn.Linear(num_inputs, width), nn.Tanh(), nn.Linear(width, width))
        self.predictor = nn.Sequential(nn.Linear(num_inputs, width), nn.Tanh(), nn.Linear(width, width))
        self.target.requires_grad_(False)
        self.last_reward = torch.zeros((), device=context.device)

    def bind(self, bindings: Bindings) -> None:
        """Both networks go into checkpoints; the algorithm's optimizer trains the predictor."""
        bindings.modules.register("novelty_target", self.target)
        bindings.modules.register("novelty_predictor", self.predictor, learning_rate=self.config.learning_rate)

    def shape_reward(self, transition: Transition, rewards: Tensor) -> Tensor:
        """Add the novelty of the observation that was acted on, from which the predictor learns too."""
        reward = self.config.weight * self._errors(transition.obs)
        self.last_reward = reward.mean()
        return rewards + reward

    def losses(self, batch: Batch, outputs: Mapping[str, Any]) -> Mapping[str, tuple[Tensor, float]]:
        """The predictor's loss."""
        return {"novelty": (self._errors(batch.obs).mean(), 1.0)}

    def metrics(self) -> Mapping[str, Tensor]:
        """The reward of the last step, still on the device."""
        return {"Novelty/reward": self.last_reward}

    def _errors(self, obs: TensorDict) -> Tensor:
        return (self.predictor(obs["policy"]) - self.target(obs["policy"])).square().mean(-1)
