"""What a parity test compares: one experiment, written in rslcore's own config, and how it is called.

`ours` builds it as it stands, `theirs` translates it.

Legend: N envs, T steps of a rollout, A actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

ROWS = {"policy": (6,), "privileged": (3,)}
"""Two observation groups of features."""

IMAGES = {"policy": (6,), "camera": (3, 10, 8), "depth": (1, 7, 9)}
"""Features, and images of two sizes."""

MLP: dict[str, Any] = {"name": "mlp", "hidden_dims": [16, 12], "activation": "elu"}
LSTM: dict[str, Any] = {"name": "lstm", "hidden_dims": [12], "rnn_hidden_dim": 10}
GRU: dict[str, Any] = LSTM | {"name": "gru"}
GAUSSIAN: dict[str, Any] = {"name": "gaussian", "init_std": 0.8}


@attrs.frozen(kw_only=True)
class Case:
    """One experiment.

    Attributes:
        name: Of the test.
        actor: The network's config, of the student where there is one.
        critic: The network's config; it reads other groups than the actor by default.
        distribution: The distribution's config.
        algorithm: Options other than the default ones.
        share_encoders: As in the policy's config.
        teacher: For distillation, the network of the teacher.
        observations: Shapes of the observation groups.
        num_envs: N.
        num_steps: T.
        num_actions: A.
    """

    name: str
    actor: Mapping[str, Any] = MLP
    critic: Mapping[str, Any] = attrs.field(
        default=attrs.Factory(lambda self: {**self.actor, "groups": ["policy", "privileged"]}, takes_self=True)
    )
    distribution: Mapping[str, Any] = GAUSSIAN
    algorithm: Mapping[str, Any] = attrs.field(factory=dict)
    share_encoders: bool = False
    teacher: Mapping[str, Any] | None = None
    observations: Mapping[str, tuple[int, ...]] = attrs.field(factory=lambda: ROWS)
    num_envs: int = 8
    num_steps: int = 12
    num_actions: int = 3

    @property
    def is_recurrent(self) -> bool:
        """Whether one of the networks that learn remembers anything."""
        return any(network["name"] in ("lstm", "gru") for network in (self.actor, self.critic))
