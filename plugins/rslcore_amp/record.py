"""Records reference motions: whole episodes of a trained policy.

python -m rslcore_amp.record RUN --output motions.npz
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy
from numpy.typing import NDArray

from rslcore.config import load_config
from rslcore.context import Context
from rslcore.device import resolve_device
from rslcore.errors import ConfigError, RslcoreError
from rslcore.evaluation import InferencePolicy, load_policy
from rslcore.observations import concatenate
from rslcore.playing import play
from rslcore.protocols import Env
from rslcore.registry import default_registry
from rslcore.run.folder import CONFIG_FILE, RunFolder
from rslcore.training import num_steps_per_env
from rslcore_amp.motions import save_motions


def record(env: Env, policy: InferencePolicy, groups: Sequence[str], episodes: int) -> list[NDArray[numpy.float32]]:
    """Play whole episodes and return 1-D observation groups of each, side by side, `[frames, D]`.

    A motion begins with an episode's first observation and ends with its last one, if the env keeps that. Every env
    plays the same number of episodes, give or take one.
    """
    running: list[list[NDArray[numpy.float32]]] = [[] for _ in range(env.spec.num_envs)]
    motions = []
    for played in play(env, policy, episodes):
        before = concatenate(played.obs, groups).cpu().numpy()
        for index in numpy.flatnonzero(played.valid):
            running[index].append(before[index])
        final = played.step.final_obs
        last = None if final is None else concatenate(final, groups).cpu().numpy()
        for index in numpy.flatnonzero(played.dones):
            if played.counted[index]:
                motions.append(numpy.stack(running[index] + ([] if last is None else [last[index]])))
            running[index] = []
    return motions


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, record, and write the file; exits with 2 and a message if something is to be mended."""
    parser = argparse.ArgumentParser(prog="python -m rslcore_amp.record", description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path, help="A run's folder, or that of an experiment: its latest run.")
    parser.add_argument("overrides", nargs="*", help="Of the run's config, such as env.groups={...}.")
    parser.add_argument("--output", type=Path, required=True, help="The .npz file to write.")
    parser.add_argument("--episodes", type=int, default=10, help="Number of whole episodes (10).")
    parser.add_argument("--checkpoint", default="latest", help="latest, best, an iteration or a file.")
    parser.add_argument("--seed", type=int, help="Of the envs; by default not that of training.")
    given = parser.parse_intermixed_args(arguments)
    if given.episodes < 1:
        parser.error(f"--episodes should be at least 1, it is {given.episodes}")
    if given.output.is_dir() or not given.output.parent.is_dir():
        parser.error(f"--output should be a file in a folder that is there, it is '{given.output}'")
    try:
        registry, folder = default_registry(), RunFolder.find(given.run).path
        config = load_config(folder / CONFIG_FILE, given.overrides)
        policy = load_policy(folder, checkpoint=given.checkpoint, registry=registry)
        seed = config.seed + 10_000 if given.seed is None else given.seed
        context = Context(registry, config, resolve_device("cpu"), seed, num_steps_per_env(config), restoring=True)
        with contextlib.closing(context.build(config.env, "env")) as env:
            specs = env.spec.observations
            sizes = {group: spec.size for group, spec in specs.items() if len(spec.shape) == 1}
            if not sizes:
                raise ConfigError.at("env", "has no 1-D observation group to record")
            motions = record(env, policy, tuple(sizes), given.episodes)
        save_motions(given.output, motions, sizes)
    except (RslcoreError, OSError, ValueError) as error:  # a policy that misses a group raises ValueError
        parser.exit(2, f"error: {error}\n")
    groups = ", ".join(f"{group} [{size}]" for group, size in sizes.items())
    print(f"{given.output}: {len(motions)} motions, {sum(map(len, motions)):,} frames of {groups}")


if __name__ == "__main__":
    main()
