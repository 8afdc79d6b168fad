"""Genesis, which has to be initialised before a scene can be made, once a process."""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Mapping
from typing import Any

import torch

from rslcore.errors import ConfigError, DeviceError, EnvError, MissingExtraError, Problem, listed, nearest

_OURS = ("backend", "seed")
"""What `gs.init` is given that the run has of its own."""

_DEFAULTS = {"logging_level": "warning"}
"""Ours, where Genesis has others."""

_log = logging.getLogger(__name__)

_given: list[Mapping[str, Any]] = []
"""The options that Genesis was initialised with last; none where the user's own code did it."""


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
        DeviceError: It is not the first GPU, the only one that Genesis runs on; or Genesis runs on another device
            already.
        ConfigError: `gs.init` does not take the options.
        EnvError: Genesis cannot be initialised.
    """
    gs = import_genesis()
    if device.index:
        raise DeviceError(
            f"device: Genesis runs on the first GPU that a process sees, not on '{device}'; type "
            f"`CUDA_VISIBLE_DEVICES={device.index} rslcore ... device=cuda`"
        )
    parameters = inspect.signature(gs.init).parameters
    known = {name: each.default for name, each in parameters.items() if name not in _OURS}
    if problems := [
        Problem(
            f"{at}.{name}", f"`gs.init` takes no '{name}' beside the run's own backend and seed{nearest(name, known)}"
        )
        for name in options
        if name not in known
    ]:
        raise ConfigError(problems)
    options = {**_DEFAULTS, **options}
    was_initialised = gs.device is not None
    if not was_initialised:
        backend = gs.cpu if device.type == "cpu" else gs.gpu
        try:
            gs.init(**options, backend=backend, seed=seed)
        except Exception as error:
            raise EnvError(f"{at}: Genesis cannot be initialised: {type(error).__name__}: {error}") from error
        _given[:] = [options]
    if (gs.backend == gs.cpu) != (device.type == "cpu"):  # Genesis itself takes the CPU where it finds no GPU
        there, name = ("CPU", "cpu") if gs.backend == gs.cpu else ("GPU", "cuda")
        raise DeviceError(
            f"device: Genesis runs on the {there} in this process, and not on '{device}' as well; start a process of "
            f"its own for '{device}', or type device={name}"
        )
    if was_initialised and (differing := _differing(options, known)):
        _log.warning(
            "%s: Genesis runs in this process already and is not initialised again, and options stay as they were: "
            "%s; start a process of its own to change them",
            at,
            listed(differing),
        )
    torch.manual_seed(seed)


def _differing(options: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[str]:
    """Names of options that Genesis may run without; of the user's own `gs.init` nothing is known."""
    if not _given:
        return [name for name in options if name not in _DEFAULTS or options[name] != _DEFAULTS[name]]
    return [name for name in defaults if options.get(name, defaults[name]) != _given[0].get(name, defaults[name])]
