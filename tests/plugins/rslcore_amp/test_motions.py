"""Files of reference motions: what is read, and what is wrong with them."""

from __future__ import annotations

import numpy
import pytest
import torch

from rslcore.context import Context
from rslcore.errors import ConfigError
from rslcore.registry import default_registry
from rslcore_amp.motions import load_pairs, save_motions

SHAPE = "the frames of all motions by the features of the group"


@pytest.fixture
def load(small_config):
    context = Context(default_registry(), small_config(), torch.device("cpu"), 1, 8, path="algorithm.extensions[0]")
    return lambda path, sizes=None: load_pairs(path, sizes or {"policy": 2}, context)


def test_load_pairs_never_crosses_motions(load, write_motions):
    pairs = load(write_motions())
    assert pairs.dtype == torch.float32
    assert pairs.tolist() == [[[0, 1], [2, 3]], [[2, 3], [4, 5]], [[6, 7], [8, 9]]]


def test_load_pairs_puts_groups_side_by_side_in_the_order_of_the_config(load, write_motions):
    pairs = load(write_motions(), {"height": 1, "policy": 2})
    assert pairs[2].tolist() == [[103, 6, 7], [104, 8, 9]]


def test_load_pairs_takes_other_floats_and_integers(load, write_motions):
    frames = numpy.arange(10, dtype=numpy.float64).reshape(5, 2)
    assert len(load(write_motions(obs__policy=frames, num_frames=numpy.array([2, 3], dtype=numpy.uint8)))) == 3


def test_save_motions_is_read_back(load, tmp_path):
    path = tmp_path / "walk"
    motions = [numpy.full((length, 3), length, dtype=numpy.float32) for length in (2, 4)]
    save_motions(path, motions, {"policy": 2, "height": 1})
    assert load(str(path))[:, :, 0].tolist() == [[2, 2], [4, 4], [4, 4], [4, 4]]
    assert load(str(path), {"height": 1, "policy": 2}).shape == (4, 2, 3)


def test_load_pairs_from_a_package(load):
    assert load("rslcore_amp:motions/halfcheetah.npz", {"policy": 17}).shape == (2000, 2, 17)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"num_frames": None}, "has no array 'num_frames' (it has 'obs/height', 'obs/policy')"),
        ({"obs__policy": None}, "has no array 'obs/policy' (it has 'num_frames', 'obs/height')"),
        (
            {"num_frames": numpy.array([3.0, 2.0])},
            "array 'num_frames' is float64 [2], it should be int64 [M], one number a motion",
        ),
        (
            {"num_frames": numpy.array(5)},
            "array 'num_frames' is int64 [], it should be int64 [M], one number a motion",
        ),
        (
            {"num_frames": numpy.array([], dtype=numpy.int64)},
            "array 'num_frames' is int64 [0], it should be int64 [M], one number a motion",
        ),
        ({"num_frames": numpy.array([4, 1])}, "array 'num_frames' says 1 for motion 1, it should be 2 or more"),
        (
            {"num_frames": numpy.array([3, 3])},
            f"array 'obs/policy' is float32 [5, 2], it should be float32 [6, 2], {SHAPE}",
        ),
        (
            {"obs__policy": numpy.zeros((5, 3), dtype=numpy.float32)},
            f"array 'obs/policy' is float32 [5, 3], it should be float32 [5, 2], {SHAPE}",
        ),
        (
            {"obs__policy": numpy.zeros(5, dtype=numpy.float32)},
            f"array 'obs/policy' is float32 [5], it should be float32 [5, 2], {SHAPE}",
        ),
        (
            {"obs__policy": numpy.zeros((5, 2), dtype=numpy.int64)},
            f"array 'obs/policy' is int64 [5, 2], it should be float32 [5, 2], {SHAPE}",
        ),
        (
            {"obs__policy": numpy.array([[0.0, 0.0]] * 4 + [[0.0, numpy.nan]])},
            "array 'obs/policy' is not finite in frame 4, it should be in all",
        ),
    ],
    ids=["no_lengths", "no_group", "floats", "scalar", "empty", "short", "sum", "size", "flat", "integers", "nan"],
)
def test_load_pairs_of_a_faulty_file_says_array_found_and_expected(load, write_motions, changes, fault):
    path = write_motions(**changes)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value) == f"algorithm.extensions[0].motions: '{path}': {fault}"


def test_load_pairs_says_all_that_is_wrong_at_once(load, write_motions):
    path = write_motions(num_frames=numpy.array([1]), obs__policy=None, obs__height=numpy.zeros((5, 2)))
    with pytest.raises(ConfigError) as caught:
        load(path, {"policy": 2, "height": 1})
    where = f"algorithm.extensions[0].motions: '{path}': "
    assert [str(problem) for problem in caught.value.problems] == [
        f"{where}has no array 'obs/policy' (it has 'num_frames', 'obs/height')",
        f"{where}array 'num_frames' says 1 for motion 0, it should be 2 or more",
        f"{where}array 'obs/height' is float64 [5, 2], it should be float32 [F, 1], {SHAPE}",
    ]


HINT = "give a file that `python -m rslcore_amp.record` made, or one of its layout"


def test_load_pairs_without_a_file_names_the_nearest(load, write_motions):
    written = write_motions()
    for name, advice in (("motion.npz", "did you mean 'motions.npz'?"), ("x.npz", HINT)):
        path = written.replace("motions.npz", name)
        with pytest.raises(ConfigError) as caught:
            load(path)
        assert str(caught.value) == f"algorithm.extensions[0].motions: there is no file '{path}'; {advice}"


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("rslcore_amp:nothing.npz", f"there is no file 'rslcore_amp:nothing.npz'; {HINT}"),
        ("no_such_package:x.npz", "package 'no_such_package' of 'no_such_package:x.npz' is not installed"),
    ],
)
def test_load_pairs_without_a_file_in_a_package(load, name, fault):
    with pytest.raises(ConfigError) as caught:
        load(name)
    assert str(caught.value) == f"algorithm.extensions[0].motions: {fault}"


@pytest.mark.parametrize("content", ["pickle", "npy", "text", "empty", "damaged", "folder"])
def test_load_pairs_of_another_kind_of_file_executes_nothing(load, tmp_path, content):
    path = tmp_path / "motions.npz"
    if content == "pickle":
        numpy.savez(path, num_frames=numpy.array([{"a": 1}], dtype=object))
    elif content == "npy":
        with path.open("wb") as file:
            numpy.save(file, numpy.zeros(3))
    elif content == "damaged":
        numpy.savez_compressed(path, num_frames=numpy.arange(100))
        data = path.read_bytes()
        path.write_bytes(data[:60] + b"\xff" * 20 + data[80:])
    elif content == "folder":
        path.mkdir()
    else:
        path.write_text("" if content == "empty" else "frames")
    with pytest.raises(ConfigError) as caught:
        load(str(path))
    fault = "cannot be read (Is a directory)" if content == "folder" else "is no .npz file of plain arrays"
    assert str(caught.value) == f"algorithm.extensions[0].motions: '{path}' {fault}; {HINT}"
