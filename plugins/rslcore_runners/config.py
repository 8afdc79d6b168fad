"""Options of the runner."""

from __future__ import annotations

from rslcore.config import Range, config, option


@config
class OnPolicyConfig:
    """The loop."""

    num_steps_per_env: int = option(
        24,
        "T, env steps between two updates; a rollout has num_envs * num_steps_per_env transitions.",
        Range(1, 1_000_000),
    )
    init_at_random_ep_len: bool = option(
        False,
        "Whether the first episodes are taken to be under way already, each by a random number of steps, so that they "
        "do not all reach their limit at once; needs an env that can do so.",
    )
    save_interval: int = option(50, "Iterations between two checkpoints; the last iteration is always saved.", Range(1))
