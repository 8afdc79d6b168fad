"""Metrics without host reads: kept on the device during an iteration, read once at its end."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs
import numpy
import torch
from torch import Tensor

from rslcore.distributed import gather

if TYPE_CHECKING:
    from rslcore.protocols import EnvStep


def to_floats(metrics: Mapping[str, Tensor | float]) -> dict[str, float]:
    """Read scalar metrics on the host in one transfer."""
    tensors = {name: value for name, value in metrics.items() if isinstance(value, Tensor)}
    read = torch.stack([value.detach().float() for value in tensors.values()]).tolist() if tensors else []
    numbers = dict(zip(tensors, read, strict=True))
    return {name: numbers[name] if name in numbers else float(metrics[name]) for name in metrics}


def merge_metrics(ranks: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Metrics of all ranks as one: of each, the mean over the ranks that have it."""
    values: dict[str, list[float]] = {}
    for metrics in ranks:
        for name, value in metrics.items():
            values.setdefault(name, []).append(value)
    return {name: sum(each) / len(each) for name, each in values.items()}


class Means:
    """Means of scalars over the minibatches of an update, added up on the device."""

    def __init__(self) -> None:
        self._totals: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, scalars: Mapping[str, Tensor], weight: Tensor | float = 1.0) -> None:
        """Take in the scalars of a minibatch; with `Batch.weight`, means over its rows become one over those of all
        ranks.
        """
        for name, scalar in scalars.items():
            scalar = scalar.detach() * weight if isinstance(weight, Tensor) else scalar.detach()
            self._totals[name] = self._totals[name] + scalar if name in self._totals else scalar
            self._counts[name] = self._counts.get(name, 0) + 1

    def collect(self) -> dict[str, Tensor]:
        """The means since the last call."""
        means = {name: total / self._counts[name] for name, total in self._totals.items()}
        self._totals.clear()
        self._counts.clear()
        return means


