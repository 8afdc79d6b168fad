"""The numbers of an update: losses and gradients of its minibatches, and what parameters have become."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from rslcore.extension_list import ExtensionList
from rslcore.learner import Learner
from rslcore.optim import Optimizer

if TYPE_CHECKING:
    from rslcore.protocols import Algorithm
    from rslcore.watch.incident import Incidents

STD_LIMIT = 1e-5
"""A policy whose mean standard deviation is not above has stopped exploring, and log-probabilities are but rounding."""

PATIENCE = 10
"""Iterations in a row whose optimizer steps were all left out after which a run that leaves them out ends."""

_STATE, _GRADIENTS = "Watch/state", "Watch/gradients"


class UpdateWatch:
    """Judges an algorithm's updates by scalars that are read with the metrics of an iteration, in the same transfer.

    An algorithm that has no `Learner` as `learner` is judged by its metrics alone.

    Args:
        algorithm: Whose updates.
        incidents: To which is reported.
        stops: Whether a gradient that is not finite ends the run; if not, the optimizer leaves its step out.
    """

    def __init__(self, algorithm: Algorithm, incidents: Incidents, stops: bool) -> None:
        learner = getattr(algorithm, "learner", None)
        self._learner = learner if isinstance(learner, Learner) else None
        extensions = getattr(algorithm, "extensions", None)
        self._extensions = extensions if isinstance(extensions, ExtensionList) else None
        self._incidents = incidents
        self._stops = stops
        self._num_barren = 0
        for optimizer in self._optimizers():
            optimizer.skips_bad_steps = not stops

    def scalars(self) -> dict[str, Tensor]:
        """Numbers that are finite if the update was, to be read with the metrics and handed to `judge` among them."""
        if self._learner is None:
            return {}
        scalars = {_STATE: torch.nn.utils.get_total_norm(tensor for _, tensor in _state(self._learner))}
        if norms := [norm for minibatch in self._learner.minibatches for norm in minibatch.norms]:
            scalars[_GRADIENTS] = torch.stack(norms).sum()
        return scalars

    def judge(
        self, iteration: int, read: Mapping[str, float], evidence: Callable[[], Mapping[str, Any]]
    ) -> dict[str, float]:
        """Look at the metrics of an iteration, of all ranks; return them without `scalars`.

        Args:
            iteration: Which one, counted from 1.
            read: The metrics.
            evidence: Gives what is saved where something has gone wrong.

        Raises:
            RunError: Something has, and the run shall stop then, or going on cannot mend it.
        """
        metrics = dict(read)
        state, gradients = metrics.pop(_STATE, 0.0), metrics.pop(_GRADIENTS, 0.0)
        found = self._rewards(metrics)
        cannot_go_on = bool(found) or not math.isfinite(state)
        if self._learner is not None and not math.isfinite(gradients):
            found += _first_gradient(self._learner)
        found += self._losses(metrics)
        if self._learner is not None and not math.isfinite(state) and not found:  # else it is they that were the cause
            found += _bad_tensors(self._learner)
        if not found and metrics.get("Policy/mean_std", math.inf) <= STD_LIMIT:
            found.append(f"Policy/mean_std is {metrics['Policy/mean_std']:g}, the policy has stopped exploring")
        if not self._stops:
            metrics |= self._count_skipped()
            if self._num_barren == PATIENCE:
                cannot_go_on = True
                found.append(f"no optimizer step of {PATIENCE} iterations could be taken")
        if self._learner is not None:
            self._learner.minibatches.clear()
        if found and (self._stops or cannot_go_on):
            raise self._incidents.fatal(iteration, found, evidence)
        if found:
            self._incidents.warn("update", iteration, found, "the run goes on without such optimizer steps", evidence)
        return metrics

    def _optimizers(self) -> list[Optimizer]:
        """That of the algorithm, and those that extensions have of their own."""
        if self._learner is None:
            return []
        own = [entry.optimizer for entry in self._learner.modules if isinstance(entry.optimizer, Optimizer)]
        return [self._learner.optimizer, *own]

    def _rewards(self, metrics: Mapping[str, float]) -> list[str]:
        if math.isfinite(metrics.get("Train/mean_shaped_reward", 0.0)):
            return []
        return ["the rewards that extensions have shaped are not finite"]

    def _losses(self, metrics: Mapping[str, float]) -> list[str]:
        """A clause for each loss that is not finite; what others may have caught it from comes first."""
        found = []
        for name, value in metrics.items():
            if name.startswith("Loss/") and not math.isfinite(value):
                owner = self._extensions and self._extensions.owner_of_loss(name.removeprefix("Loss/"))
                found.append(f"{name} is {value}" + (f" (a loss of extension '{owner}')" if owner else ""))
        return sorted(found, key=lambda text: "extension" not in text)

    def _count_skipped(self) -> dict[str, float]:
        """How many optimizer steps of the iteration were left out."""
        if self._learner is None:
            return {}
        num_steps = len(self._learner.minibatches)
        is_barren = 0 < num_steps <= self._learner.optimizer.num_skipped
        self._num_barren = self._num_barren + 1 if is_barren else 0
        skipped = 0
        for optimizer in self._optimizers():
            skipped += optimizer.num_skipped
            optimizer.num_skipped = 0
        return {"Watch/skipped_steps": float(skipped)}


def _state(learner: Learner) -> Iterator[tuple[str, Tensor]]:
    """What is trained, buffers, and the moments of the optimizer, by what they are called in a message."""
    for name, entry in learner.modules.items():
        for kind, tensors in (("parameter", entry.module.named_parameters()), ("buffer", entry.module.named_buffers())):
            for key, tensor in tensors:
                if tensor.is_floating_point():
                    yield f"{kind} '{key}' of module '{name}'", tensor
    for key, moment in learner.optimizer.moments_by_name():
        yield f"the optimizer's {key}", moment


def _bad_tensors(learner: Learner) -> list[str]:
    """A clause for parameters, buffers and moments that are not finite, by the first of them."""
    bad = [name for name, tensor in _state(learner) if not torch.linalg.vector_norm(tensor).isfinite()]
    others = f" and {len(bad) - 1} more are" if len(bad) > 1 else " is"
    return [f"{bad[0]}{others} not finite"] if bad else ["the norm of all parameters is not finite"]


def _first_gradient(learner: Learner) -> list[str]:
    """A clause for the first gradient that is not finite though the loss was; none where the loss was not either."""
    for number, minibatch in enumerate(learner.minibatches, 1):
        norms = torch.stack(list(minibatch.norms)).tolist()
        bad = [
            group.name for group, norm in zip(learner.optimizer.groups, norms, strict=True) if not math.isfinite(norm)
        ]
        if bad:
            if not math.isfinite(minibatch.loss.item()):
                return []
            where = f"in minibatch {number} of {len(learner.minibatches)}"
            return [f"the gradient of {' and '.join(bad)} is not finite {where}, though its loss is"]
    return []
