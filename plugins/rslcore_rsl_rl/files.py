"""rsl_rl's checkpoints as they lie on disk: read without executing anything, brought to the form of rsl_rl 5."""

from __future__ import annotations

import re
import shlex
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs
from torch import Tensor

from rslcore.errors import CheckpointError, UnsafeContentError, listed
from rslcore.run.payload import read_payload
from rslcore_rsl_rl.legacy import (
    NORMALIZERS,
    first_model,
    normalizer_owner,
    place_in_model,
    place_in_one_dict,
)
from rslcore_rsl_rl.optimizers import TorchMoments, read_torch_state
from rslcore_rsl_rl.weights import Place, in_order, is_parameter

_MODELS = {f"{model}_state_dict": model for model in ("actor", "critic", "student", "teacher", "rnd")}
"""The models, in the order in which their parameters are given to optimizers."""
_OPTIMIZERS = {"optimizer_state_dict": "policy", "rnd_optimizer_state_dict": "rnd"}
_COMPILED = re.compile(r"(?:^|(?<=\.))_orig_mod\.")


@attrs.frozen
class RslRlFile:
    """A checkpoint of rsl_rl of any version, as rsl_rl 5 has it.

    Attributes:
        source: What it is called in messages.
        models: `actor` and `critic`, or `student` and `teacher`, and `rnd`: tensors by rsl_rl 5's names, on the CPU.
        optimizers: `policy`, of the models that learn, and `rnd`: moments by parameter.
        iteration: Number of iterations done: one more than rsl_rl's `iter`, which is the index of the last one.
        infos: As they were given to `save`.
        names: What a tensor is called in the file, by where rsl_rl 5 keeps it (`actor.mlp.0.weight`).
        notes: What of the file is left out.
    """

    source: str
    models: Mapping[str, Mapping[str, Tensor]]
    optimizers: Mapping[str, TorchMoments]
    iteration: int
    infos: Any
    names: Mapping[str, str]
    notes: tuple[str, ...] = ()


def read_rsl_rl(path: Path) -> RslRlFile:
    """Read a checkpoint that rsl_rl has written, of any version; nothing in it is executed.

    Raises:
        CheckpointError: The file cannot be read, is damaged, is no such checkpoint, or holds more than plain data and
            tensors; says what it holds and what to do.
    """
    return parse(read_dict(path), f"'{path}'")


def read_dict(path: Path) -> Any:
    """What a checkpoint of rsl_rl or rslcore holds, as it is; nothing in it is executed.

    Raises:
        CheckpointError: As of `read_rsl_rl`, but for what it holds.
    """
    if _is_torchscript(path):
        raise CheckpointError(
            f"'{path}' is a policy that was exported for inference (TorchScript), and no checkpoint; "
            "give a model_<iteration>.pt of the run that it was exported from"
        )
    try:
        return read_payload(path)[0]
    except UnsafeContentError as error:
        plain = f"{path.with_suffix('')}_plain.pt"
        keep = '{k: v for k, v in d.items() if k.endswith("state_dict") or k == "iter"}'
        script = f'import torch; d = torch.load("{path}", "cpu", weights_only=False); torch.save({keep}, "{plain}")'
        raise CheckpointError(
            f"{error}. If you trust the file, write it anew without that, where it was made: "
            f"`python -c {shlex.quote(script)}`"
        ) from error


def is_rslcore(payload: Any) -> bool:
    """Whether what a file holds is a checkpoint of rslcore; one may be rsl_rl's as well."""
    return isinstance(payload, Mapping) and "rslcore" in payload and "schema" in payload


def holds_models(payload: Mapping[str, Any]) -> bool:
    """Whether what a file holds are models of rsl_rl's."""
    return any(key in payload for key in ("actor_state_dict", "student_state_dict", "model_state_dict"))


