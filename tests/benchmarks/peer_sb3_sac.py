"""Trains Stable-Baselines3's SAC on HalfCheetah-v5: the curve that `fast_sac` is compared with.

    python tests/benchmarks/peer_sb3_sac.py --seed 1 --steps 250000 --output logs/off_policy

Its hyper-parameters are those of its authors' zoo: the library's own defaults, and 10,000 random steps to begin with.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from stable_baselines3 import SAC
from stable_baselines3.common.callbacks import BaseCallback


class EpisodeCurve(BaseCallback):
    """Notes env steps, seconds, seconds of CPU time and return at the end of every episode."""

    def __init__(self, path: Path, description: dict[str, object], stop_return: float) -> None:
        super().__init__()
        self._path = path
        self._description = description
        self._stop_return = stop_return
        self._rows: list[tuple[int, float, float, float]] = []

    def _on_training_start(self) -> None:
        self._started = time.perf_counter(), time.process_time()

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                seconds = time.perf_counter() - self._started[0]
                cpu_seconds = time.process_time() - self._started[1]
                self._rows.append((self.num_timesteps, seconds, cpu_seconds, float(info["episode"]["r"])))
                steps, seconds_, cpu, returns = (list(column) for column in zip(*self._rows, strict=True))
                curve = {"steps": steps, "seconds": seconds_, "cpu_seconds": cpu, "returns": returns}
                self._path.write_text(json.dumps({**self._description, **curve}) + "\n", encoding="utf-8")
        latest = [row[3] for row in self._rows[-10:]]
        return len(latest) < 10 or sum(latest) / 10 < self._stop_return


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=250_000)
    parser.add_argument("--stop-return", type=float, default=3500.0, help="Mean of ten episodes at which to stop.")
    parser.add_argument("--output", type=Path, default=Path("logs/off_policy"))
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / f"halfcheetah-sb3_sac-{arguments.seed}.json"
    model = SAC("MlpPolicy", "HalfCheetah-v5", learning_starts=10_000, seed=arguments.seed, device="cpu")
    description = {"task": "halfcheetah", "variant": "sb3_sac", "seed": arguments.seed}
    model.learn(arguments.steps, EpisodeCurve(path, description, arguments.stop_return))


if __name__ == "__main__":
    main()
