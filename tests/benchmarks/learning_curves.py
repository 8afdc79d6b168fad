"""Draws the learning curves of runs, from their TensorBoard events: mean return against env steps.

python tests/benchmarks/learning_curves.py logs/halfcheetah/* --title HalfCheetah-v5 --output halfcheetah.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rslcore.config import load_config


def curve(run: Path) -> tuple[list[float], list[float]]:
    """Env steps and mean return of the latest 100 training episodes, iteration by iteration."""
    events = EventAccumulator(str(run))
    events.Reload()
    steps = {event.step: event.value for event in events.Scalars("Perf/total_steps")}
    returns = events.Scalars("Train/mean_reward")
    return [steps[event.step] for event in returns], [event.value for event in returns]


def main() -> None:
    """Draw one line a run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--title", default="")
    parser.add_argument("--threshold", type=float, help="A return to draw a line at.")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for run in sorted(arguments.runs, key=lambda run: load_config(run / "config.yaml").seed):
        axes.plot(*curve(run), label=f"seed {load_config(run / 'config.yaml').seed}")
    if arguments.threshold is not None:
        axes.axhline(arguments.threshold, color="grey", linestyle="--", linewidth=1, label=f"{arguments.threshold:g}")
    axes.set(title=arguments.title, xlabel="env steps", ylabel="mean return of the latest 100 training episodes")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(arguments.output, dpi=120)


if __name__ == "__main__":
    main()
