"""How the tests of runners compare what these know and have written."""

from __future__ import annotations

import copy

import torch


def state_of(runner):
    """A copy of what a runner would save, without the number of the iteration, which it counts itself."""
    return copy.deepcopy({key: value for key, value in runner.alg.save().items() if key != "iter"})


def assert_same(one, other):
    """To the last bit."""
    torch.testing.assert_close(one, other, rtol=0.0, atol=0.0)


def files_in(folder):
    """The names of the files in a folder, but for those of TensorBoard."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("events."))


def models_in(folder):
    """The names of the checkpoints in a folder."""
    return [name for name in files_in(folder) if name.startswith("model")]
