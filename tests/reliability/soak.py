"""An hour of training: is memory flat, are file handles flat, are logs bounded?

    python tests/reliability/soak.py --minutes 60 --out soak

Two runs at once, each in a process of its own, on one thread: CartPole, and a run that carries four extensions. Every
ten seconds the process is looked at from outside. At the end both are stopped by SIGTERM. Written are `soak.json` and
`soak.png`; printed is one line a run.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy
import torch

SETTLED = 0.2
"""Share of the time after which memory is expected to be flat: allocators and buffers have filled by then."""

COMMON = ("iterations=1000000000", "keep_checkpoints=3", "best_metric=Train/mean_reward", "runner.save_interval=100")


def mirror(env, obs, actions):
    """A pendulum seen from behind, for `symmetry`: of the groups below, sine, speed and torque change sign."""
    factors = {"policy": [1.0, -1.0], "privileged": [-1.0], "estimate": [-1.0]}
    if obs is not None:
        seen = obs.clone()
        for group in map(str, obs.keys()):
            seen[group] = obs[group] * torch.tensor(factors[group])
        obs = torch.cat([obs, seen])
    return obs, None if actions is None else torch.cat([actions, -actions])


def laden(folder: Path) -> list[str]:
    """Arguments of a run with a motion prior, an estimator, a reward for what is new, and mirrored data."""
    motions = folder / "motions.npz"
    angles = numpy.cumsum(numpy.full(200, 0.1))
    frames = numpy.stack([numpy.cos(angles), numpy.sin(angles)], axis=1).astype(numpy.float32)
    numpy.savez(motions, **{"num_frames": numpy.array([200]), "obs/policy": frames})
    extensions = (
        f"{{name: amp, motions: {motions}, hidden_dims: [32], replay_size: 10000}}",
        "{name: estimator, hidden_dims: [32]}",
        "{name: rnd, reward_normalization: true, state_normalization: true}",
        "{name: symmetry, function: 'soak:mirror'}",
    )
    return [
        "pendulum",
        "env.groups={policy: [0, 1], privileged: [2]}",
        "policy.actor.network.groups=[policy, estimate]",
        "runner.num_steps_per_env=32",
        "algorithm.num_mini_batches=4",
        "algorithm.num_learning_epochs=2",
        f"algorithm.extensions=[{', '.join(extensions)}]",
    ]


class Watched:
    """A training process, looked at through /proc.

    Args:
        name: Of the run.
        arguments: Of `rslcore train`.
        folder: Where its runs are.
    """

    def __init__(self, name: str, arguments: list[str], folder: Path) -> None:
        self.name = name
        self.folder = folder / name
        self.samples: list[dict[str, float]] = []
        self.folder.mkdir(parents=True)
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        command = [sys.executable, "-m", "rslcore", "train", *arguments, *COMMON, "--log-root", str(self.folder)]
        self.output = (self.folder / "output.txt").open("w")
        self.process = subprocess.Popen(
            [*command, "--quiet"], env=environment, stdout=self.output, stderr=subprocess.STDOUT
        )

    def sample(self, seconds: float) -> None:
        """Look at it once."""
        if self.process.poll() is not None:
            raise SystemExit(f"{self.name} has ended: {(self.folder / 'output.txt').read_text()}")
        proc = Path(f"/proc/{self.process.pid}")
        status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
        sizes = {path: path.stat().st_size for path in self.folder.rglob("*") if path.is_file()}
        checkpoints = [path for path in sizes if path.suffix == ".pt"]
        numbers = [int(path.stem.removeprefix("model_")) for path in checkpoints if path.stem != "model_best"]
        self.samples.append(
            {
                "seconds": seconds,
                "resident_mb": int(status["VmRSS"].split()[0]) / 1024,
                "handles": len(list((proc / "fd").iterdir())),
                "threads": int(status["Threads"]),
                "iteration": max(numbers, default=0),
                "checkpoints": len(checkpoints),
                "checkpoints_mb": sum(sizes[path] for path in checkpoints) / 2**20,
                "logs_mb": sum(size for path, size in sizes.items() if "tfevents" in path.name) / 2**20,
            }
        )

    def stop(self) -> int:
        """End it as a user would; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=900)
        self.output.close()
        return code

    def summary(self) -> dict[str, float]:
        """What the samples say, of the time after it has settled."""
        late = self.samples[int(SETTLED * len(self.samples)) :]
        hours = numpy.array([sample["seconds"] / 3600 for sample in late])
        memory = numpy.array([sample["resident_mb"] for sample in late])
        return {
            "hours": self.samples[-1]["seconds"] / 3600,
            "iterations": self.samples[-1]["iteration"],
            "memory_settled_mb": float(memory[0]),
            "memory_end_mb": float(memory[-1]),
            "memory_slope_mb_per_hour": float(numpy.polyfit(hours, memory, 1)[0]),
            "handles_settled": late[0]["handles"],
            "handles_end": late[-1]["handles"],
            "threads_end": late[-1]["threads"],
            "checkpoint_files": late[-1]["checkpoints"],
            "checkpoints_mb": late[-1]["checkpoints_mb"],
            "logs_mb_at_half": self.samples[len(self.samples) // 2]["logs_mb"],
            "logs_mb": late[-1]["logs_mb"],
        }


def draw(runs: list[Watched], path: Path) -> None:
    """Memory, handles and logs over time."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(12, 3.5), layout="constrained")
    panels = (("resident_mb", "resident memory, MB"), ("handles", "open file handles"), ("logs_mb", "TensorBoard, MB"))
    for axis, (key, label) in zip(axes, panels, strict=True):
        for run in runs:
            minutes = [sample["seconds"] / 60 for sample in run.samples]
            axis.plot(minutes, [sample[key] for sample in run.samples], label=run.name)
        axis.set_xlabel("minutes")
        axis.set_ylabel(label)
        axis.set_ylim(0, 1.15 * axis.get_ylim()[1])
        axis.grid(alpha=0.3)
    axes[0].legend(loc="lower right")
    figure.savefig(path, dpi=110)


def main() -> None:
    """Run, sample, stop, tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--out", type=Path, default=Path("soak"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    runs = [Watched("cartpole", ["cartpole"], options.out), Watched("laden", laden(options.out), options.out)]
    started = time.monotonic()
    while (seconds := time.monotonic() - started) < 60 * options.minutes:
        time.sleep(10)
        for run in runs:
            run.sample(seconds)
    summaries = {}
    for run in runs:
        code = run.stop()
        assert code == 128 + signal.SIGTERM, f"{run.name} ended with {code}"
        summaries[run.name] = run.summary()
        print(run.name, ", ".join(f"{key} {value:.5g}" for key, value in summaries[run.name].items()))
    samples = {run.name: run.samples for run in runs}
    (options.out / "soak.json").write_text(json.dumps({"summaries": summaries, "samples": samples}, indent=1))
    draw(runs, options.out / "soak.png")


if __name__ == "__main__":
    main()
