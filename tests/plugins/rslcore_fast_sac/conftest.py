"""Fixtures of fast_sac."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rslcore.config import ExperimentConfig


@pytest.fixture
def small_sac(small_config: Callable[..., ExperimentConfig]) -> Callable[..., ExperimentConfig]:
    """fast_sac on a pendulum, made small, with further overrides."""

    def load(*overrides: str) -> ExperimentConfig:
        network = "{name: mlp, hidden_dims: [8], normalize: true}"
        critic = "{hidden_dims: [8], normalize: true}"
        return small_config(
            f"policy={{name: soft_actor_critic, actor: {{network: {network}}}, critic: {critic}}}",
            "algorithm={name: fast_sac, num_updates: 2, batch_size: 16, learning_starts: 32}",
            "storage={name: replay, capacity: 400}",
            *overrides,
            recipe="pendulum",
        )

    return load
