"""Learning curves on disk, and what several seeds of one say together.

Legend: S seeds, P points of a curve.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import attrs
import numpy

T_QUANTILES = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""Of Student's t distribution at 0.975, for 1 to 9 degrees of freedom."""


@attrs.define
class Curve:
    """One run: mean return of the latest 100 training episodes against env steps, iteration by iteration.

    Attributes:
        task: Name of the task.
        variant: Name of what was trained.
        seed: The run's seed.
        seconds: Time from the first env step to the last update.
        steps: Env steps so far, over all envs, `[P]`.
        returns: Mean return; NaN before the first episode has ended, `[P]`.
    """

    task: str
    variant: str
    seed: int
    seconds: float = 0.0
    steps: list[int] = attrs.field(factory=list)
    returns: list[float] = attrs.field(factory=list)

    def add(self, steps: int, mean_return: float | None) -> None:
        """Append a point."""
        self.steps.append(steps)
        self.returns.append(math.nan if mean_return is None else mean_return)

    def final_return(self) -> float:
        """Mean over the last tenth of the run."""
        return float(numpy.mean(self.returns[-max(1, len(self.returns) // 10) :]))


def shades(colour: str, count: int) -> list[tuple[float, float, float, float]]:
    """Shades of a colour of matplotlib from dark to light, one a seed; of one seed the colour itself."""
    from matplotlib.colors import LinearSegmentedColormap

    scale = LinearSegmentedColormap.from_list(colour, ["black", colour, "white"])
    return [scale(place) for place in (numpy.linspace(0.25, 0.75, count) if count > 1 else [0.5])]


def curve_path(folder: Path, task: str, variant: str, seed: int) -> Path:
    """Where a run's curve lies."""
    return folder / f"{task}-{variant}-{seed}.json"


def save_curve(folder: Path, curve: Curve) -> Path:
    """Write a curve as JSON."""
    path = curve_path(folder, curve.task, curve.variant, curve.seed)
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(attrs.asdict(curve)) + "\n", encoding="utf-8")
    return path


def load_curves(folder: Path, task: str, variant: str) -> list[Curve]:
    """All curves of a variant, by seed."""
    texts = [path.read_text(encoding="utf-8") for path in folder.glob(f"{task}-{variant}-*.json")]
    return sorted((Curve(**json.loads(text)) for text in texts), key=lambda curve: curve.seed)


def mean_and_half_width(values: Sequence[float] | numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Mean over the first axis, and half of its 95 % confidence interval by Student's t; NaN for a single value."""
    array = numpy.asarray(values, dtype=numpy.float64)
    count = len(array)
    if count == 1:
        return array[0], numpy.full_like(array[0], math.nan)
    return array.mean(0), T_QUANTILES[count - 2] * array.std(0, ddof=1) / math.sqrt(count)


def difference(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float]:
    """Difference of two means, and half of its 95 % confidence interval.

    By Welch's standard error, with the degrees of freedom of the smaller sample, which makes the interval rather too
    wide than too narrow.
    """
    standard_error = math.sqrt(numpy.var(ours, ddof=1) / len(ours) + numpy.var(theirs, ddof=1) / len(theirs))
    quantile = T_QUANTILES[min(len(ours), len(theirs)) - 2]
    return float(numpy.mean(ours) - numpy.mean(theirs)), float(quantile * standard_error)
