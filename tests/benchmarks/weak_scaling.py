"""How much faster several processes train than one, each with as many envs as the one had.

PPO on an env that costs nothing, one thread a rank. In every round each variant makes an iteration, in turn: rank 0
while the others wait, all ranks together, and all ranks without a word to one another. So a busy machine slows all
alike. What ranks that talk lose against ranks that do not is the price of synchronisation; what the latter lose against
one rank is what programs on one machine take from one another, memory and clock for two.

    python tests/benchmarks/weak_scaling.py [--ranks 2] [--rounds 30] [--case CASE] [--folder docs/_static]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from free_env import FreeEnv, FreeEnvConfig
from torch import distributed

import rslcore
from rslcore.config import load_config
from rslcore.context import Context
from rslcore.distributed import alone, gather, joined, num_ranks, rank
from rslcore.metrics import to_floats
from rslcore.registry import default_registry
from rslcore.training import build_algorithm

NUM_STEPS = 24
WARM_UP = 1
CASES = {
    "256 envs, 64-64": (256, [64, 64], 1.0),
    "4096 envs, 64-64": (4096, [64, 64], 0.5),
    "4096 envs, 512-256-128": (4096, [512, 256, 128], 0.2),
}
"""Envs of a rank, layers, and which share of the rounds is made: an iteration of the last one takes half a minute."""

ONE, TOGETHER, APART = "one rank", "ranks together", "ranks that do not talk"


class Training:
    """PPO with 5 epochs of 4 minibatches, and the adaptive learning rate of most configs."""

    def __init__(self, num_envs: int, hidden: Sequence[int]) -> None:
        overrides = [
            f"env.num_envs={num_envs}",
            f"runner.num_steps_per_env={NUM_STEPS}",
            f"policy.actor.network={{name: mlp, hidden_dims: {list(hidden)}}}",
            f"policy.critic.network={{name: mlp, hidden_dims: {list(hidden)}}}",
            "algorithm={name: ppo, schedule: adaptive}",
            "loggers=[]",
        ]
        config = load_config("pendulum", overrides)
        self._env = FreeEnv(FreeEnvConfig(num_envs=num_envs, episode_length=None))
        context = Context(
            default_registry(), config, torch.device("cpu"), 1, NUM_STEPS, spec=self._env.spec, env=self._env
        )
        self._algorithm = build_algorithm(context)

    def iterate(self) -> float:
        """One iteration, with what the session of a run exchanges at its end; returns its seconds."""
        started = time.perf_counter()
        obs = self._env.obs
        with self._algorithm.rollout_context():
            for _ in range(NUM_STEPS):
                self._algorithm.act(obs)
                step = self._env.step()
                self._algorithm.process_env_step(step)
                obs = step.obs
        gather(to_floats(self._algorithm.update(obs)))
        return time.perf_counter() - started


def measure(cases: Sequence[str], num_rounds: int) -> dict[str, Any]:
    """Seconds of an iteration for each case and variant, on all ranks; those of the slowest rank."""
    results: dict[str, Any] = {}
    for case in cases:
        num_envs, hidden, share = CASES[case]
        torch.manual_seed(0)
        together = Training(num_envs, hidden)
        with alone():
            apart = Training(num_envs, hidden)
        seconds: dict[str, list[float]] = {ONE: [], TOGETHER: [], APART: []}
        for round_number in range(max(3, round(share * num_rounds)) + WARM_UP):
            for variant, samples in seconds.items():
                distributed.barrier()
                own = 0.0
                if variant == TOGETHER:
                    own = together.iterate()
                elif variant == APART or rank() == 0:
                    with alone():
                        own = apart.iterate()
                slowest = max(gather(own))
                if round_number >= WARM_UP:
                    samples.append(slowest)
        results[case] = {
            "milliseconds": {variant: 1000 * statistics.median(samples) for variant, samples in seconds.items()},
            "speed_up": num_ranks() * _median_ratio(seconds[ONE], seconds[TOGETHER]),
            "speed_up_without_talking": num_ranks() * _median_ratio(seconds[ONE], seconds[APART]),
            "share_of_synchronisation": 1.0 - _median_ratio(seconds[APART], seconds[TOGETHER]),
            "collectives": _collectives(together),
        }
    return results


def _median_ratio(first: Sequence[float], second: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(first, second, strict=True))


def _collectives(training: Training) -> dict[str, int]:
    """What ranks exchange in an iteration, counted by torch's profiler."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        training.iterate()
    return {event.key: event.count for event in profile.key_averages() if event.key.startswith("gloo:")}


def draw(report: dict[str, Any], path: Path) -> None:
    """The speed-up of each case beside what it would be without synchronisation."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    results, ranks = report["cases"], report["ranks"]
    figure, axes = pyplot.subplots(figsize=(7.2, 3.2), layout="constrained")
    bars = {
        "without synchronisation": ("speed_up_without_talking", "#b8c4d0", "black"),
        "as it is": ("speed_up", "#2f6690", "white"),
    }
    for number, (label, (key, colour, text)) in enumerate(bars.items()):
        places = [place + 0.38 * (number - 0.5) for place in range(len(results))]
        drawn = axes.bar(places, [case[key] for case in results.values()], 0.36, color=colour, label=label)
        axes.bar_label(drawn, fmt="%.2f", padding=-14, fontsize=9, color=text)
    axes.axhline(ranks, color="black", linewidth=0.8, linestyle="--", label=f"{ranks} times")
    axes.axhline(1.0, color="grey", linewidth=0.8, linestyle=":", label="one rank")
    axes.set_xticks(
        range(len(results)),
        [f"{case}\nsynchronisation {result['share_of_synchronisation']:.0%}" for case, result in results.items()],
    )
    axes.set_ylim(0, 1.25 * ranks)
    axes.set_ylabel("env steps a second,\nas a multiple of one rank's")
    axes.set_title(f"{ranks} ranks with as many envs each as one rank alone", fontsize=10)
    axes.legend(ncols=4, fontsize=8, loc="upper center", frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Start the ranks, or be one of them; rank 0 prints the table and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--case", choices=CASES, action="append", help="may be repeated; all by default")
    parser.add_argument("--folder", type=Path, help="where weak_scaling.json and weak_scaling.png are written")
    arguments = parser.parse_args()
    if "WORLD_SIZE" not in os.environ:
        launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(arguments.ranks)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        raise SystemExit(subprocess.run([*launcher, *sys.argv], env=environment, check=False).returncode)

    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(os.environ["RANK"]) % len(cores)]})
    with joined(torch.device("cpu")):
        results = measure(arguments.case or list(CASES), arguments.rounds)
        if rank():
            return
        report = {
            "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
            "versions": f"rslcore {rslcore.__version__}, torch {torch.__version__}",
            "ranks": num_ranks(),
            "rounds": arguments.rounds,
            "cases": results,
        }
    print(f"{report['machine']}, {report['versions']}; {report['ranks']} ranks, medians of {report['rounds']} rounds")
    for case, result in results.items():
        times = "   ".join(f"{variant} {ms:8.1f} ms" for variant, ms in result["milliseconds"].items())
        print(f"  {case:24} {times}")
        print(
            f"  {'':24} speed-up {result['speed_up']:.2f}, without talking {result['speed_up_without_talking']:.2f}, "
            f"share of synchronisation {result['share_of_synchronisation']:.1%}, {result['collectives']}"
        )
    if arguments.folder:
        (arguments.folder / "weak_scaling.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        draw(report, arguments.folder / "weak_scaling.png")


if __name__ == "__main__":
    main()
