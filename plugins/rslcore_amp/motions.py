"""Files of reference motions.

A motion is a sequence of observations, one an env step. A file `.npz` holds M of them, F frames in all:

    num_frames    integers [M]     frames of each motion, 2 or more; their sum is F
    obs/<group>   floats [F, D]    a 1-D observation group in all frames, motion after motion; an array a group

Legend: M motions, F frames, P pairs, D features.
"""

from __future__ import annotations

import importlib.resources
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from rslcore.context import Context
from rslcore.errors import ConfigError, Problem, listed, nearest_name

Arrays = dict[str, NDArray[numpy.generic]]


def save_motions(path: Path, motions: Sequence[NDArray[numpy.float32]], sizes: Mapping[str, int]) -> None:
    """Write motions `[frames, D]`, which have groups of `sizes` features side by side."""
    parts = numpy.split(numpy.concatenate(motions), numpy.cumsum(list(sizes.values()))[:-1], axis=1)
    arrays: dict[str, Any] = {f"obs/{group}": part for group, part in zip(sizes, parts, strict=True)}
    with path.open("wb") as file:  # given a name, numpy would add a suffix to it
        numpy.savez_compressed(file, num_frames=numpy.array(list(map(len, motions))), **arrays)


def load_pairs(motions: str, sizes: Mapping[str, int], context: Context) -> Tensor:
    """All pairs of successive frames of one motion, `[P, 2, D]`, float32.

    Args:
        motions: The file, or `package:path`.
        sizes: Features of the groups to read, in the order in which they are put side by side.
        context: For messages.

    Raises:
        ConfigError: The file cannot be read or is not as it should be; has all that is wrong with it.
    """
    arrays = _read(motions, context)
    faults = _find_faults(arrays, sizes)
    if faults:
        path = context.error("motions", "").problems[0].path
        raise ConfigError([Problem(path, f"'{motions}': {fault}") for fault in faults])
    frames = torch.cat([torch.from_numpy(arrays[f"obs/{group}"]).float() for group in sizes], dim=1)
    goes_on = numpy.ones(len(frames), dtype=bool)
    goes_on[arrays["num_frames"].astype(numpy.int64).cumsum() - 1] = False
    first = torch.from_numpy(goes_on.nonzero()[0])
    return torch.stack([frames[first], frames[first + 1]], dim=1)


def _read(motions: str, context: Context) -> Arrays:
    package, separator, inside = motions.partition(":")
    path = Path(motions)
    hint = "; give a file that `python -m rslcore_amp.record` made, or one of its layout"
    try:
        if separator and not path.exists():
            path = Path(str(importlib.resources.files(package).joinpath(inside)))
        file = numpy.load(path, allow_pickle=False)
        if isinstance(file, numpy.ndarray):
            raise ValueError(".npy, not .npz")
        with file:
            return {name: file[name] for name in file.files}
    except ModuleNotFoundError:
        fault = f"package '{package}' of '{motions}' is not installed"
    except FileNotFoundError:
        near = nearest_name(path.stem, [file.stem for file in path.parent.glob("*.npz")])
        fault = f"there is no file '{motions}'" + (f"; did you mean '{near}.npz'?" if near else hint)
    except OSError as error:
        fault = f"'{motions}' cannot be read ({error.strerror or error}){hint}"
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error):  # an array of objects is a ValueError
        fault = f"'{motions}' is no .npz file of plain arrays{hint}"
    raise context.error("motions", fault)


def _find_faults(arrays: Arrays, sizes: Mapping[str, int]) -> list[str]:
    faults = [
        f"has no array '{name}' (it has {listed(arrays)})"
        for name in ("num_frames", *(f"obs/{group}" for group in sizes))
        if name not in arrays
    ]
    lengths = arrays.get("num_frames")
    total: int | None = None
    if lengths is not None:
        if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or not len(lengths):
            faults.append(f"array 'num_frames' is {_kind(lengths)}, it should be int64 [M], one number a motion")
        elif lengths.min() < 2:
            at = int(lengths.argmin())
            faults.append(f"array 'num_frames' says {lengths[at]} for motion {at}, it should be 2 or more")
        else:
            total = int(lengths.sum())
    for group, size in sizes.items():
        frames = arrays.get(f"obs/{group}")
        if frames is None:
            continue
        rows = "F" if total is None else str(total)
        fits = frames.ndim == 2 and frames.shape[1] == size and total in (None, len(frames))
        if frames.dtype.kind != "f" or not fits:
            expected = f"float32 [{rows}, {size}], the frames of all motions by the features of the group"
            faults.append(f"array 'obs/{group}' is {_kind(frames)}, it should be {expected}")
        elif not (finite := numpy.isfinite(frames).all(1)).all():
            at = int(finite.argmin())
            faults.append(f"array 'obs/{group}' is not finite in frame {at}, it should be in all")
    return faults


def _kind(array: NDArray[numpy.generic]) -> str:
    return f"{array.dtype} {list(array.shape)}"
