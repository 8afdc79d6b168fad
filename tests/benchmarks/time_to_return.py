"""Time to a return: how long each library trains until its policy is good, on the same envs with the same options.

    python tests/benchmarks/time_to_return.py all
    python tests/benchmarks/time_to_return.py draw

`all` trains what is missing, every run in a process of its own with one thread, the libraries by turns; `draw` makes a
table, a picture and a JSON file of the runs that there are. Seconds count from the beginning of training, after imports
and after envs and networks are built, to the env step with which the mean return of the latest training episodes first
is at the target (`timed_envs.TASKS`). A run that is not there after the task's number of env steps is counted as such.
Nobody writes logs or checkpoints.

The options are those of the recipes `cartpole` and `halfcheetah`, as far as a library has them. What differs:

    rsl_rl    torch's own initial weights, where the recipes have orthogonal ones; no discrete actions: in CartPole a
              Gaussian with one action, of which the sign is taken; rows are permuted once for all epochs; the value of
              an episode that was cut off is that of the observation before its last step
    skrl      gradients of actor and critic are clipped together; observations are normalized by statistics that are
              updated during the first epoch, and cut off at 5; the value of an episode that was cut off is that of the
              next episode's first observation
    SB3       gradients of actor and critic are clipped together; advantages are normalized in each minibatch;
              observations are normalized by statistics that are updated with every step, and cut off at 10

None of these options is adaptive: the recipes keep the learning rate.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import platform
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy
import torch
from curves import shades
from timed_envs import TASKS, Stop, TimedEnvs

LIBRARIES = {"rslcore": "rslcore", "rsl_rl": "rsl-rl-lib", "skrl": "skrl", "sb3": "stable-baselines3"}
"""By the end of the module's name that trains it; with the name of its distribution."""
COLOURS = dict(zip(LIBRARIES, ("tab:blue", "tab:orange", "tab:green", "tab:red"), strict=True))
COLUMNS = ("seconds", "cpu_seconds", "steps", "mean_return")
MAX_POINTS = 100
"""Of a curve in the JSON file."""


def run_path(folder: Path, task: str, library: str, seed: int) -> Path:
    """Where a run's result lies."""
    return folder / f"{task}-{library}-{seed}.json"


