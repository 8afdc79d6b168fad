"""Makes a task of MuJoCo Playground as an rslcore env: Playground's own wrapper for rsl_rl, adapted."""

from __future__ import annotations

from rslcore.context import Context
from rslcore_playground.config import PlaygroundConfig
from rslcore_playground.tasks import import_playground, task_settings
from rslcore_rsl_rl.vec_env import VecEnvAdapter


def make_playground_env(config: PlaygroundConfig, context: Context) -> VecEnvAdapter:
    """N environments of a task, on the run's device, seeded with the run's seed.

    Raises:
        MissingExtraError: Playground is not installed.
        ConfigError: There is no such task, or its configuration does not take the changes.
    """
    settings = task_settings(config.task, config.changes, context.path)
    playground = import_playground()
    registry = playground.registry
    wrapped = playground.wrapper_torch.RSLRLBraxWrapper(
        registry.load(config.task, config=settings),
        config.num_envs,
        context.seed,
        settings.episode_length,
        1,
        randomization_fn=registry.get_domain_randomizer(config.task) if config.randomize else None,
        device_rank=(context.device.index or 0) if context.device.type == "cuda" else None,
    )
    return VecEnvAdapter(wrapped, context.device)
