"""An extension that takes part everywhere, to stand beside the one that is tested.

Legend: N envs, T steps of a rollout, B rows of a minibatch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor, nn

from rslcore.batch import Batch
from rslcore.context import Context
from rslcore.extension import Bindings, Extension, Transition
from rslcore.specs import TensorSpec
from rslcore.testing.fakes.config import FakeExtensionConfig

GROUP = "fake_steps"
"""The observation group that the extension adds: steps of the episode, `[N, 1]`."""


class FakeExtension(Extension):
    """Counts the steps of episodes, rewards long ones, and learns to predict rewards from actions."""

    def __init__(self, config: FakeExtensionConfig, context: Context) -> None:
        super().__init__(config, context)
        self._predictor = nn.Linear(context.env_spec.actions.num_actions, 1)
        self._steps = torch.zeros(context.env_spec.num_envs, device=context.device)
        self._rows = 0

    def observation_groups(self) -> Mapping[str, TensorSpec]:
        """The steps of the episode."""
        return {GROUP: TensorSpec((1,))}

    def bind(self, bindings: Bindings) -> None:
        """The predictor is trained by the algorithm's optimizer."""
        self._storage, self._column = bindings.storage, f"{bindings.name}/reward"
        bindings.modules.register(bindings.name, self._predictor)

    def fields(self) -> Mapping[str, TensorSpec]:
        """The env's own reward."""
        return {self._column: TensorSpec(())}

    def before_act(self, obs: TensorDict) -> TensorDict:
        """Add the steps so far."""
        if len(obs) != len(self._steps):  # acting on other envs than those of training
            self._steps = torch.zeros(len(obs), device=self.context.device)
        seen = self._with_steps(obs)
        self._steps = self._steps + 1
        return seen

    def extend_final_obs(self, final_obs: TensorDict) -> TensorDict:
        """Add the steps so far, and count none."""
        return self._with_steps(final_obs)

    def reset(self, dones: Tensor | None) -> None:
        """Count from 0 again."""
        self._steps = torch.zeros_like(self._steps) if dones is None else self._steps.masked_fill(dones, 0.0)

    def shape_reward(self, transition: Transition, rewards: Tensor) -> Tensor:
        """A bonus for every step."""
        return rewards + 0.01 * self._steps

    def after_step(self, transition: Transition) -> None:
        """Keep the env's own reward."""
        self._rows += 1
        self._storage.write(self._column, transition.step.rewards)

    def losses(self, batch: Batch, outputs: Mapping[str, Any]) -> Mapping[str, tuple[Tensor, float]]:
        """The predictor's mean squared error."""
        predicted = self._predictor(batch["actions"].float()).squeeze(-1)
        return {"fake": ((predicted - batch[self._column]).square().mean(), 0.5)}

    def metrics(self) -> Mapping[str, Tensor]:
        """The predictor's bias."""
        return {"Fake/bias": self._predictor.bias.detach().mean()}

    def state_dict(self) -> dict[str, Any]:
        """Rows that were seen."""
        return {"rows": self._rows}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self._rows = state["rows"]

    def local_state_dict(self) -> dict[str, Any]:
        """The steps of the running episodes."""
        return {"steps": self._steps}

    def load_local_state_dict(self, state: Mapping[str, Any], same_episodes: bool) -> None:
        """The inverse of `local_state_dict`; new episodes have no steps behind them."""
        steps = state["steps"].to(self.context.device)
        self._steps = steps if same_episodes else torch.zeros_like(steps)

    def _with_steps(self, obs: TensorDict) -> TensorDict:
        seen = obs.clone(recurse=False)
        seen[GROUP] = self._steps.unsqueeze(-1).clone()
        return seen