def parse(payload: Any, source: str) -> RslRlFile:
    """Bring what rsl_rl saves, of any version, to the form of rsl_rl 5.

    Args:
        payload: As `torch.load` gives it.
        source: What it is called in messages.

    Raises:
        CheckpointError: It is no such checkpoint.
    """
    if not isinstance(payload, Mapping):
        raise CheckpointError(f"{source} is no checkpoint of rsl_rl: it holds no dict but a {type(payload).__name__}")
    if not holds_models(payload):
        if is_rslcore(payload):
            raise CheckpointError(f"{source} is a checkpoint of rslcore already; `rslcore eval` takes its run's folder")
        raise CheckpointError(
            f"{source} is no checkpoint of rsl_rl: it holds {listed(map(str, payload))}, and neither an "
            "actor_state_dict, a student_state_dict nor a model_state_dict"
        )
    reading = _Reading(source)
    if "model_state_dict" in payload:
        state = reading.tensors(payload, "model_state_dict")
        first = first_model(state)
        for name, tensor in state.items():
            reading.keep(place_in_one_dict(name, first), "model_state_dict", name, tensor)
        for key in NORMALIZERS:
            if payload.get(key):
                model = normalizer_owner(key, reading.models)
                for name, tensor in reading.tensors(payload, key).items():
                    reading.keep(Place(model, f"obs_normalizer.{name}"), key, name, tensor)
    for key, model in _MODELS.items():
        if key in payload:
            for name, tensor in reading.tensors(payload, key).items():
                reading.keep(place_in_model(name, model), key, name, tensor)
    known = {*_MODELS, *_OPTIMIZERS, *NORMALIZERS, "model_state_dict", "iter", "infos"}
    others = [str(key) for key in payload if key not in known] if not is_rslcore(payload) else []
    return RslRlFile(
        source=source,
        models={model: in_order(tensors) for model, tensors in reading.models.items()},
        optimizers=_optimizers(payload, reading),
        iteration=_iteration(payload, source),
        infos=payload.get("infos"),
        names=reading.names,
        notes=(f"left out, since nothing here has a use for it: {listed(others)}",) if others else (),
    )


class _Reading:
    """What has been read so far, in the order of the file, which is that of the optimizers' parameters."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.models: dict[str, dict[str, Tensor]] = defaultdict(dict)
        self.names: dict[str, str] = {}
        self.order: list[Place] = []

    def tensors(self, payload: Mapping[str, Any], key: str) -> dict[str, Tensor]:
        """One of the dicts of tensors, without the prefixes that torch.compile gives names."""
        state = payload[key]
        if not isinstance(state, Mapping):
            raise CheckpointError(f"{self.source} is damaged: '{key}' should be a dict of tensors")
        if wrong := [name for name, value in state.items() if not isinstance(value, Tensor)]:
            raise CheckpointError(f"{self.source} is damaged: in '{key}', no tensors are {listed(map(str, wrong))}")
        return {_COMPILED.sub("", str(name)): tensor for name, tensor in state.items()}

    def keep(self, place: Place, key: str, name: str, tensor: Tensor) -> None:
        """Put a tensor of the file where rsl_rl 5 has it."""
        self.models[place.model][place.name] = tensor
        self.names[str(place)] = f"{key}['{name}']"
        self.order.append(place)

    def parameters(self, models: Iterable[str]) -> list[str]:
        """Names of the parameters of models, in the order of the file."""
        chosen = set(models)
        return [str(place) for place in self.order if place.model in chosen and is_parameter(place.name)]


def _optimizers(payload: Mapping[str, Any], reading: _Reading) -> dict[str, TorchMoments]:
    names = {"policy": reading.parameters(("actor", "critic") if "actor" in reading.models else ("student",))}
    if "model_state_dict" in payload:  # the optimizer of 2.x and 3.x was given the teacher, too
        names["policy"] = reading.parameters(("actor", "critic", "student", "teacher"))
    names["rnd"] = [name for name in reading.parameters(("rnd",)) if name.startswith("rnd.predictor.")]
    return {whose: read_torch_state(payload[key], names[whose]) for key, whose in _OPTIMIZERS.items() if key in payload}


def _iteration(payload: Mapping[str, Any], source: str) -> int:
    index = payload.get("iter", 0)
    if type(index) is not int or index < 0:
        raise CheckpointError(f"{source} is damaged: 'iter' should be the number of an iteration, it is {index!r}")
    return index + 1


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False  # what it is instead, reading it will tell
