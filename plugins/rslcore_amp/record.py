"""Records reference motions: whole episodes of a trained policy.

python -m rslcore_amp.record RUN --output motions.npz
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy
from numpy.typing import NDArray

from rslcore.config import load_config
from rslcore.context import Context
from rslcore.device import resolve_device
from rslcore.errors import RslcoreError
from rslcore.evaluation import InferencePolicy, load_policy
from rslcore.protocols import Env
from rslcore.registry import default_registry
from rslcore.run.folder import CONFIG_FILE, RunFolder
from rslcore.training import num_steps_per_env
from rslcore_amp.motions import save_motions

Motion = dict[str, NDArray[numpy.float32]]


def record(env: Env, policy: InferencePolicy, episodes: int) -> list[Motion]:
    """Play whole episodes and return the 1-D observation groups of each, `[frames, D]` float32.

    A motion begins with an episode's first observation and ends with its last one, if the env keeps that. Every env
    plays the same number of episodes, give or take one.
    """
    num_envs = env.spec.num_envs
    left = [episodes // num_envs + (index < episodes % num_envs) for index in range(num_envs)]
    names = [name for name, spec in env.spec.observations.items() if len(spec.shape) == 1]
    running: list[list[Motion]] = [[] for _ in range(num_envs)]
    motions: list[Motion] = []
    obs = env.reset()
    while any(left):
        step = env.step(policy(obs))
        before = {name: obs[name].float().cpu().numpy() for name in names}
        last = {} if step.final_obs is None else {name: step.final_obs[name].float().cpu().numpy() for name in names}
        valid = [True] * num_envs if step.valid is None else step.valid.tolist()
        for index in range(num_envs):
            if valid[index] and left[index]:
                running[index].append({name: before[name][index] for name in names})
        for index in step.dones.nonzero().flatten().tolist():
            if left[index]:
                frames = running[index] + ([{name: last[name][index] for name in names}] if last else [])
                motions.append({name: numpy.stack([frame[name] for frame in frames]) for name in names})
                left[index] -= 1
            running[index] = []
        policy.reset(step.resets)
        obs = step.obs
    return motions


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, record, and write the file; exits with 2 and a message if something is to be mended."""
    parser = argparse.ArgumentParser(prog="python -m rslcore_amp.record", description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path, help="A run's folder, or that of an experiment: its latest run.")
    parser.add_argument("overrides", nargs="*", help="Of the run's config, such as env.groups={...}.")
    parser.add_argument("--output", type=Path, required=True, help="The .npz file to write.")
    parser.add_argument("--episodes", type=int, default=10, help="Number of whole episodes (10).")
    parser.add_argument("--checkpoint", default="latest", help="latest, an iteration or a file.")
    parser.add_argument("--seed", type=int, help="Of the envs; by default not that of training.")
    given = parser.parse_intermixed_args(arguments)
    if given.episodes < 1:
        parser.error(f"--episodes should be at least 1, it is {given.episodes}")
    try:
        registry, folder = default_registry(), RunFolder.find(given.run).path
        config = load_config(folder / CONFIG_FILE, given.overrides)
        policy = load_policy(folder, checkpoint=given.checkpoint, registry=registry)
        seed = config.seed + 10_000 if given.seed is None else given.seed
        context = Context(registry, config, resolve_device("cpu"), seed, num_steps_per_env(config), restoring=True)
        with contextlib.closing(context.build(config.env, "env")) as env:
            motions = record(env, policy, given.episodes)
        save_motions(given.output, motions)
    except (RslcoreError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)
    frames = sum(len(next(iter(motion.values()))) for motion in motions)
    groups = ", ".join(f"{name} [{rows.shape[1]}]" for name, rows in motions[0].items())
    print(f"{given.output}: {len(motions)} motions, {frames:,} frames of {groups}")


if __name__ == "__main__":
    main()
