"""Checkpoints: what is written is read back, everything else is one clear error."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import subprocess
import sys

import attrs
import pytest
import torch
from damaging import count_refused, cut_off, flip_bits, flip_each_bit, rewrite, write_hostile

from rslcore import __version__
from rslcore.config import unstructure
from rslcore.errors import CheckpointError
from rslcore.registry import Source, default_registry
from rslcore.run.checkpoint import Checkpoint, checkpoint_config, load_checkpoint, save_checkpoint
from rslcore.run.migrations import SCHEMA
from rslcore.run.provenance import Provenance, UsedPlugin
from rslcore.specs import ActionSpec, EnvSpec, TensorSpec
from rslcore.testing.values import difference


@pytest.fixture
def checkpoint(small_config):
    return Checkpoint(
        iteration=7,
        config=unstructure(small_config()),
        env_spec=EnvSpec(4, {"policy": TensorSpec((3,))}, ActionSpec(1, num_choices=(2,)), 500),
        history=(Provenance.of(small_config(), default_registry()),),
        algorithm={"weights": torch.arange(1000.0), "nested": {"x": [1, 2.5, "text", None]}},
        progress={"total_steps": 9, "elapsed": 1.5, "runner": {}},
        ranks=({"rng": {}},),
    )


@pytest.fixture
def saved(checkpoint, tmp_path):
    path = tmp_path / "model_7.pt"
    save_checkpoint(path, checkpoint)
    return path


def test_checkpoint_round_trip(saved, checkpoint):
    loaded = load_checkpoint(saved)
    assert torch.equal(loaded.algorithm["weights"], checkpoint.algorithm["weights"])
    assert loaded.algorithm["nested"] == checkpoint.algorithm["nested"]
    for name in ("iteration", "config", "env_spec", "history", "progress", "ranks"):
        assert getattr(loaded, name) == getattr(checkpoint, name)


def test_load_missing_file(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be read: No such file or directory$"):
        load_checkpoint(tmp_path / "model_1.pt")


def test_load_foreign_file(tmp_path):
    torch.save({"model_state_dict": {}}, tmp_path / "foreign.pt")
    with pytest.raises(CheckpointError, match="is not an rslcore checkpoint; it was written by another program$"):
        load_checkpoint(tmp_path / "foreign.pt")


@pytest.mark.parametrize("changes", [{"schema": 0}, {"schema": "3"}, {"schema": True}, {"rslcore": "0.1' --or-else"}])
def test_load_what_says_it_is_a_checkpoint_and_is_none(saved, changes):
    rewrite(saved, {**torch.load(saved, weights_only=True), **changes})
    with pytest.raises(CheckpointError, match="is not an rslcore checkpoint; it was written by another program$"):
        load_checkpoint(saved)


def test_load_later_schema(saved):
    payload = torch.load(saved, weights_only=True)
    message = f"'{saved}' has schema 99, written by rslcore 9.0; this is rslcore {__version__} with schema {SCHEMA}; "
    for write in (torch.save, lambda payload, path: rewrite(path, payload)):
        write({**payload, "schema": 99, "rslcore": "9.0"}, saved)
        with pytest.raises(CheckpointError, match=f"^{re.escape(message)}type `pip install 'rslcore>=9.0'`$"):
            load_checkpoint(saved)


def test_load_without_a_checksum(saved):
    torch.save(torch.load(saved, weights_only=True), saved)
    message = (
        f"'{saved}' is damaged, or was changed since it was written: it has no checksum, as all checkpoints of "
        "schema 3 have"
    )
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        load_checkpoint(saved)


def test_load_first_schema_knows_the_plugins_but_not_what_came_from_each(saved):
    payload = torch.load(saved, weights_only=True)
    del payload["history"], payload["ranks"]
    source = {"plugin": "gone", "distribution": "rslcore-gone", "version": "1.2", "module": "gone.plugin"}
    first = {"schema": 1, "rslcore": "0.1.0", "sources": [source], "rng": {"torch": torch.ones(2)}}
    torch.save({**payload, **first}, saved)
    loaded = load_checkpoint(saved)
    assert loaded.history == (Provenance(0, {"rslcore": "0.1.0"}, (UsedPlugin(Source(**source), ()),)),)
    assert difference(loaded.ranks, [{"rng": first["rng"]}]) is None
    message = (
        f"'{saved}' does not go with the plugins that are here:\n  plugin 'gone' came from rslcore-gone 1.2, which is "
        "not installed; type `pip install 'rslcore-gone==1.2'`"
    )
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        checkpoint_config(loaded, saved, default_registry())


def test_load_second_schema_is_of_one_process(saved, checkpoint):
    payload = torch.load(saved, weights_only=True)
    del payload["ranks"]
    torch.save({**payload, "schema": 2, "rng": {"torch": torch.ones(2)}}, saved)
    loaded = load_checkpoint(saved)
    assert loaded.history == checkpoint.history
    assert difference(loaded.ranks, [{"rng": {"torch": torch.ones(2)}}]) is None


def test_load_incomplete_payload(saved):
    payload = torch.load(saved, weights_only=True)
    del payload["algorithm"]
    rewrite(saved, payload)
    with pytest.raises(CheckpointError, match="is an incomplete rslcore checkpoint: 'algorithm'$"):
        load_checkpoint(saved)
    torch.save({**payload, "schema": 2}, saved)
    with pytest.raises(CheckpointError, match="is an incomplete rslcore checkpoint: 'rng'$"):
        load_checkpoint(saved)


@pytest.mark.parametrize("form", ["pickle", "zip", "checksum"])
def test_load_executes_nothing(tmp_path, form):
    path = tmp_path / "model_1.pt"
    write_hostile(path, tmp_path / "executed", form)
    reason = r"is damaged, or holds more than plain data and tensors \(builtins\.getattr, pathlib[^)]*\); it was not "
    reason += "loaded, since that might execute something"
    if form == "pickle":
        reason = "is damaged, truncated or no checkpoint: it does not begin as a checkpoint does"
    with pytest.raises(CheckpointError, match=f"^'{path}' {reason}$"):
        load_checkpoint(path)
    assert not (tmp_path / "executed").exists()
    with contextlib.suppress(RuntimeError):  # a bare pickle is executed before torch sees that it is no more than that
        torch.load(path, weights_only=False)
    assert (tmp_path / "executed").exists()


def test_load_damaged_file(saved):
    """A short form of tests/reliability/test_damaged_checkpoints.py."""
    content = saved.read_bytes()
    lengths = [*range(0, len(content), len(content) // 20), *range(len(content) - 100, len(content))]
    assert count_refused(saved, cut_off(content, lengths)) == (len(lengths), 0)
    assert count_refused(saved, flip_bits(content, 50, seed=1)) == (50, 0)
    assert count_refused(saved, flip_each_bit(content, begin=len(content) - 10)) == (80, 0)
    assert count_refused(saved, [content + b"more", content[:-73] + content[-71:]]) == (2, 0)


def test_save_that_cannot_be_written_leaves_nothing(checkpoint, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="cannot be written: .*No space left on device"):
        save_checkpoint(tmp_path / "model_1.pt", checkpoint)
    assert list(tmp_path.iterdir()) == []


PAGE = resource.getpagesize()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 100 pages."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={100 * PAGE}", "tmpfs", disk]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("file systems may not be mounted here")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_save_to_a_full_disk_leaves_the_old_file(checkpoint, small_disk, capfd):
    path = small_disk / "model_7.pt"
    save_checkpoint(path, checkpoint)
    filler = small_disk / "filler"
    full = os.statvfs(small_disk).f_bavail * PAGE
    filler.write_bytes(bytes(full))
    for num_free_pages in (0, 1, 2):
        os.truncate(filler, full - num_free_pages * PAGE)
        with pytest.raises(
            CheckpointError, match=f"^the checkpoint '{path}' cannot be written: No space left on device$"
        ):
            save_checkpoint(path, attrs.evolve(checkpoint, iteration=8))
        assert set(small_disk.iterdir()) == {path, filler}
        assert load_checkpoint(path).iteration == 7
    filler.unlink()
    save_checkpoint(path, attrs.evolve(checkpoint, iteration=8))
    assert load_checkpoint(path).iteration == 8
    assert capfd.readouterr() == ("", "")


def test_save_over_the_limit_of_a_process_says_so_and_nothing_else(saved):
    program = """
