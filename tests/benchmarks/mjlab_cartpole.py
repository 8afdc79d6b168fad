"""mjlab's cartpole-balance learned by rsl-rl-lib's runner and by `rslcore_rsl_rl`'s: same task settings, same seeds.

Needs the extra [mjlab], in an environment of its own (`tox -e mjlab`). From the project's root:

    python tests/benchmarks/mjlab_cartpole.py all --seeds 3
    python tests/benchmarks/mjlab_cartpole.py speed
    python tests/benchmarks/mjlab_cartpole.py draw

Both runners are given the same dict, mjlab's own for the task, and the same env. Returns are those that each runner
logs for TensorBoard. Env steps a second are those of whole iterations, of both by turns in one process. One thread.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
from curves import Curve, curve_path, load_curves, mean_and_half_width, save_curve, shades

TASK = "Mjlab-Cartpole-Balance"
RUNNERS = ("rslcore", "rsl_rl")
COLOURS = {"rslcore": "tab:blue", "rsl_rl": "tab:orange"}


def make(runner: str, seed: int, num_envs: int, log_dir: str | None) -> tuple[Any, dict[str, Any]]:
    """A runner with an env of its own, and the task's settings."""
    import mjlab.tasks  # noqa: F401 - fills the registry
    import torch
    from mjlab.envs import ManagerBasedRlEnv
    from mjlab.rl import MjlabOnPolicyRunner, RslRlVecEnvWrapper
    from mjlab.tasks.registry import load_env_cfg, load_rl_cfg

    import rslcore_rsl_rl

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    task_cfg, agent_cfg = load_env_cfg(TASK), load_rl_cfg(TASK)
    task_cfg.seed, task_cfg.scene.num_envs = seed, num_envs
    env = RslRlVecEnvWrapper(ManagerBasedRlEnv(cfg=task_cfg, device="cpu"), clip_actions=agent_cfg.clip_actions)
    agent = dataclasses.asdict(agent_cfg) | {"logger": "tensorboard", "upload_model": False, "save_interval": 10**6}
    chosen: Any = rslcore_rsl_rl.OnPolicyRunner if runner == "rslcore" else MjlabOnPolicyRunner
    return chosen(env, agent, log_dir, "cpu"), agent


def train(runner: str, seed: int, num_envs: int, iterations: int, folder: Path) -> None:
    """Train one run and write its curve."""
    with tempfile.TemporaryDirectory() as log_dir:
        learner, agent = make(runner, seed, num_envs, log_dir)
        learner.learn(iterations, init_at_random_ep_len=True)
        if runner == "rsl_rl":
            learner.logger.writer.flush()  # rsl_rl leaves the last lines to the end of the process
        returns, speeds = (read_scalars(Path(log_dir), tag) for tag in ("Train/mean_reward", "Perf/total_fps"))
    steps_per_iteration = num_envs * agent["num_steps_per_env"]
    curve = Curve(TASK, runner, seed, seconds=sum(steps_per_iteration / speed for speed in speeds.values()))
    for number, iteration in enumerate(sorted(speeds), 1):
        curve.add(number * steps_per_iteration, returns.get(iteration))
    save_curve(folder, curve)
    print(f"{runner} seed {seed}: final return {curve.final_return():.2f} after {curve.seconds:.0f} s")


def compare_speed(num_envs: int, turns: int, folder: Path) -> None:
    """Let both learn by turns of two iterations, in one process, and note their env steps a second.

    What else the machine does is then much the same for both. Seconds are those of the processor: with one thread and
    nothing read from disk, those of the clock on a core that is free.
    """
    iterations = 2
    learners = {runner: make(runner, 1, num_envs, None) for runner in RUNNERS}
    clocks = {runner: time_steps(learner.env) for runner, (learner, _) in learners.items()}
    seconds: dict[str, list[tuple[float, float]]] = {runner: [] for runner in RUNNERS}
    for turn in range(turns + 1):
        for runner, (learner, _) in learners.items():
            clocks[runner].clear()
            start = time.process_time()
            learner.learn(iterations)
            whole = time.process_time() - start
            if turn:  # the first one compiles kernels
                seconds[runner].append((whole / iterations, (whole - sum(clocks[runner])) / iterations))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "speed.json").write_text(json.dumps(seconds), encoding="utf-8")
    print("| runner | steps/s | seconds of an iteration | of that outside of the env |\n|---|---|---|---|")
    for runner in RUNNERS:
        whole, outside = numpy.median(seconds[runner], axis=0)
        steps = num_envs * learners[runner][1]["num_steps_per_env"]
        print(f"| {runner} | {steps / whole:,.0f} | {whole:.3f} | {outside:.3f} |")
    ratios = numpy.array(seconds["rsl_rl"]) / numpy.array(seconds["rslcore"])
    for name, (low, middle, high) in zip(
        ("whole", "outside"), numpy.percentile(ratios, [25, 50, 75], axis=0).T, strict=True
    ):
        print(f"rslcore is faster by {middle:.2f} ({name}), quartiles {low:.2f} and {high:.2f}")


