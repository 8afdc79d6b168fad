"""Genesis, which has to be initialised before a scene can be made, once a process."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

import torch

from rslcore.errors import ConfigError, DeviceError, EnvError, MissingExtraError, Problem, nearest

_OURS = ("backend", "seed")
"""What `gs.init` is given that the run has of its own."""


def import_genesis() -> Any:
    """Genesis, which is called `gs` everywhere.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return importlib.import_module("genesis")
    except ImportError as error:
        raise MissingExtraError(
            f"env 'genesis' needs a package that is not installed; type `pip install 'rslcore[genesis]'` ({error})"
        ) from error


def initialise(device: torch.device, seed: int, options: Mapping[str, Any], at: str) -> None:
    """Call `gs.init`, unless it was called in this process; its classes draw random numbers from torch's generator,
    which is seeded anyway.

    Args:
        device: Of the run.
        seed: Of the envs.
        options: What else `gs.init` is given.
        at: Their place in the run's config, for messages.

    Raises:
        MissingExtraError: Genesis is not installed.
        DeviceError: It is not the first GPU, the only one that Genesis runs on.
        ConfigError: `gs.init` does not take the options.
        EnvError: Genesis cannot be initialised.
    """
    gs = import_genesis()
    if device.index:
        raise DeviceError(
            f"device: Genesis runs on the first GPU that a process sees, not on '{device}'; type "
            f"`CUDA_VISIBLE_DEVICES={device.index} rslcore ... device=cuda`"
        )
    known = [name for name in inspect.signature(gs.init).parameters if name not in _OURS]
    if problems := [
        Problem(
            f"{at}.{name}", f"`gs.init` takes no '{name}' beside the run's own backend and seed{nearest(name, known)}"
        )
        for name in options
        if name not in known
    ]:
        raise ConfigError(problems)
    if gs.device is None:
        backend = gs.cpu if device.type == "cpu" else gs.gpu
        try:
            gs.init(**{"logging_level": "warning", **options}, backend=backend, seed=seed)
        except Exception as error:
            raise EnvError(f"{at}: Genesis cannot be initialised: {type(error).__name__}: {error}") from error
    torch.manual_seed(seed)
