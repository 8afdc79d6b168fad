"""Stands in for Genesis: the names that the plugin and the envs beside it ask for, with the meaning they have there."""

from __future__ import annotations

import torch

cpu, gpu = "cpu", "gpu"
device = None
backend = None
tc_float = torch.float32
INITIALISED = []
"""What `init` was given, each time."""


class GenesisException(Exception):  # noqa: N818, its name there
    pass


def init(*, backend=None, precision="32", logging_level=None, seed=None, performance_mode=False):
    global device
    if device is not None:
        raise GenesisException("Genesis already initialized.")
    if precision not in ("32", "64"):
        raise GenesisException(f"Unsupported precision type: {precision}")
    INITIALISED.append({"backend": backend, "logging_level": logging_level, "performance_mode": performance_mode})
    torch.manual_seed(seed)
    globals()["backend"] = backend
    device = torch.device("cpu" if backend == cpu else "cuda")


class Scene:
    def __init__(self, show_viewer=True):
        if device is None:
            raise GenesisException("Genesis hasn't been initialized. Did you call `gs.init()`?")
        self.show_viewer = show_viewer
