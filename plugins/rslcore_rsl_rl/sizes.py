"""The shapes of observations and actions, from the tensors of a checkpoint: rsl_rl's say nothing else of the env."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
from torch import Tensor

from rslcore.errors import CheckpointError, listed, nearest
from rslcore.specs import ActionSpec, EnvSpec, TensorSpec
from rslcore_rsl_rl.files import RslRlFile
from rslcore_rsl_rl.weights import bare_name, models_of

_TWO_OUTPUTS = ("heteroscedastic_gaussian", "beta")
"""Distributions with two numbers an action."""


@attrs.frozen
class _Reader:
    """A network that reads observations.

    Attributes:
        name: For messages.
        vectors: Its 1-D groups.
        images: Its other ones, and the channels of each.
        width: Numbers of all its 1-D groups; None if the file does not say.
    """

    name: str
    vectors: tuple[str, ...]
    images: Mapping[str, int]
    width: int | None


def spec_of(
    file: RslRlFile,
    config: Mapping[str, Any],
    teacher: Mapping[str, Any] | None,
    given: Mapping[str, TensorSpec],
) -> EnvSpec:
    """What the env would say of itself, as far as the networks of a file need it.

    The number of envs is not in the file; it is the smallest one that a rollout can be cut into minibatches with.

    Args:
        file: The checkpoint.
        config: Of the run, as plain data.
        teacher: The config of the teacher's run, as plain data, where there is a student.
        given: Groups of which the user has said the shape.

    Raises:
        CheckpointError: The shape of a group does not follow; says of which, and how to give it.
    """
    readers = [*_readers(file, config, teacher)]
    observations = _solve(readers, given, file.source)
    num_actions = _num_actions(file, config)
    bounds = math.inf
    actions = ActionSpec(num_actions, low=(-bounds,) * num_actions, high=(bounds,) * num_actions)
    num_envs = int(config["algorithm"].get("num_mini_batches", 1))
    return EnvSpec(num_envs, observations, actions, keeps_final_obs=False)


def read_group(text: str) -> tuple[str, TensorSpec]:
    """A group and its shape as they are typed: `policy=48`, `camera=3x64x64`. Raises ValueError if they are not so."""
    match = re.fullmatch(r"([^=]+)=([1-9]\d*(?:x[1-9]\d*)*)", text)
    if match is None:
        raise ValueError(f"'{text}' should be written GROUP=SIZE, as in policy=48, or camera=3x64x64 for an image")
    return match[1], TensorSpec(tuple(map(int, match[2].split("x"))))


def _readers(file: RslRlFile, config: Mapping[str, Any], teacher: Mapping[str, Any] | None) -> Iterator[_Reader]:
    policy = config["policy"]
    for model in models_of(policy):
        if model in file.models:
            yield _reader(model, policy[model]["network"], file.models[model])
    if teacher is not None:
        name = "teacher" if "teacher" in file.models else "actor"
        yield _reader("teacher", teacher["policy"]["actor"]["network"], file.models[name])
    for extension in config["algorithm"].get("extensions", ()):
        first = file.models.get("rnd", {}).get("predictor.0.weight")
        if bare_name(extension) == "rnd" and first is not None:
            yield _Reader("rnd", tuple(extension["groups"]), {}, first.shape[1])


def _reader(name: str, network: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> _Reader:
    firsts = {
        match[1]: tensor.shape[1]
        for key, tensor in reversed(list(tensors.items()))  # so that the first layer is the one that stays
        if (match := re.fullmatch(r"cnns\.(.+?)\.\d+\.weight", key)) and tensor.dim() == 4
    }
    images = {group: firsts[group] for group in network["groups"] if group in firsts}
    vectors = tuple(group for group in network["groups"] if group not in images)
    return _Reader(name, vectors, images, _width(tensors, bool(images)))


def _width(tensors: Mapping[str, Tensor], has_images: bool) -> int | None:
    for key in ("obs_normalizer._mean", "rnn.rnn.weight_ih_l0", *(() if has_images else ("mlp.0.weight",))):
        if key in tensors:
            return tensors[key].shape[-1]
    return None


def _solve(readers: list[_Reader], given: Mapping[str, TensorSpec], source: str) -> dict[str, TensorSpec]:
    """The shape of each group that is read."""
    read = {group for reader in readers for group in (*reader.vectors, *reader.images)}
    sizes = {group: spec.size for group, spec in given.items()}
    problems = [f"no network reads the group '{group}'{nearest(group, read)}" for group in given if group not in read]
    found = True
    while found:
        found = False
        for reader in readers:
            unknown = {group for group in reader.vectors if group not in sizes}
            if len(unknown) == 1 and reader.width is not None:
                (group,) = unknown
                count = reader.vectors.count(group)
                sizes[group] = (reader.width - sum(sizes.get(each, 0) for each in reader.vectors)) // count
                found = True
    for reader in readers:
        problems += _problems(reader, sizes, given)
    if problems:
        lines = "\n  ".join(dict.fromkeys(problems))
        raise CheckpointError(f"{source} does not tell the shapes of all observation groups:\n  {lines}")
    return {group: given.get(group, TensorSpec((sizes[group],))) for group in sorted(read)}


def _problems(reader: _Reader, sizes: Mapping[str, int], given: Mapping[str, TensorSpec]) -> Iterator[str]:
    for group, channels in reader.images.items():
        if group not in given:
            yield f"the image '{group}' of {channels} channels needs its shape: --obs {group}={channels}xHEIGHTxWIDTH"
    unknown = [group for group in reader.vectors if group not in sizes]
    if unknown:
        width = "" if reader.width is None else f" {reader.width} numbers of"
        yield (
            f"'{reader.name}' reads{width} {listed(reader.vectors)}; give "
            f"{'the size of all but one' if reader.width is not None else 'each size'}, as in --obs {unknown[0]}=48"
        )
    elif reader.width is not None and (total := sum(sizes[group] for group in reader.vectors)) != reader.width:
        each = ", ".join(f"{group}={sizes[group]}" for group in reader.vectors)
        yield f"'{reader.name}' reads {reader.width} numbers, and {each} make {total}"
    elif small := [group for group in reader.vectors if sizes[group] < 1]:
        yield f"'{reader.name}' reads {reader.width} numbers, which leaves {sizes[small[0]]} for '{small[0]}'"


def _num_actions(file: RslRlFile, config: Mapping[str, Any]) -> int:
    model = models_of(config["policy"])[0]
    layers = {int(match[1]): name for name in file.models.get(model, {}) if (match := _LAYER.fullmatch(name))}
    if not layers:
        held = listed(file.models)
        raise CheckpointError(f"{file.source} holds {held}, and no '{model}' with an mlp, which this config acts with")
    outputs = file.models[model][layers[max(layers)]].shape[0]
    return outputs // 2 if bare_name(config["policy"][model]["distribution"]) in _TWO_OUTPUTS else outputs


_LAYER = re.compile(r"mlp\.(\d+)\.weight")
