"""Learning curves of off-policy algorithms on HalfCheetah-v5: return against time and against env steps.

    python tests/benchmarks/off_policy.py train --seed 1 --output logs/off_policy
    python tests/benchmarks/off_policy.py draw logs/off_policy --picture docs/_static/fast_sac_halfcheetah.png

`train` trains the recipe halfcheetah_sac and notes, at the end of every episode, what `peer_sb3_sac.py` notes for
Stable-Baselines3. Both use one thread; where other processes run too, CPU seconds are the fair measure.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path

import attrs
import numpy
from curves import shades

from rslcore.config import ExtensionComponent, config, evolve, load_config
from rslcore.extension import Extension
from rslcore.registry import Entry, PluginRow, Registry, Source, hookimpl
from rslcore.training import train

WINDOW = 10
"""Episodes whose mean return is drawn."""
THRESHOLD = 3000.0
"""Return to which time and steps are counted."""
LABELS = {"fast_sac": "rslcore fast_sac", "sb3_sac": "Stable-Baselines3 SAC"}
SOURCE = Source("off_policy", "rslcore-benchmarks", "1", __name__)


@config
class EpisodeCurveConfig:
    """None."""


class EpisodeCurve(Extension):
    """Notes env steps, seconds, seconds of CPU time and return at the end of every episode."""

    latest: EpisodeCurve

    def __init__(self, config, context):
        super().__init__(config, context)
        EpisodeCurve.latest = self
        self.rows = []
        self.steps = 0
        self.returns = numpy.zeros(context.env_spec.num_envs)

    def after_step(self, transition):
        """Take in a step."""
        self.steps += len(self.returns)
        self.returns += transition.step.rewards.numpy()
        for env in numpy.flatnonzero(transition.step.dones.numpy()):
            seconds = time.perf_counter() - self.started[0], time.process_time() - self.started[1]
            self.rows.append((self.steps, *seconds, float(self.returns[env])))
            self.returns[env] = 0.0

    def start_iteration(self, iteration, total):
        """The clock starts with the first iteration."""
        if iteration == 0:
            self.started = time.perf_counter(), time.process_time()


@attrs.define(eq=False)
class Recorder:
    """Writes the curve after iterations in which episodes ended, and stops the run at a return."""

    path: Path
    description: dict[str, object]
    stop_return: float
    written: int = 0

    @hookimpl
    def rslcore_iteration_finished(self, session):
        """Write and stop."""
        rows = EpisodeCurve.latest.rows
        if len(rows) == self.written:
            return
        self.written = len(rows)
        names = ("steps", "seconds", "cpu_seconds", "returns")
        curve = {name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}
        self.path.write_text(json.dumps({**self.description, **curve}) + "\n", encoding="utf-8")
        latest = curve["returns"][-WINDOW:]
        session.stop_requested = len(latest) == WINDOW and sum(latest) / WINDOW >= self.stop_return


def train_recipe(seed: int, output: Path, stop_return: float, overrides: list[str]) -> None:
    """Train the recipe with a seed."""
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"halfcheetah-fast_sac-{seed}.json"
    base = Registry.discover()
    entry = Entry(
        "extension", "episode_curve", f"{__name__}:EpisodeCurve", f"{__name__}:EpisodeCurveConfig", "", SOURCE
    )
    base.manager.register(Recorder(path, {"task": "halfcheetah", "variant": "fast_sac", "seed": seed}, stop_return))
    registry = Registry([*base.plugins, PluginRow(SOURCE, "ok", "", (entry,))], base.manager)
    run = load_config("halfcheetah_sac", [f"seed={seed}", "loggers=[]", *overrides])
    components = (ExtensionComponent("episode_curve", EpisodeCurveConfig()),)
    run = evolve(run, algorithm=evolve(run.algorithm, config=evolve(run.algorithm.config, extensions=components)))
    train(run, log_root=output / "runs", quiet=True, registry=registry)


def load(folder: Path) -> dict[str, list[dict[str, numpy.ndarray]]]:
    """The curves by variant, each with the mean return of the latest episodes."""
    curves = defaultdict(list)
    for path in sorted(folder.glob("halfcheetah-*.json")):
        plain = json.loads(path.read_text(encoding="utf-8"))
        curve = {name: numpy.array(plain[name]) for name in ("steps", "seconds", "cpu_seconds", "returns")}
        sums = numpy.cumsum(numpy.concatenate([[0.0], curve["returns"]]))
        means = (sums[WINDOW:] - sums[:-WINDOW]) / WINDOW
        curve = {"mean": means, **{name: column[WINDOW - 1 :] for name, column in curve.items()}}
        # Of episodes that ended with the same step, of several envs, the last one's mean has them all.
        last = numpy.diff(curve["steps"], append=numpy.inf) > 0
        curves[plain["variant"]].append(
            {**{name: column[last] for name, column in curve.items()}, "seed": plain["seed"]}
        )
    return curves


def table(curves: dict[str, list[dict[str, numpy.ndarray]]]) -> None:
    """Print when each seed reached the threshold."""
    print(f"| algorithm | seed | env steps to {THRESHOLD:,.0f} | CPU seconds | wall seconds |\n|---|---|---|---|---|")
    for variant, of_variant in curves.items():
        for curve in of_variant:
            reached = numpy.flatnonzero(curve["mean"] >= THRESHOLD)
            cells = ["not reached"] * 3
            if len(reached):
                cells = [f"{curve[name][reached[0]]:,.0f}" for name in ("steps", "cpu_seconds", "seconds")]
            print(f"| {LABELS[variant]} | {curve['seed']} | {' | '.join(cells)} |")


def draw(curves: dict[str, list[dict[str, numpy.ndarray]]], picture: Path) -> None:
    """Draw all seeds, against time and against env steps."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    figure, panels = plt.subplots(1, 2, figsize=(12, 4), sharey=True, layout="constrained")
    colours = dict(zip(LABELS, ("tab:blue", "tab:orange"), strict=True))
    labels = {"seconds": "wall seconds", "steps": "env steps"}
    for axes, (column, label) in zip(panels, labels.items(), strict=True):
        for variant, of_variant in curves.items():
            for curve, shade in zip(of_variant, shades(colours[variant], len(of_variant)), strict=True):
                name = f"{LABELS[variant]}, seed {curve['seed']}" if axes is panels[0] else None
                axes.plot(curve[column], curve["mean"], color=shade, label=name)
        axes.axhline(THRESHOLD, color="grey", linestyle="--", linewidth=1)
        axes.set(xlabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.grid(alpha=0.3)
    panels[0].set(ylabel=f"mean return of the latest {WINDOW} training episodes")
    figure.legend(loc="outside right upper")
    figure.suptitle(f"HalfCheetah-v5: a curve begins with the end of episode {WINDOW}")
    figure.savefig(picture, dpi=120)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    trainer = commands.add_parser("train")
    trainer.add_argument("--seed", type=int, default=1)
    trainer.add_argument("--stop-return", type=float, default=3500.0, help="Mean of ten episodes at which to stop.")
    trainer.add_argument("--output", type=Path, default=Path("logs/off_policy"))
    trainer.add_argument("overrides", nargs="*")
    drawer = commands.add_parser("draw")
    drawer.add_argument("folder", type=Path)
    drawer.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "train":
        train_recipe(arguments.seed, arguments.output, arguments.stop_return, arguments.overrides)
        return
    curves = load(arguments.folder)
    table(curves)
    if arguments.picture:
        draw(curves, arguments.picture)


if __name__ == "__main__":
    main()
