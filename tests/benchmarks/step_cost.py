"""What the library itself costs per env step on CartPole-v1 x 64.

Measured in one process, alternately, so that a busy machine slows all parts alike: the whole rollout step as the runner
does it, and the floor under it, a loop of nothing but Gymnasium's `env.step` and the matrix products and activations of
the actor. What is left is the library's: conversion, sampling, storage, statistics.

    python tests/benchmarks/step_cost.py [--rounds 30] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import attrs
import gymnasium
import torch

import rslcore
from rslcore.config import load_config
from rslcore.context import Context
from rslcore.metrics import EpisodeStatistics
from rslcore.registry import default_registry
from rslcore.training import build_algorithm

NUM_STEPS = 32


def measure(function: Callable[[], None]) -> float:
    """Microseconds per env step of a function that makes NUM_STEPS of them."""
    started = time.perf_counter()
    function()
    return (time.perf_counter() - started) / NUM_STEPS * 1e6


def main() -> None:
    """Print the medians over the rounds and the library's share."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    config = load_config("cartpole", [f"runner.num_steps_per_env={NUM_STEPS}", "loggers=[]"])
    torch.set_num_threads(config.num_threads or torch.get_num_threads())
    context = Context(default_registry(), config, torch.device("cpu"), config.seed, NUM_STEPS)
    env = context.build(config.env, "env")
    ppo = build_algorithm(attrs.evolve(context, env=env, spec=env.spec))
    episodes = EpisodeStatistics(env.spec.num_envs, NUM_STEPS, context.device)
    obs = env.reset()

    bare = gymnasium.make_vec("CartPole-v1", num_envs=env.spec.num_envs)
    bare.reset(seed=1)
    pushes = [bare.action_space.sample() for _ in range(NUM_STEPS)]

    def rollout() -> None:
        nonlocal obs
        with ppo.rollout_context():
            for _ in range(NUM_STEPS):
                step = env.step(ppo.act(obs))
                ppo.process_env_step(step)
                episodes.record(step)
                obs = step.obs

    def floor() -> None:
        rows, layers = obs["policy"], ppo.policy.actor.layers
        with torch.no_grad():
            for push in pushes:
                layers(rows)
                bare.step(push)

    parts = {"whole step": rollout, "env.step and network": floor}
    samples: dict[str, list[float]] = {name: [] for name in parts}
    for round_number in range(arguments.rounds + 3):
        for name, function in parts.items():
            sample = measure(function)
            if round_number >= 3:  # the first rounds warm up
                samples[name].append(sample)
        episodes.collect()
        ppo.storage.clear()

    medians = {name: statistics.median(values) for name, values in samples.items()}
    medians["library"] = medians["whole step"] - medians["env.step and network"]
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
    print(f"CartPole-v1 x {env.spec.num_envs}, microseconds per env step of all envs, medians of {arguments.rounds}")
    print(f"rslcore {rslcore.__version__}, torch {torch.__version__}, gymnasium {gymnasium.__version__}, {machine}")
    for name, median in medians.items():
        print(f"  {name:20} {median:8.1f}   {median / medians['whole step']:6.0%}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine, "microseconds_per_step": medians}, indent=2))


if __name__ == "__main__":
    main()
