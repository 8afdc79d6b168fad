"""What an exported file says of itself."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

import torch

from rslcore import __version__
from rslcore.evaluation import InferencePolicy, Origin
from rslcore.export.step import ACTIONS, PolicyStep


def describe(policy: InferencePolicy, origin: Origin, step: PolicyStep) -> dict[str, str]:
    """Texts in JSON by name: `observations`, `actions`, `states`, `checkpoint`, `made_with`, `exported_with`."""
    actions = policy.spec.actions
    entries: dict[str, Any] = {
        "observations": {
            group: {"input": name, "shape": step.inputs[name].shape, "dtype": step.inputs[name].dtype}
            for group, name in step.groups.items()
        },
        "actions": {
            "output": ACTIONS,
            "size": actions.num_actions,
            "dtype": step.outputs[ACTIONS].dtype,
            "names": actions.names,
            "low": [_finite(bound) for bound in actions.low],
            "high": [_finite(bound) for bound in actions.high],
            "num_choices": actions.num_choices,
        },
        "states": [
            {"input": state.input, "output": state.output, "shape": state.spec.shape, "dtype": state.spec.dtype}
            for state in step.states
        ],
        "checkpoint": {
            "run": "/".join(origin.path.resolve().parent.parts[-2:]),
            "file": origin.path.name,
            "iteration": origin.iteration,
            "sha256": _sha256(origin),
        },
        "made_with": origin.made_with.to_dict(),
        "exported_with": {"rslcore": __version__, "torch": str(torch.__version__)},
    }
    return {name: json.dumps(entry, allow_nan=False) for name, entry in entries.items()}


def _finite(bound: float) -> float | None:
    """A bound as JSON has it, which knows no infinity."""
    return bound if math.isfinite(bound) else None


def _sha256(origin: Origin) -> str:
    with origin.path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
