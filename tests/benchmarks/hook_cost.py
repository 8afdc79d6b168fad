"""What extensions cost an iteration of PPO: none, some whose hooks are all unused, and the built-in ones.

An env that costs nothing hands out the same tensors at every step. All variants take turns in one process, so that a
busy machine slows them alike; what counts are the ratios to PPO without extensions, which is measured twice, so that
its own ratio shows the noise.

    python tests/benchmarks/hook_cost.py [--rounds 30] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from pathlib import Path

import torch
from free_env import FreeEnv, FreeEnvConfig, make_registry

import rslcore
from rslcore.config import ExperimentConfig, load_config
from rslcore.context import Context
from rslcore.extension import Extension
from rslcore.registry import Registry
from rslcore.training import build_algorithm

NUM_ENVS, NUM_STEPS = 256, 24
IDLE = "{name: idle}"
VARIANTS = {
    "none": "[]",
    "none, again": "[]",
    "one, no hook used": f"[{IDLE}]",
    "eight, no hook used": f"[{', '.join([IDLE] * 8)}]",
    "rnd": "[{name: rnd}]",
    "symmetry": "[{name: symmetry, function: 'free_env:mirror'}]",
    "rnd and symmetry": "[{name: rnd}, {name: symmetry, function: 'free_env:mirror'}]",
}


class Idle(Extension):
    """Overrides no hook."""


def make_config(extensions: str, registry: Registry) -> ExperimentConfig:
    """PPO on two layers of 64, 5 epochs of 4 minibatches."""
    overrides = (
        f"env.num_envs={NUM_ENVS}",
        f"runner.num_steps_per_env={NUM_STEPS}",
        "policy.actor.network={name: mlp, hidden_dims: [64, 64]}",
        "policy.critic.network={name: mlp, hidden_dims: [64, 64]}",
        "algorithm={name: ppo}",
        f"algorithm.extensions={extensions}",
        "loggers=[]",
    )
    return load_config("pendulum", overrides, registry=registry)


def main() -> None:
    """Print the medians over the rounds and the ratios to PPO without extensions."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    registry = make_registry(("extension", "idle", "hook_cost:Idle", "rslcore_rollout.config:RolloutConfig"))
    env = FreeEnv(FreeEnvConfig(num_envs=NUM_ENVS, episode_length=None))
    algorithms = {}
    for name, extensions in VARIANTS.items():
        config = make_config(extensions, registry)
        context = Context(registry, config, torch.device("cpu"), 1, NUM_STEPS, spec=env.spec, env=env)
        algorithms[name] = build_algorithm(context)

    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in VARIANTS}
    for round_number in range(arguments.rounds + 2):
        for name, algorithm in algorithms.items():
            started = time.perf_counter()
            obs = env.obs
            with algorithm.rollout_context():
                for _ in range(NUM_STEPS):
                    algorithm.act(obs)
                    step = env.step()
                    algorithm.process_env_step(step)
                    obs = step.obs
            collected = time.perf_counter()
            algorithm.update(obs)
            if round_number >= 2:  # the first rounds warm up
                samples[name].append((collected - started, time.perf_counter() - collected))

    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, 1 thread"
    print(f"an iteration of {NUM_ENVS} envs x {NUM_STEPS} steps, {machine}, medians of {arguments.rounds}")
    print(f"rslcore {rslcore.__version__}, torch {torch.__version__}; milliseconds, and ratios to 'none'")
    results = {}
    for name, values in samples.items():
        results[name] = {}
        for part, index in (("collect", 0), ("update", 1)):
            ratios = [value[index] / base[index] for value, base in zip(values, samples["none"], strict=True)]
            milliseconds = 1000 * statistics.median(value[index] for value in values)
            results[name][part] = {"milliseconds": milliseconds, "ratio": statistics.median(ratios)}
        shown = "   ".join(f"{part} {r['milliseconds']:7.2f} {r['ratio']:6.3f}" for part, r in results[name].items())
        print(f"  {name:22} {shown}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine, "iteration": results}, indent=2))


if __name__ == "__main__":
    main()
