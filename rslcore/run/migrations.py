"""What older checkpoints lack: one function a step, from a layout of the file to the next.

A step works on the plain payload, so that it stays right when the classes change that are made of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Payload = Mapping[str, Any]


def _name_components(payload: Payload) -> Payload:
    """1 to 2: the history of what the run was made with, where there were the plugins, without what came from each."""
    plugins = [{**source, "components": []} for source in payload["sources"]]
    stage = {"since_iteration": 0, "rslcore": payload["rslcore"], "plugins": plugins}
    return {**payload, "history": [stage]}


def _split_by_rank(payload: Payload) -> Payload:
    """2 to 3: what each process alone has, where there was the state of one process's random generators."""
    return {**payload, "ranks": [{"rng": payload["rng"]}]}


_STEPS: tuple[Callable[[Payload], Payload], ...] = (_name_components, _split_by_rank)

SCHEMA = 1 + len(_STEPS)
"""Layout of the file; a step is added when it changes."""


def migrate(payload: Payload) -> Payload:
    """The payload of a checkpoint of schema 1 to `SCHEMA` as one of `SCHEMA`.

    Raises KeyError or TypeError if it lacks what its own schema has.
    """
    for step in _STEPS[payload["schema"] - 1 :]:
        payload = step(payload)
    return payload
