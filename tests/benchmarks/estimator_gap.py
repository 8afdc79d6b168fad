"""Measures how much of what hidden velocities cost an estimator wins back: four actors, the same critic that sees all.

    blind         the actor sees no velocities
    informed      the actor sees them
    regression    the actor sees an estimate of them, learned by regression
    variational   ... and a context, learned with a variational loss

From the project's root:

    python tests/benchmarks/estimator_gap.py train pendulum --seeds 5
    python tests/benchmarks/estimator_gap.py draw pendulum double_pendulum --picture docs/_static/estimator.png

`train` trains and evaluates what is missing, one run after the other; `draw` prints a table for each task and makes the
picture. Of blind, informed and estimating returns b, i and e, each a mean over seeds, the share of the gap that is
closed is (e - b) / (i - b).
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy
from curves import T_QUANTILES, mean_and_half_width

import rslcore
from rslcore.config import load_config
from rslcore.registry import Registry, hookimpl

DOUBLE_PENDULUM = (
    "experiment=double_pendulum_estimator",
    "iterations=100",
    "env.id=InvertedDoublePendulum-v5",
    "env.groups={policy: [0, 1, 2, 3, 4], privileged: [5, 6, 7]}",
    "policy.critic.network.groups=[policy, privileged]",
)
TASKS = {"pendulum": ("pendulum_estimator", ()), "double_pendulum": ("halfcheetah", DOUBLE_PENDULUM)}
"""The recipe of each task, and what is changed of it: velocities are in the group `privileged`."""
TITLES = {"pendulum": "Pendulum-v1", "double_pendulum": "InvertedDoublePendulum-v5"}

COLOURS = {"blind": "tab:red", "informed": "tab:blue", "regression": "tab:green", "variational": "tab:orange"}
VARIANTS = {
    "blind": ("[policy]", "[]"),
    "informed": ("[policy, privileged]", "[]"),
    "regression": ("[policy, estimate]", "[{name: estimator}]"),
    "variational": ("[policy, estimate]", "[{name: estimator, loss: variational}]"),
}
"""The groups of the actor, and the extensions."""


class Recorder:
    """Listens to a run: mean return of the latest 100 training episodes, and the estimator's loss."""

    def __init__(self) -> None:
        self.curve: dict[str, list[float]] = {"steps": [], "returns": [], "errors": []}
        self.seconds = 0.0

    @hookimpl
    def rslcore_iteration_finished(self, record) -> None:
        """Note where the run stands."""
        self.curve["steps"].append(record.total_steps)
        self.curve["returns"].append(record.metrics.get("Train/mean_reward", math.nan))
        self.curve["errors"].append(record.metrics.get("Loss/estimator", math.nan))
        self.seconds = record.elapsed


def train(task: str, variant: str, seed: int) -> dict:
    """Train a run; return its curve and the mean return of 100 episodes of the last policy."""
    recipe, overrides = TASKS[task]
    groups, extensions = VARIANTS[variant]
    config = load_config(
        recipe,
        [
            *overrides,
            f"seed={seed}",
            f"policy.actor.network.groups={groups}",
            f"algorithm.extensions={extensions}",
            "loggers=[]",
        ],
    )
    registry, recorder = Registry.discover(), Recorder()
    registry.manager.register(recorder)
    with tempfile.TemporaryDirectory() as log_root:
        result = rslcore.train(config, log_root=log_root, quiet=True, registry=registry)
        mean = rslcore.evaluate(result.path).summary()["return"]["mean"]
    return {"seed": seed, "return": mean, "seconds": recorder.seconds, **recorder.curve}


def load(folder: Path, task: str, variant: str) -> list[dict]:
    """All runs of a variant, by seed."""
    runs = [json.loads(path.read_text()) for path in folder.glob(f"{task}-{variant}-*.json")]
    return sorted(runs, key=lambda run: run["seed"])


