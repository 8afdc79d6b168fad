"""Isaac Sim, which has to run before a task of Isaac Lab can be as much as named: tasks import its modules."""

from __future__ import annotations

import atexit
import importlib
from typing import Any

import torch

from rslcore.errors import MissingExtraError

_app: list[Any] = []
"""The one app of this process."""


def launch(headless: bool, enable_cameras: bool, device: torch.device) -> None:
    """Start Isaac Sim, unless it runs already: the recipe starts it, and the env that is made then finds it there.

    It is closed where the process ends.

    Raises:
        MissingExtraError: Isaac Lab is not installed.
    """
    if _app:
        return
    launcher = import_isaaclab("isaaclab.app").AppLauncher
    _app.append(launcher(headless=headless, enable_cameras=enable_cameras, device=device_name(device)).app)
    atexit.register(_app[0].close)


def import_isaaclab(module: str) -> Any:
    """Import a module of Isaac Lab's.

    Raises:
        MissingExtraError: It is not installed, or a package that it needs is not.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            "env 'isaaclab' needs Isaac Lab, which no extra of rslcore brings: install it with Isaac Sim as its "
            "documentation says (https://isaac-sim.github.io/IsaacLab), then type `pip install rslcore` in its "
            f"environment ({error})"
        ) from error


def device_name(device: torch.device) -> str:
    """A device as Isaac Lab writes it: `cpu`, or `cuda:0` where no index was given."""
    return "cpu" if device.type == "cpu" else f"{device.type}:{device.index or 0}"
