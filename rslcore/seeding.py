"""Random numbers: one seed for a run, and the state of every generator as plain data for a checkpoint."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy
import torch


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch on all devices. The envs are seeded by the env plugin, from `context.seed`."""
    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)


def get_rng_state(device: torch.device) -> dict[str, Any]:
    """The state of the generators of Python, NumPy, torch and a device, in tensors and plain containers."""
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = numpy.random.get_state(legacy=True)
    return {
        "python": {"version": version, "words": list(words), "gauss": gauss},
        "numpy": {
            "name": name,
            "keys": [int(key) for key in keys],
            "position": int(position),
            "has_gauss": int(has_gauss),
            "cached": float(cached),
        },
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }


def set_rng_state(state: Mapping[str, Any], device: torch.device) -> None:
    """The inverse of `get_rng_state`. A CUDA generator is restored where the run was on such a device then too."""
    python, numpy_state = state["python"], state["numpy"]
    random.setstate((python["version"], tuple(python["words"]), python["gauss"]))
    numpy.random.set_state(
        (
            numpy_state["name"],
            numpy.array(numpy_state["keys"], dtype=numpy.uint32),
            numpy_state["position"],
            numpy_state["has_gauss"],
            numpy_state["cached"],
        )
    )
    torch.set_rng_state(state["torch"].cpu())
    cuda = state["cuda"]
    if device.type == "cuda" and isinstance(cuda, torch.Tensor):  # files of before hold a list
        torch.cuda.set_rng_state(cuda.cpu(), device)