class EpisodeStatistics:
    """Return and length of the episodes that ended lately, on all ranks.

    A step costs a copy of its rewards and of its flags into a kept buffer; the sums are made on the host, once an
    iteration.

    Args:
        num_envs: N.
        num_steps: T, the number of `record` calls between two `collect` calls.
        device: Where the env's tensors are.
        window: Number of episodes whose mean is reported.
    """

    def __init__(self, num_envs: int, num_steps: int, device: torch.device, window: int = 100) -> None:
        self._rewards = torch.zeros(num_steps, num_envs, device=device)
        self._dones = torch.zeros(num_steps, num_envs, device=device, dtype=torch.bool)
        self._valid = torch.ones(num_steps, num_envs, device=device, dtype=torch.bool)
        self._step = 0
        self._running_returns = numpy.zeros(num_envs)
        self._running_lengths = numpy.zeros(num_envs, dtype=numpy.int64)
        self.returns: deque[float] = deque(maxlen=window)
        self.lengths: deque[int] = deque(maxlen=window)
        self._log: dict[str, list[Tensor | float]] = {}
        self._sums: dict[str, EpisodeSums] = {}  # of `extras["episode"]`, by name
        self._window = window

    def record(self, step: EnvStep) -> None:
        """Take in one step of all envs."""
        row = self._step
        self._rewards[row].copy_(step.rewards)
        self._dones[row].copy_(step.dones)
        if step.valid is not None:
            self._valid[row].copy_(step.valid)
        for name, value in step.extras.get("log", {}).items():
            self._log.setdefault(name, []).append(value)
        for name, values in step.extras.get("episode", {}).items():
            self._sums_of(name).buffer[row].copy_(values)
        self._step += 1

    def collect(self) -> dict[str, float]:
        """Take in the steps since the last call and return the metrics of the latest episodes."""
        rewards, dones, valid = (
            buffer[: self._step].cpu().numpy() for buffer in (self._rewards, self._dones, self._valid)
        )
        returns: list[list[float]] = []
        lengths: list[list[int]] = []
        for row, ended in enumerate(dones):
            self._running_returns += rewards[row] * valid[row]
            self._running_lengths += valid[row]
            returns.append(self._running_returns[ended].tolist())
            lengths.append(self._running_lengths[ended].tolist())
            self._running_returns[ended] = 0.0
            self._running_lengths[ended] = 0
        sums = {name: each.collect(dones, valid) for name, each in self._sums.items()}
        self._take_in(gather(_Ended(returns, lengths, sums)))
        self._step = 0
        self._valid.fill_(True)
        metrics = self._collect_log()
        metrics.update({_episode(name): sums.mean() for name, sums in self._sums.items() if sums.latest})
        if self.returns:
            metrics["Train/mean_reward"] = sum(self.returns) / len(self.returns)
            metrics["Train/mean_episode_length"] = sum(self.lengths) / len(self.lengths)
        return metrics

    def _take_in(self, ranks: Sequence[_Ended]) -> None:
        """Step by step, so that the latest episodes are those of all ranks."""
        for row in range(self._step):
            for ended in ranks:
                self.returns.extend(ended.returns[row])
                self.lengths.extend(ended.lengths[row])
                for name, values in ended.sums.items():
                    self._sums_of(name).latest.extend(values[row])

    def _sums_of(self, name: str) -> EpisodeSums:
        if name not in self._sums:
            self._sums[name] = EpisodeSums(self._rewards, self._window)
        return self._sums[name]

    def _collect_log(self) -> dict[str, float]:
        means: dict[str, Tensor | float] = {}
        for name, values in self._log.items():
            tensors = [value.float().mean() for value in values if isinstance(value, Tensor)]
            mean = torch.stack(tensors).mean() if tensors else sum(map(float, values)) / len(values)
            means[_episode(name)] = mean
        self._log.clear()
        return to_floats(means)

    def state_dict(self) -> dict[str, Any]:
        """The episodes of the window."""
        return {
            "returns": list(self.returns),
            "lengths": list(self.lengths),
            "sums": {name: list(sums.latest) for name, sums in self._sums.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.returns.extend(state["returns"])
        self.lengths.extend(state["lengths"])
        for name, latest in state.get("sums", {}).items():
            self._sums_of(name).latest.extend(latest)

    def local_state_dict(self) -> dict[str, Any]:
        """The sums of the running episodes."""
        return {
            "returns": torch.from_numpy(self._running_returns.copy()),
            "lengths": torch.from_numpy(self._running_lengths.copy()),
            "sums": {name: torch.from_numpy(sums.running.copy()) for name, sums in self._sums.items()},
        }

    def load_local_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `local_state_dict`, for envs that go on with their episodes."""
        self._running_returns[:] = state["returns"].numpy()
        self._running_lengths[:] = state["lengths"].numpy()
        for name, running in state["sums"].items():
            self._sums_of(name).running[:] = running.numpy()


def _episode(name: str) -> str:
    """What a quantity of episodes is logged as; a name that has a section keeps it."""
    return name if "/" in name else f"Episode/{name}"


@attrs.frozen
class _Ended:
    """The episodes of one rank that ended with each step: their returns, lengths and sums of other quantities."""

    returns: list[list[float]]
    lengths: list[list[int]]
    sums: dict[str, list[list[float]]]


class EpisodeSums:
    """A quantity of every env step, summed over each episode.

    Args:
        like: The buffer of rewards, `[T, N]`.
        window: Number of episodes whose mean is reported.
    """

    def __init__(self, like: Tensor, window: int) -> None:
        self.buffer = torch.zeros_like(like)
        self.latest: deque[float] = deque(maxlen=window)
        self.running = numpy.zeros(like.shape[1])

    def collect(self, dones: numpy.ndarray[Any, Any], valid: numpy.ndarray[Any, Any]) -> list[list[float]]:
        """The sums of the episodes that ended with each step, given where, and which rows are transitions."""
        values = self.buffer[: len(dones)].cpu().numpy()
        ended_sums: list[list[float]] = []
        for row, ended in enumerate(dones):
            self.running += values[row] * valid[row]
            ended_sums.append(self.running[ended].tolist())
            self.running[ended] = 0.0
        self.buffer.zero_()
        return ended_sums

    def mean(self) -> float:
        """Of the episodes that ended lately."""
        return sum(self.latest) / len(self.latest)
