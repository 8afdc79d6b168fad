"""Lays the tensors of a file over those of modules that were just built, and says what does not fit."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from rslcore.errors import CheckpointError, listed
from rslcore_rsl_rl.files import RslRlFile
from rslcore_rsl_rl.weights import Place, is_derived, shown, to_ours


class Overlay:
    """Lays the tensors of a file over ours, and collects what does not fit.

    Attributes:
        absent: Tensors that one of the two sides lacks, in words.
        unlike: Tensors of another shape, in words.
    """

    def __init__(self, file: RslRlFile) -> None:
        self._file = file
        self.absent: list[str] = []
        self.unlike: list[str] = []

    def lay(self, ours: Mapping[str, Any], there: Mapping[str, Place], models: Collection[str]) -> dict[str, Any]:
        """A module's state with the tensors of some of the file's models."""
        laid, used = dict(ours), set()
        for model in models:
            if model not in self._file.models:
                held = listed(self._file.models)
                self.absent.append(f"'{model}' is not in the file, which holds {held}")
        for key, place in there.items():
            tensors = self._file.models.get(place.model)
            if place.model not in models or tensors is None:
                continue
            used.add(str(place))
            if place.name in tensors:
                self._take(laid, key, place, tensors[place.name])
            else:
                named = self._named(place.model, place.name)
                self.absent.append(f"'{key}' {shown(ours[key])} is not in the file, where it would be {named}")
        for model in models:
            for name, tensor in self._file.models.get(model, {}).items():
                if f"{model}.{name}" not in used and not is_derived(name):
                    self.absent.append(f"{self._named(model, name)} {shown(tensor)} of the file has no place here")
        return laid

    def _take(self, laid: dict[str, Any], key: str, place: Place, tensor: Tensor) -> None:
        taken = to_ours(tensor, laid[key])
        if taken is not None:
            laid[key] = taken
            return
        named = self._named(place.model, place.name)
        self.unlike.append(f"{named} is {shown(tensor)} in the file, and '{key}' is {shown(laid[key])} here")

    def _named(self, model: str, name: str) -> str:
        """A tensor by its name in the file."""
        return self._file.names.get(f"{model}.{name}", f"{model}_state_dict['{name}']")

    def judge(self, strict: bool) -> list[str]:
        """Raise CheckpointError if something does not fit; what is missing or left over is only noted if not strict."""
        misfits = [*self.unlike, *(self.absent if strict else [])]
        if misfits:
            raise CheckpointError(f"{self._file.source} does not fit this config:\n  " + "\n  ".join(misfits))
        return self.absent