import resource, sys
from pathlib import Path
from rslcore.errors import CheckpointError
from rslcore.run.checkpoint import load_checkpoint, save_checkpoint
path = Path(sys.argv[1])
checkpoint = load_checkpoint(path)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    save_checkpoint(path, checkpoint)
except CheckpointError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program, saved], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"the checkpoint '{saved}' cannot be written: File too large\n"
    assert load_checkpoint(saved).iteration == 7
    assert list(saved.parent.iterdir()) == [saved]


def test_config_that_no_longer_fits_says_what_it_was_made_with(checkpoint, saved):
    checkpoint.config["algorithm"]["forgotten_option"] = 1
    with pytest.raises(CheckpointError) as caught:
        checkpoint_config(checkpoint, saved, default_registry())
    assert f"the config in '{saved}' does not fit the installed plugins" in str(caught.value)
    assert "algorithm.forgotten_option: unknown key" in str(caught.value)
    assert str(caught.value).endswith("It was made with rslcore==0.1.0.")


def test_config_requirements_are_told_with_what_else_is_not_here(checkpoint, saved):
    checkpoint.config["plugins"]["require"] = ["rslcore-amp>=0.3"]
    (made_with,) = checkpoint.history
    lacking = attrs.evolve(checkpoint, history=(attrs.evolve(made_with, versions={"rslcore": "9.0"}, plugins=()),))
    with pytest.raises(CheckpointError) as caught:
        checkpoint_config(lacking, saved, default_registry())
    assert str(caught.value).splitlines() == [
        f"'{saved}' does not go with the plugins that are here:",
        "  plugins.require[0]: 'rslcore-amp>=0.3' is not installed; type `pip install 'rslcore-amp>=0.3'`",
        f"  it came from rslcore 9.0, and {__version__} is installed; type `pip install 'rslcore>=9.0'`",
    ]