def closed_share(blind: Sequence[float], informed: Sequence[float], estimating: Sequence[float]) -> tuple[float, float]:
    """The share of the gap that is closed, and half of its 95 % confidence interval.

    By the delta method, from the standard errors of the three means, with the degrees of freedom of the smallest
    sample.
    """
    b, i, e = (float(numpy.mean(returns)) for returns in (blind, informed, estimating))
    vb, vi, ve = (float(numpy.var(returns, ddof=1)) / len(returns) for returns in (blind, informed, estimating))
    share = (e - b) / (i - b)
    error = math.sqrt(ve + share**2 * vi + (1.0 - share) ** 2 * vb) / abs(i - b)
    return share, T_QUANTILES[min(len(blind), len(informed), len(estimating)) - 2] * error


def table(task: str, found: dict[str, list[dict]]) -> str:
    """Returns of each seed, mean, share of the gap and time, in Markdown."""
    seeds = sorted({run["seed"] for runs in found.values() for run in runs})
    header = ["actor", *(f"seed {seed}" for seed in seeds), "mean, 95 % interval", "gap closed", "error", "seconds"]
    lines = [f"{task}: return, mean of 100 episodes", "", f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    returns = {variant: [run["return"] for run in runs] for variant, runs in found.items()}
    for variant, runs in found.items():
        by_seed = {run["seed"]: f"{run['return']:.1f}" for run in runs}
        mean, half = mean_and_half_width(returns[variant])
        share = ""
        if variant not in ("blind", "informed") and min(map(len, returns.values())) > 1:
            share = "{:.0%} ± {:.0%}".format(*closed_share(returns["blind"], returns["informed"], returns[variant]))
        error = numpy.mean([run["errors"][-1] for run in runs])
        cells = [variant, *(by_seed.get(seed, "") for seed in seeds), f"{mean:.1f} ± {half:.1f}", share]
        cells += ["" if math.isnan(error) else f"{error:.4f}", f"{numpy.mean([run['seconds'] for run in runs]):.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def draw(tasks: Sequence[str], folder: Path, picture: Path) -> None:
    """Print a table a task, and draw the curves of all tasks side by side."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    figure, axes = plt.subplots(1, len(tasks), figsize=(5 * len(tasks), 4.5), layout="constrained", squeeze=False)
    for task, axis in zip(tasks, axes[0], strict=True):
        found = {variant: runs for variant in VARIANTS if (runs := load(folder, task, variant))}
        print(table(task, found))
        for variant, runs in found.items():
            mean, half = mean_and_half_width([run["returns"] for run in runs])
            label = f"{variant}, {len(runs)} seeds" if len(runs) > 1 else f"{variant}, seed {runs[0]['seed']}"
            axis.plot(runs[0]["steps"], mean, color=COLOURS[variant], label=label)
            axis.fill_between(
                runs[0]["steps"], mean - half, mean + half, color=COLOURS[variant], alpha=0.2, linewidth=0
            )
        axis.set(title=TITLES[task], xlabel="env steps", ylabel="mean return of the latest 100 training episodes")
        axis.xaxis.set_major_locator(MaxNLocator(4))
        axis.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axis.grid(alpha=0.3)
        axis.legend(title="mean and its 95 % interval", loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2)
    figure.savefig(picture, dpi=120)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("train", "draw"):
        command = commands.add_parser(name)
        command.add_argument("tasks", nargs="+", choices=tuple(TASKS))
        command.add_argument("--output", type=Path, default=Path("logs/estimator"), help="Folder of the results.")
    commands.choices["train"].add_argument("--seeds", type=int, default=5, help="Seeds 1 to this one.")
    commands.choices["train"].add_argument("--variants", nargs="+", choices=tuple(VARIANTS), default=tuple(VARIANTS))
    commands.choices["draw"].add_argument("--picture", type=Path, default=Path("estimator.png"))
    arguments = parser.parse_args()
    if arguments.command == "draw":
        draw(arguments.tasks, arguments.output, arguments.picture)
        return
    arguments.output.mkdir(parents=True, exist_ok=True)
    for task in arguments.tasks:
        for seed in range(1, arguments.seeds + 1):
            for variant in arguments.variants:
                path = arguments.output / f"{task}-{variant}-{seed}.json"
                if not path.exists():
                    run = train(task, variant, seed)
                    path.write_text(json.dumps(run) + "\n", encoding="utf-8")
                    print(f"{path}: {run['return']:.1f} after {run['steps'][-1]:,} steps, {run['seconds']:.0f} s")


if __name__ == "__main__":
    main()
