"""The numbers of an update: losses and gradients of its minibatches, and what parameters have become."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs
import torch
from torch import Tensor

from rslcore.distributed import gather
from rslcore.learner import Learner
from rslcore.metrics import merge_metrics
from rslcore.optim import Optimizer
from rslcore.protocols import Algorithm, LearningAlgorithm

if TYPE_CHECKING:
    from rslcore.run.incident import Incidents

STD_LIMIT = 1e-5
"""A policy with an action whose standard deviation is not above has stopped exploring, and log-probabilities are but
rounding."""

STDS = ("Policy/min_std", "Policy/mean_std")
"""Metrics that tell of it; the first of them that there is."""

PATIENCE = 10
"""Iterations in a row whose optimizer steps were all left out after which a run that leaves them out ends."""

_STATE, _GRADIENTS, _SHAPED = "Watch/state", "Watch/gradients", "Train/mean_shaped_reward"


@attrs.frozen
class BadMinibatch:
    """The first minibatch of an iteration, on one rank, in which a loss or a gradient is not finite.

    Attributes:
        number: Counted from 1.
        loss: Of this rank.
        groups: Of the optimizer, whose gradients are not finite; gradients are the same on all ranks.
    """

    number: float = math.inf
    loss: float = 0.0
    groups: tuple[str, ...] = ()


class UpdateWatch:
    """Judges an algorithm's updates by scalars that are read with the metrics of an iteration, in the same transfer.

    An algorithm that is no `LearningAlgorithm` is judged by its metrics alone.

    Args:
        algorithm: Whose updates.
        incidents: To which is reported.
        stops: Whether a gradient that is not finite ends the run; if not, the optimizer leaves its step out.
    """

    def __init__(self, algorithm: Algorithm, incidents: Incidents, stops: bool) -> None:
        self._learner = algorithm.learner if isinstance(algorithm, LearningAlgorithm) else None
        self._incidents = incidents
        self._stops = stops
        self._num_barren = 0
        # Others are infinite by intent, such as a mask of -inf. Flags on the device, by name.
        self._finite_at_first = {name: buffer.isfinite().all() for name, buffer in self._buffers()}
        for optimizer in self._optimizers():
            optimizer.skips_bad_steps = not stops

    def scalars(self) -> dict[str, Tensor]:
        """Numbers that are finite if the update was, to be read with the metrics and handed to `judge` among them."""
        if self._learner is None:
            return {}
        total = torch.nn.utils.get_total_norm(tensor for _, tensor in self._trained())
        scalars = {_STATE: sum((norm for _, norm in self._buffer_norms()), total)}
        if norms := [norm for minibatch in self._learner.minibatches for norm in minibatch.norms]:
            scalars[_GRADIENTS] = torch.stack(norms).sum()
        return scalars

    def judge(
        self, iteration: int, ranks: Sequence[Mapping[str, float]], evidence: Callable[[], Mapping[str, Any]]
    ) -> dict[str, float]:
        """Look at the metrics of an iteration; return them, merged, without `scalars`.

        Args:
            iteration: Which one, counted from 1.
            ranks: The metrics of each rank; all ranks call this with the same.
            evidence: Gives what is saved where something has gone wrong.

        Raises:
            RunError: Something has, and the run shall stop then, or going on cannot mend it.
        """
        metrics = merge_metrics(ranks)
        state, gradients = metrics.pop(_STATE, 0.0), metrics.pop(_GRADIENTS, 0.0)
        found = ["the rewards that extensions have shaped are not finite"] if _is_bad(metrics, _SHAPED) else []
        cannot_go_on = bool(found) or not math.isfinite(state)
        losses = self._losses(metrics)
        minibatches: list[BadMinibatch] = []
        if self._learner is not None and (losses or not math.isfinite(gradients)):
            minibatches = gather(_first_bad_minibatch(self._learner))
            found += _minibatch_clauses(minibatches, self._learner.num_minibatches, bool(losses))
        found += losses
        if not math.isfinite(state) and not found:  # else it is they that were the cause
            found += self._bad_tensors()
        std = next((name for name in STDS if name in metrics), None)
        if not found and std is not None and metrics[std] <= STD_LIMIT:
            found.append(f"{std} is {metrics[std]:g}, the policy has stopped exploring")
        if not self._stops:
            metrics |= self._count_skipped()
            if self._num_barren == PATIENCE:
                cannot_go_on = True
                found.append(f"no optimizer step of {PATIENCE} iterations could be taken")
        if self._learner is not None:
            self._learner.forget_minibatches()
        origin = _origin(minibatches, ranks)
        if found and (self._stops or cannot_go_on):
            raise self._incidents.fatal(iteration, found, evidence, origin)
        if found:
            done = "the run goes on without such optimizer steps"
            self._incidents.warn("update", iteration, found, done, evidence, origin)
        return metrics

    def _optimizers(self) -> list[Optimizer]:
        """That of the algorithm, and those that extensions have of their own."""
        if self._learner is None:
            return []
        own = [entry.optimizer for entry in self._learner.modules if isinstance(entry.optimizer, Optimizer)]
        return [self._learner.optimizer, *own]

    def _losses(self, metrics: Mapping[str, float]) -> list[str]:
        """A clause for each loss that is not finite; what others may have caught it from comes first."""
        found = []
        for name, value in metrics.items():
            if name.startswith("Loss/") and not math.isfinite(value):
                owner = self._learner and self._learner.extensions.owner_of_loss(name.removeprefix("Loss/"))
                found.append(f"{name} is {value}" + (f" (a loss of extension '{owner}')" if owner else ""))
        return sorted(found, key=lambda text: "extension" not in text)

    def _count_skipped(self) -> dict[str, float]:
        """How many optimizer steps of the iteration were left out."""
        if self._learner is None:
            return {}
        num_steps = self._learner.num_minibatches
        is_barren = 0 < num_steps <= self._learner.optimizer.num_skipped
        self._num_barren = self._num_barren + 1 if is_barren else 0
        skipped = 0
        for optimizer in self._optimizers():
            skipped += optimizer.num_skipped
            optimizer.num_skipped = 0
        return {"Watch/skipped_steps": float(skipped)}

    def _trained(self) -> Iterator[tuple[str, Tensor]]:
        """Parameters, and the moments of the optimizer, by what they are called in a message."""
        if self._learner is None:
            return
        for name, entry in self._learner.modules.items():
            for key, parameter in entry.module.named_parameters():
                if parameter.is_floating_point():
                    yield f"parameter '{key}' of module '{name}'", parameter
        for key, moment in self._learner.optimizer.moments_by_name():
            yield f"the optimizer's {key}", moment

    def _buffers(self) -> Iterator[tuple[str, Tensor]]:
        if self._learner is None:
            return
        for name, entry in self._learner.modules.items():
            for key, buffer in entry.module.named_buffers():
                if buffer.is_floating_point():
                    yield f"buffer '{key}' of module '{name}'", buffer

    def _buffer_norms(self) -> Iterator[tuple[str, Tensor]]:
        """Of the buffers that the run began with; 0 of those that were not finite then."""
        for name, buffer in self._buffers():
            if (was_finite := self._finite_at_first.get(name)) is not None:
                yield name, torch.where(was_finite, torch.linalg.vector_norm(buffer), 0.0)

    def _bad_tensors(self) -> list[str]:
        """A clause for parameters, buffers and moments that are not finite, by the first of them."""
        norms = [(name, torch.linalg.vector_norm(tensor)) for name, tensor in self._trained()]
        bad = [name for name, norm in [*norms, *self._buffer_norms()] if not norm.isfinite()]
        others = f" and {len(bad) - 1} more are" if len(bad) > 1 else " is"
        return [f"{bad[0]}{others} not finite"] if bad else ["the norm of all parameters is not finite"]


def _is_bad(metrics: Mapping[str, float], name: str) -> bool:
    return not math.isfinite(metrics.get(name, 0.0))


def _first_bad_minibatch(learner: Learner) -> BadMinibatch:
    """Of this rank, among the latest ones; one without a number if none is bad."""
    kept = learner.minibatches
    if not kept:
        return BadMinibatch()
    read = torch.stack([torch.stack([each.loss.float(), *each.norms]) for each in kept]).tolist()
    for number, (loss, *norms) in enumerate(read, learner.num_minibatches - len(kept) + 1):
        groups = zip(learner.optimizer.groups, norms, strict=True)
        bad = tuple(group.name for group, norm in groups if not math.isfinite(norm))
        if bad or not math.isfinite(loss):
            return BadMinibatch(number, loss, bad)
    return BadMinibatch()


def _minibatch_clauses(ranks: Sequence[BadMinibatch], num_minibatches: int, are_losses_told: bool) -> list[str]:
    """A clause for what went wrong first: the loss of a rank, or a gradient though all losses were finite."""
    first = min(ranks, key=lambda minibatch: minibatch.number)
    where = f"in minibatch {first.number} of {num_minibatches}"
    if first.number == math.inf:
        return []
    for number, minibatch in enumerate(ranks):
        if minibatch.number == first.number and not math.isfinite(minibatch.loss):
            if len(ranks) > 1:
                return [f"the loss of rank {number} is {minibatch.loss} {where}"]
            return [] if are_losses_told else [f"the loss is {minibatch.loss} {where}"]
    return [f"the gradient of {' and '.join(first.groups)} is not finite {where}, though its loss is"]


def _origin(minibatches: Sequence[BadMinibatch], ranks: Sequence[Mapping[str, float]]) -> int:
    """The rank on which numbers went wrong first, by its own rewards, then by minibatches, then by other metrics."""
    for number, metrics in enumerate(ranks):
        if _is_bad(metrics, _SHAPED):
            return number
    if minibatches:
        order = [(each.number, math.isfinite(each.loss), number) for number, each in enumerate(minibatches)]
        return min(order)[2]
    for number, metrics in enumerate(ranks):
        if any(_is_bad(metrics, name) for name in metrics if name == _STATE or name.startswith("Loss/")):
            return number
    return 0
