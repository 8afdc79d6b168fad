"""`runner.alg.actor_critic` of rsl_rl 1 and 2, `runner.alg.policy` of 2 and 3, for scripts that play and export.

There one module held both networks. Scripts take the fully connected layers, the recurrent module and the normalizer
out of it; here they are those of the network that acts.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rslcore_rsl_rl.model import InferenceModel


class OldPolicy:
    """What acts, by the names that it had; its parameters are the live ones.

    Args:
        model: The actor, or the student.
        name: `actor` or `student`.

    Attributes:
        actor: The fully connected layers of an actor, which `torch.jit.script` takes; `student` those of a student.
        actor_obs_normalizer: What normalizes their inputs `[N, D]`; `student_obs_normalizer` of a student.
        memory_a: Only of a recurrent actor: its `rnn` is the `nn.LSTM` or `nn.GRU`; `memory_s` of a student.
        is_recurrent: Whether there is one.
    """

    def __init__(self, model: InferenceModel, name: str) -> None:
        self._model = model
        self.is_recurrent = model.is_recurrent
        setattr(self, name, model.mlp)
        setattr(self, f"{name}_obs_normalizer", model.obs_normalizer)
        if model.is_recurrent:
            setattr(self, f"memory_{name[0]}", model.rnn)

    def act_inference(self, obs: Any) -> Tensor:
        """The best actions `[N, A]` for observations, in the forms that `InferenceModel` takes."""
        actions: Tensor = self._model(obs)
        return actions

    def reset(self, dones: Tensor | None = None) -> None:
        """Forget the episodes of the envs in `dones [N]`, or all."""
        self._model.reset(dones)

    def eval(self) -> OldPolicy:
        """Put it in evaluation mode."""
        self._model.eval()
        return self

    def to(self, device: str | torch.device) -> OldPolicy:
        """Move it; it is what learns, not a copy."""
        self._model.to(device)
        return self
