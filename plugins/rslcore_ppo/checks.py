"""What must fit before PPO can run, with messages that say what to do."""

from __future__ import annotations

from rslcore.context import Context
from rslcore_ppo.config import PpoConfig


def check_mini_batches(config: PpoConfig, context: Context, sequential: bool) -> int:
    """Number of rows of a minibatch.

    Minibatches must divide the rollout, or the envs where whole sequences are needed.

    Raises:
        ConfigError: They do not, or advantages are to be standardized over a single row.
    """
    num_envs, num_steps = context.env_spec.num_envs, context.num_steps_per_env
    rows, count = num_envs * num_steps, config.num_mini_batches
    divided = num_envs if sequential else rows
    if divided % count:
        below = next(number for number in range(min(count, divided), 0, -1) if divided % number == 0)
        above = (number for number in range(count, min(2 * count - below, divided + 1)) if divided % number == 0)
        near = next(above, below)
        what = (
            f"the {num_envs} envs, which a recurrent policy learns from whole"
            if sequential
            else f"the rollout of {rows} rows ({num_envs} envs * {num_steps} steps)"
        )
        raise context.error(
            "num_mini_batches", f"{count} does not divide {what}; the nearest number that does is {near}"
        )
    standardized = {"rollout": rows, "minibatch": rows // count, "none": 2}[config.normalize_advantage]
    if standardized < 2:
        raise context.error(
            "normalize_advantage",
            f"'{config.normalize_advantage}' has a single row here; collect more, or write 'none'",
        )
    return rows // count
