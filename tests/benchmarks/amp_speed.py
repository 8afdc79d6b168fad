"""Measures adversarial motion priors: how fast a HalfCheetah runs that is rewarded for reference motions alone.

    style        rewarded for style, not for the task
    no_reward    rewarded for nothing

From the project's root:

    python tests/benchmarks/amp_speed.py reference
    python tests/benchmarks/amp_speed.py train style --seed 1
    python tests/benchmarks/amp_speed.py draw --output amp_halfcheetah.png

`reference` trains the reference policy, records the motions that the plugin ships, and measures its speed; `train`
trains and measures a variant with the motions that the installed plugin has; `draw` makes a picture and a table of all
that was measured. Speeds are the env's own forward velocities in m/s.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gymnasium
import numpy
import torch
from curves import shades
from gymnasium.vector import AutoresetMode

import rslcore
from rslcore.registry import Registry, hookimpl

WEIGHTS = {"style": 1.0, "no_reward": 0.0}
COLOURS = {"style": "tab:blue", "no_reward": "tab:orange"}
LABELS = {"style": "style reward alone", "no_reward": "no reward"}
EPISODE_LENGTH = 1000
REFERENCE = ("iterations=427", "experiment=reference")
"""Overrides of the recipe `halfcheetah`: after as many iterations few of its episodes are bad, none of the recorded."""


class SpeedPlugin:
    """Listens to a run of `halfcheetah_amp`, whose reward is the forward velocity, and keeps its curve."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.speeds: list[float] = []
        self.seconds = 0.0

    @hookimpl
    def rslcore_iteration_finished(self, record) -> None:
        """Note where the run stands, from the first episodes that ended on."""
        self.seconds = record.elapsed
        if "Train/mean_reward" in record.metrics:
            self.steps.append(record.total_steps)
            self.speeds.append(record.metrics["Train/mean_reward"] / EPISODE_LENGTH)


def measure(run: Path, num_episodes: int = 32, seed: int = 20_000) -> list[float]:
    """The mean forward velocity in each of some episodes of a trained policy, which acts without noise."""
    policy = rslcore.load_policy(run)
    envs = gymnasium.make_vec(
        "HalfCheetah-v5",
        num_episodes,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
    )
    velocities = numpy.zeros(num_episodes)
    obs, _ = envs.reset(seed=seed)
    for step in range(EPISODE_LENGTH):
        obs, _, _, truncated, infos = envs.step(policy({"policy": torch.from_numpy(obs).float()}).numpy())
        velocities += infos["final_info"]["x_velocity"] if truncated.all() else infos["x_velocity"]
        assert truncated.all() == (step == EPISODE_LENGTH - 1)
    envs.close()
    return (velocities / EPISODE_LENGTH).tolist()


def reference(folder: Path) -> None:
    """Train the reference policy, record its motions, and measure its speed."""
    from rslcore_amp.record import main as record

    run = rslcore.train(rslcore.load_config("halfcheetah", REFERENCE), log_root=folder / "runs")
    record([str(run.path), "--episodes", "2", "--output", str(folder / "halfcheetah.npz")])
    save(folder / "reference.json", {"final_speeds": measure(run.path)})


def train(variant: str, seed: int, iterations: int | None, folder: Path) -> None:
    """Train a variant, and measure its curve and the speed in the end."""
    weight = f"algorithm.extensions.0.style_reward_weight={WEIGHTS[variant]}"
    overrides = [f"seed={seed}", "loggers=[]", f"experiment=amp_{variant}", weight]
    overrides += [] if iterations is None else [f"iterations={iterations}"]
    registry, curve = Registry.discover(), SpeedPlugin()
    registry.manager.register(curve)
    config = rslcore.load_config("halfcheetah_amp", overrides)
    run = rslcore.train(config, log_root=folder / "runs", quiet=True, registry=registry)
    measured = {"seed": seed, "steps": curve.steps, "speeds": curve.speeds, "seconds": curve.seconds}
    save(folder / f"{variant}-{seed}.json", {**measured, "final_speeds": measure(run.path)})


def save(path: Path, measured: dict[str, Any]) -> None:
    """Write what was measured, and print the speed in the end."""
    path.write_text(json.dumps(measured) + "\n", encoding="utf-8")
    print(f"{path}: {describe(measured['final_speeds'])} m/s")


def describe(speeds: Iterable[float]) -> str:
    """Mean and range of the speeds of episodes."""
    speeds = list(speeds)
    return f"{numpy.mean(speeds):.2f} ({min(speeds):.2f} to {max(speeds):.2f})"


def draw(folder: Path, output: Path) -> None:
    """Make the picture, and print the table."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    speed = numpy.mean(load(folder / "reference.json")["final_speeds"])
    print(
        f"| variant | seed | speed, m/s | share of the reference's | seconds |\n|---|---|---|---|---|\n"
        f"| reference | 1 | {describe(load(folder / 'reference.json')['final_speeds'])} | | |"
    )
    figure, axes = plt.subplots(figsize=(9, 4), layout="constrained")
    axes.axhline(speed, color="grey", linestyle="--", linewidth=1, label="the reference")
    axes.axhline(speed / 2, color="grey", linestyle=":", linewidth=1, label="half of it")
    for variant, colour in COLOURS.items():
        runs = [load(path) for path in sorted(folder.glob(f"{variant}-*.json"))]
        for run, shade in zip(runs, shades(colour, len(runs)), strict=True):
            label = f"{LABELS[variant]}, seed {run['seed']}"
            axes.plot(run["steps"], run["speeds"], color=shade, label=label)
            final = run["final_speeds"]
            share = numpy.mean(final) / speed
            print(f"| {LABELS[variant]} | {run['seed']} | {describe(final)} | {share:.0%} | {run['seconds']:.0f} |")
    axes.set(xlabel="env steps", ylabel="forward speed of the latest 100 episodes, m/s", title="HalfCheetah-v5")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper")
    figure.savefig(output, dpi=120)


def load(path: Path) -> dict[str, Any]:
    """Read what was measured."""
    if not path.is_file():
        sys.exit(f"there is no '{path}' yet")
    measured: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return measured


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("reference", "train", "draw"):
        commands.add_parser(name).add_argument("--folder", type=Path, default=Path("logs/amp"), help="Of all results.")
    commands.choices["train"].add_argument("variant", choices=WEIGHTS)
    commands.choices["train"].add_argument("--seed", type=int, default=1)
    commands.choices["train"].add_argument("--iterations", type=int, help="Instead of the recipe's own.")
    commands.choices["draw"].add_argument("--output", type=Path, required=True, help="The picture.")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    if arguments.command == "reference":
        reference(arguments.folder)
    elif arguments.command == "train":
        train(arguments.variant, arguments.seed, arguments.iterations, arguments.folder)
    else:
        draw(arguments.folder, arguments.output)


if __name__ == "__main__":
    main()
