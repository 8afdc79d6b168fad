"""Compares learning with rsl-rl-lib, and fast settings with plain ones: the same tasks, hyper-parameters and seeds.

    ours           rslcore as it is
    ours_rsl_rl    rslcore with the switches that make it do as rsl_rl does
    rsl_rl         rsl-rl-lib's own runner, PPO and models
    ours_eager     rslcore in full precision, nothing compiled: what the fast settings are compared with
    ours_compile   the same, compiled
    ours_bf16      the same, with networks in bfloat16 while learning
    ours_fast      the same, compiled and in bfloat16

`all` trains the first three unless it is told which.

A task is a file of `parity_tasks/`. From the project's root:

    python tests/benchmarks/learning_parity.py train pendulum rsl_rl --seed 1
    python tests/benchmarks/learning_parity.py all pendulum --jobs 2
    python tests/benchmarks/learning_parity.py all pendulum --variants ours_eager ours_fast
    python tests/benchmarks/learning_parity.py draw pendulum

`train` writes the curve of one run; `all` trains what is missing of all variants and seeds; `draw` makes a picture, a
table and a verdict of the curves that there are. Curves do not know what they were trained with: begin with an empty
folder when a task or the code has changed. "Whole run" in the table is the mean over all iterations, which tells how
fast a variant learns.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
import torch
from curves import Curve, curve_path, difference, load_curves, mean_and_half_width, save_curve

import rslcore
from rslcore.config import ExperimentConfig, load_config
from rslcore.registry import Registry, hookimpl

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))  # where the env ids of `parity_tasks/` find the module `tasks`

TASKS = tuple(sorted(path.stem for path in (HERE / "parity_tasks").glob("*.yaml")))
RECURRENT_TASKS = ("memory",)
COLOURS = {
    "ours": "tab:blue",
    "ours_rsl_rl": "tab:green",
    "rsl_rl": "tab:orange",
    "ours_eager": "tab:cyan",
    "ours_compile": "tab:purple",
    "ours_bf16": "tab:red",
    "ours_fast": "tab:brown",
}
VARIANTS = tuple(COLOURS)
SIDE_BY_SIDE = VARIANTS[:3]
"""What is trained unless told otherwise."""

SWITCHES = {"algorithm.bootstrap": "last_value", "algorithm.shuffle": "rollout"}
"""What makes rslcore do as rsl_rl does."""
RECURRENT_SWITCHES = {**SWITCHES, "algorithm.shuffle": "none"}
PLAIN = {"algorithm.precision": "fp32", "algorithm.execution": "eager"}
SPEED = {
    "ours_eager": PLAIN,
    "ours_compile": {**PLAIN, "algorithm.execution": "compile"},
    "ours_bf16": {**PLAIN, "algorithm.precision": "bf16"},
    "ours_fast": {"algorithm.precision": "bf16", "algorithm.execution": "compile"},
}
"""What is computed faster, and what it is compared with."""


def overrides(task: str, variant: str, seed: int, iterations: int | None) -> list[str]:
    """What a run has beyond the task's file."""
    values: dict[str, object] = {"seed": seed}
    if iterations is not None:
        values["iterations"] = iterations
    if variant == "ours_rsl_rl":
        values |= RECURRENT_SWITCHES if task in RECURRENT_TASKS else SWITCHES
    values |= SPEED.get(variant, {})
    return [f"{key}={value}" for key, value in values.items()]


class CurvePlugin:
    """Listens to an rslcore run, and adds a point to a curve every iteration."""

    def __init__(self, curve: Curve) -> None:
        self._curve = curve

    @hookimpl
    def rslcore_iteration_finished(self, record) -> None:
        """Note where the run stands."""
        self._curve.add(record.total_steps, record.metrics.get("Train/mean_reward"))
        self._curve.seconds = record.elapsed


def train_rslcore(config: ExperimentConfig, curve: Curve) -> None:
    """Train rslcore, and fill in the curve."""
    registry = Registry.discover()
    registry.manager.register(CurvePlugin(curve))
    with tempfile.TemporaryDirectory() as log_root:
        rslcore.train(config, log_root=log_root, quiet=True, registry=registry)


def train(task: str, variant: str, seed: int, iterations: int | None, folder: Path) -> None:
    """Train one run and write its curve."""
    torch.set_num_threads(1)
    config = load_config(HERE / "parity_tasks" / f"{task}.yaml", overrides(task, variant, seed, iterations))
    curve = Curve(task, variant, seed)
    if variant == "rsl_rl":
        from peer_rsl_rl import train_rsl_rl

        train_rsl_rl(config, curve)
    else:
        train_rslcore(config, curve)
    path = save_curve(folder, curve)
    print(f"{path}: final return {curve.final_return():.2f} after {curve.steps[-1]:,} steps, {curve.seconds:.1f} s")