def time_steps(env: Any) -> list[float]:
    """Seconds of the processor that each step of an env takes, as they are taken."""
    seconds: list[float] = []
    step = env.step

    def timed(actions: Any) -> Any:
        start = time.process_time()
        try:
            return step(actions)
        finally:
            seconds.append(time.process_time() - start)

    env.step = timed
    return seconds


def read_scalars(folder: Path, tag: str) -> dict[int, float]:
    """A scalar of all event files in a folder, by iteration."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder)).Reload()
    return {event.step: event.value for event in events.Scalars(tag)} if tag in events.Tags()["scalars"] else {}


def train_all(seeds: int, num_envs: int, iterations: int, folder: Path) -> None:
    """Train what is missing, by turns, each run in a process of its own."""
    for seed in range(1, seeds + 1):
        for runner in RUNNERS:
            if not curve_path(folder, TASK, runner, seed).exists():
                command = [sys.executable, __file__, "train", runner, f"--seed={seed}", f"--num-envs={num_envs}"]
                command += [f"--iterations={iterations}", f"--runs={folder}"]
                subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def draw(folder: Path, output: Path) -> None:
    """Make the picture, and print the table."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    print("| runner | final return by seed | mean, 95 % interval | mean over the run |\n|---|---|---|---|")
    for runner in RUNNERS:
        curves = load_curves(folder, TASK, runner)
        for curve, colour in zip(curves, shades(COLOURS[runner], len(curves)), strict=True):
            axes.plot(curve.steps, curve.returns, color=colour, label=f"{runner}, seed {curve.seed}")
        finals = [curve.final_return() for curve in curves]
        wholes = [float(numpy.nanmean(curve.returns)) for curve in curves]
        cells = (", ".join(f"{final:.2f}" for final in finals), interval(finals), interval(wholes))
        print(f"| {runner} | {' | '.join(cells)} |")
    axes.set(title=TASK, xlabel="env steps", ylabel="mean return of the latest 100 episodes")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(output / "mjlab_cartpole.png", dpi=120)


def interval(values: Sequence[float]) -> str:
    """Mean and 95 % interval."""
    centre, half = mean_and_half_width(values)
    return f"{centre:.2f}" if math.isnan(float(half)) else f"{centre:.2f} ± {half:.2f}"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("train", "all", "speed", "draw"):
        command = commands.add_parser(name)
        command.add_argument("--runs", type=Path, default=Path("logs/mjlab_cartpole"), help="Folder of the curves.")
        if name != "draw":
            command.add_argument("--num-envs", type=int, default=256)
    for name in ("train", "all"):
        commands.choices[name].add_argument("--iterations", type=int, default=150)
    commands.choices["train"].add_argument("runner", choices=RUNNERS)
    commands.choices["train"].add_argument("--seed", type=int, default=1)
    commands.choices["all"].add_argument("--seeds", type=int, default=3, help="Seeds 1 to this one.")
    commands.choices["speed"].add_argument("--turns", type=int, default=30)
    commands.choices["draw"].add_argument("--output", type=Path, default=Path("docs/_static"))
    arguments = parser.parse_args()

    if arguments.command == "train":
        runs = arguments.runs
        train(arguments.runner, arguments.seed, arguments.num_envs, arguments.iterations, runs)
    elif arguments.command == "all":
        train_all(arguments.seeds, arguments.num_envs, arguments.iterations, arguments.runs)
    elif arguments.command == "speed":
        compare_speed(arguments.num_envs, arguments.turns, arguments.runs)
    else:
        draw(arguments.runs, arguments.output)


if __name__ == "__main__":
    main()