def train(name: str, library: str, seed: int, folder: Path, overrides: Sequence[str]) -> None:
    """Train one run and write what its envs noted."""
    torch.set_num_threads(1)
    module = importlib.import_module(f"timed_{library}")
    with contextlib.suppress(Stop):
        module.train(name, seed, *([overrides] if overrides else []))
    envs = TimedEnvs.latest
    seconds, cpu_seconds, steps, mean_return = envs.rows[-1]
    result = {
        "task": name,
        "library": library,
        "seed": seed,
        "reached": envs.reached,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "steps": steps,
        "mean_return": mean_return,
        "overrides": list(overrides),
        "version": version(LIBRARIES[library]),
        "curve": dict(zip(COLUMNS, map(list, zip(*envs.rows, strict=True)), strict=True)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    run_path(folder, name, library, seed).write_text(json.dumps(result) + "\n", encoding="utf-8")
    word = "reached" if envs.reached else "not reached"
    print(f"{name} {library} seed {seed}: {mean_return:.1f} {word}, {seconds:.1f} s, {steps:,} env steps", flush=True)


def train_all(name: str, libraries: Sequence[str], seeds: int, folder: Path) -> None:
    """Train what is missing of seeds 1 to `seeds`, one library after the other for each seed."""
    for seed in range(1, seeds + 1):
        for library in libraries:
            if not run_path(folder, name, library, seed).exists():
                command = [sys.executable, __file__, "train", name, library, "--seed", str(seed), "--runs", str(folder)]
                subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def load(folder: Path) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """The runs by task and library, in the order of `TASKS` and `LIBRARIES`."""
    runs: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(dict)
    for name in TASKS:
        for library in LIBRARIES:
            paths = sorted(folder.glob(f"{name}-{library}-*.json"))
            if paths:
                runs[name][library] = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    return runs


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians and extremes of a library's runs; a run that did not get there counts as longer than all others."""
    seconds = sorted(run["seconds"] if run["reached"] else numpy.inf for run in runs)
    cpu_seconds = [run["cpu_seconds"] if run["reached"] else numpy.inf for run in runs]
    steps = [run["steps"] if run["reached"] else numpy.inf for run in runs]
    return {
        "version": runs[0]["version"],
        "runs": len(runs),
        "reached": sum(run["reached"] for run in runs),
        "median_seconds": float(numpy.median(seconds)),
        "least_seconds": seconds[0],
        "most_seconds": seconds[-1],
        "median_cpu_seconds": float(numpy.median(cpu_seconds)),
        "median_steps": float(numpy.median(steps)),
        "steps_per_second": float(numpy.median([run["steps"] / run["seconds"] for run in runs])),
    }


def table(runs: dict[str, dict[str, list[dict[str, Any]]]]) -> str:
    """In Markdown, one line a task and library; ratios are to rslcore.

    Where other programs want the same cores, CPU seconds are the fair measure.
    """
    lines = [
        "| task | library | got there | seconds (least to most) | ratio | CPU seconds | ratio | env steps | steps/s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, by_library in runs.items():
        ours = summary(by_library["rslcore"]) if "rslcore" in by_library else defaultdict(lambda: numpy.nan)
        for library, of_library in by_library.items():
            numbers = summary(of_library)
            seconds = "{median_seconds:.1f} ({least_seconds:.1f} to {most_seconds:.1f})".format(**numbers)
            ratio, cpu_ratio = (numbers[key] / ours[key] for key in ("median_seconds", "median_cpu_seconds"))
            lines.append(
                f"| {name} | {LIBRARIES[library]} {numbers['version']} | {numbers['reached']} of {numbers['runs']} "
                f"| {seconds} | {ratio:.2f} | {numbers['median_cpu_seconds']:.1f} | {cpu_ratio:.2f} "
                f"| {numbers['median_steps']:,.0f} | {numbers['steps_per_second']:,.0f} |"
            )
    return "\n".join(lines)


def merged(runs: dict[str, dict[str, list[dict[str, Any]]]]) -> dict[str, Any]:
    """All that the picture and the table are made of; infinity, which JSON lacks, as null."""

    def finite(numbers: dict[str, Any]) -> dict[str, Any]:
        return {key: None if value in (numpy.inf, numpy.nan) else value for key, value in numbers.items()}

    def thinned(run: dict[str, Any]) -> dict[str, Any]:
        count = len(run["curve"]["steps"])
        places = numpy.unique(numpy.linspace(0, count - 1, min(count, MAX_POINTS)).astype(int))
        curve = {key: [round(column[place], 3) for place in places] for key, column in run["curve"].items()}
        return {**run, "curve": curve}

    tasks = {}
    for name, by_library in runs.items():
        task = TASKS[name]
        libraries = {
            library: {**finite(summary(of_library)), "each": [thinned(run) for run in of_library]}
            for library, of_library in by_library.items()
        }
        wanted = {"id": task.id, "target": task.target, "window": task.window, "max_steps": task.max_steps}
        tasks[name] = {**wanted, "libraries": libraries}
    versions = {name: version(name) for name in ("torch", "gymnasium", "mujoco", "numpy")}
    machine = {"cpu": cpu_name(), "python": platform.python_version(), "threads": 1, "device": "cpu"}
    return {"machine": machine, "versions": versions, "tasks": tasks}


def cpu_name() -> str:
    """What the processor calls itself."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def draw(runs: dict[str, dict[str, list[dict[str, Any]]]], picture: Path) -> None:
    """One panel a task: mean return against seconds, one line a run."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(runs), figsize=(6 * len(runs), 4), layout="constrained", squeeze=False)
    for axes, (name, by_library) in zip(panels[0], runs.items(), strict=True):
        for library, of_library in by_library.items():
            for index, (run, shade) in enumerate(
                zip(of_library, shades(COLOURS[library], len(of_library)), strict=True)
            ):
                label = f"{LIBRARIES[library]} {run['version']}" if index == len(of_library) // 2 else None
                axes.plot(run["curve"]["seconds"], run["curve"]["mean_return"], color=shade, linewidth=1, label=label)
                if run["reached"]:
                    axes.plot(run["seconds"], run["mean_return"], "o", color=shade, markersize=4)
        task = TASKS[name]
        axes.axhline(task.target, color="grey", linestyle="--", linewidth=1)
        axes.set(title=task.id, xlabel="seconds of training", ylabel=f"mean return, latest {task.window} episodes")
        axes.set_xlim(left=0.0)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(picture, dpi=120)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("train", "all", "draw"):
        commands.add_parser(command).add_argument(
            "--runs", type=Path, default=Path("logs/time_to_return"), help="Folder of the runs' results."
        )
    commands.choices["train"].add_argument("task", choices=TASKS)
    commands.choices["train"].add_argument("library", choices=LIBRARIES)
    commands.choices["train"].add_argument("--seed", type=int, default=1)
    commands.choices["train"].add_argument("overrides", nargs="*", help="Of the recipe, for rslcore only.")
    commands.choices["all"].add_argument("--tasks", nargs="+", choices=TASKS, default=tuple(TASKS))
    commands.choices["all"].add_argument("--libraries", nargs="+", choices=LIBRARIES, default=tuple(LIBRARIES))
    commands.choices["all"].add_argument("--seeds", type=int, help="Seeds 1 to this one, instead of the task's.")
    commands.choices["draw"].add_argument("--output", type=Path, default=Path("docs/_static"))
    arguments = parser.parse_args()

    if arguments.command == "train":
        train(arguments.task, arguments.library, arguments.seed, arguments.runs, arguments.overrides)
    elif arguments.command == "all":
        for task in arguments.tasks:
            train_all(task, arguments.libraries, arguments.seeds or TASKS[task].seeds, arguments.runs)
    else:
        runs = load(arguments.runs)
        if not runs:
            sys.exit(f"there are no runs in {arguments.runs}; type `{Path(__file__).name} all cartpole` first")
        print(table(runs))
        path = arguments.output / "time_to_return.json"
        path.write_text(json.dumps(merged(runs), allow_nan=False) + "\n", encoding="utf-8")
        draw(runs, arguments.output / "time_to_return.png")


if __name__ == "__main__":
    main()