def train_all(
    task: str, variants: Sequence[str], seeds: int, iterations: int | None, folder: Path, jobs: int
) -> list[str]:
    """Train what is missing, each run in a process of its own, `jobs` of them at a time; return what failed."""

    def run(variant: str, seed: int) -> bool:
        command = [sys.executable, __file__, "train", task, variant, "--seed", str(seed), "--output", str(folder)]
        command += [] if iterations is None else ["--iterations", str(iterations)]
        return subprocess.run(command, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}).returncode == 0

    missing = [
        (variant, seed)
        for seed in range(1, seeds + 1)
        for variant in variants
        if not curve_path(folder, task, variant, seed).exists()
    ]
    started = time.perf_counter()
    with ThreadPoolExecutor(jobs) as pool:
        succeeded = list(pool.map(lambda pair: run(*pair), missing))
    print(f"{task}: {sum(succeeded)} of {len(missing)} runs in {time.perf_counter() - started:.0f} s")
    return [f"{variant} {seed}" for (variant, seed), good in zip(missing, succeeded, strict=True) if not good]


def draw(task: str, folder: Path) -> None:
    """Make the picture, and print the table and the verdicts."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    found = {variant: curves for variant in VARIANTS if (curves := load_curves(folder, task, variant))}
    if not found:
        sys.exit(f"there are no curves of {task} in {folder}")
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for variant, curves in found.items():
        length = min(len(curve.steps) for curve in curves)
        steps = numpy.array(curves[0].steps[:length])
        mean, half = mean_and_half_width([curve.returns[:length] for curve in curves])
        axes.plot(steps, mean, color=COLOURS[variant], label=f"{variant}, {len(curves)} seeds")
        axes.fill_between(steps, mean - half, mean + half, color=COLOURS[variant], alpha=0.2, linewidth=0)
    axes.set(title=task, xlabel="env steps", ylabel="mean return of the latest 100 training episodes")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(folder / f"{task}.png", dpi=120)
    print("\n".join([table(task, found), *verdicts(task, found)]))


def table(task: str, found: dict[str, list[Curve]]) -> str:
    """Final returns and times, one line a variant, in Markdown."""
    seeds = sorted({curve.seed for curves in found.values() for curve in curves})
    header = ["variant", *(f"seed {seed}" for seed in seeds), "mean, 95 % interval", "whole run", "seconds"]
    lines = [f"{task}: mean return of the last tenth of the run", "", "| " + " | ".join(header) + " |"]
    lines.append("|" + "---|" * len(header))
    for variant, curves in found.items():
        finals = {curve.seed: curve.final_return() for curve in curves}
        whole = [float(numpy.nanmean(curve.returns)) for curve in curves]
        cells = [variant, *(f"{finals[seed]:.1f}" if seed in finals else "" for seed in seeds)]
        cells += [interval(list(finals.values())), interval(whole)]
        cells.append(f"{numpy.mean([curve.seconds for curve in curves]):.0f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def interval(values: Sequence[float]) -> str:
    """Mean and 95 % confidence interval, in words; a single value is alone."""
    mean, half = mean_and_half_width(values)
    return f"{mean:.1f} ± {half:.1f}" if len(values) > 1 else f"{mean:.1f}"


def verdicts(task: str, found: dict[str, list[Curve]]) -> list[str]:
    """One line for each of our variants, against rsl_rl, or of the fast settings, against the plain ones."""
    against = {"ours": "rsl_rl", "ours_rsl_rl": "rsl_rl"} | {
        name: "ours_eager" for name in SPEED if name != "ours_eager"
    }
    lines = []
    for variant, other in against.items():
        pair = [[curve.final_return() for curve in found.get(name, [])] for name in (variant, other)]
        if min(map(len, pair)) < 2:
            continue
        gap, half = difference(*pair)
        word = "no difference that the seeds can tell" if abs(gap) <= half else "better" if gap > 0 else "worse"
        first = numpy.mean([next(value for value in curve.returns if not math.isnan(value)) for curve in found[other]])
        share = abs(gap) / max(abs(numpy.mean(pair[1]) - first), 1e-9)
        lines.append(
            f"{task}: {variant} - {other} = {gap:+.1f} ± {half:.1f} ({share:.0%} of what {other} learns): {word}"
        )
    return lines


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("train", "all", "draw"):
        command = commands.add_parser(name)
        command.add_argument("task", choices=TASKS)
        command.add_argument("--output", type=Path, default=Path("logs/parity"), help="Folder of the curves.")
        if name != "draw":
            command.add_argument("--iterations", type=int, help="Instead of the task's own.")
    commands.choices["train"].add_argument("variant", choices=VARIANTS)
    commands.choices["train"].add_argument("--seed", type=int, default=1)
    commands.choices["all"].add_argument("--variants", nargs="+", choices=VARIANTS, default=SIDE_BY_SIDE)
    commands.choices["all"].add_argument("--seeds", type=int, default=5, help="Seeds 1 to this one.")
    commands.choices["all"].add_argument("--jobs", type=int, default=1, help="Runs at a time, one thread each.")
    arguments = parser.parse_args()

    if arguments.command == "train":
        train(arguments.task, arguments.variant, arguments.seed, arguments.iterations, arguments.output)
    elif arguments.command == "all":
        failed = train_all(
            arguments.task,
            arguments.variants,
            arguments.seeds,
            arguments.iterations,
            arguments.output,
            arguments.jobs,
        )
        if failed:
            sys.exit(f"failed: {', '.join(failed)}")
    else:
        draw(arguments.task, arguments.output)


if __name__ == "__main__":
    main()
