"""Checkpoints: what is written is read back, everything else is one clear error."""

from __future__ import annotations

import os
import pickle
import re
from pathlib import Path

import attrs
import pytest
import torch

from rslcore import __version__
from rslcore.config import unstructure
from rslcore.errors import CheckpointError
from rslcore.registry import Source, default_registry
from rslcore.run.checkpoint import SCHEMA, Checkpoint, checkpoint_config, load_checkpoint, save_checkpoint
from rslcore.run.provenance import Provenance, UsedPlugin
from rslcore.specs import ActionSpec, EnvSpec, TensorSpec


@pytest.fixture
def checkpoint(small_config):
    return Checkpoint(
        iteration=7,
        config=unstructure(small_config()),
        env_spec=EnvSpec(4, {"policy": TensorSpec((3,))}, ActionSpec(1, num_choices=(2,)), 500),
        history=(Provenance.of(small_config(), default_registry()),),
        algorithm={"weights": torch.arange(1000.0), "nested": {"x": [1, 2.5, "text", None]}},
        progress={"total_steps": 9, "elapsed": 1.5, "runner": {}},
        rng={},
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
    for name in ("iteration", "config", "env_spec", "history", "progress"):
        assert getattr(loaded, name) == getattr(checkpoint, name)


def test_load_missing_file(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be read: No such file or directory$"):
        load_checkpoint(tmp_path / "model_1.pt")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_load_truncated_file(saved, share):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match="is damaged, truncated or no checkpoint: "):
        load_checkpoint(saved)


def test_load_foreign_file(tmp_path):
    torch.save({"model_state_dict": {}}, tmp_path / "foreign.pt")
    with pytest.raises(CheckpointError, match="is not an rslcore checkpoint; it was written by another program$"):
        load_checkpoint(tmp_path / "foreign.pt")


def test_load_later_schema(saved):
    payload = torch.load(saved, weights_only=True)
    torch.save({**payload, "schema": 99, "rslcore": "9.0"}, saved)
    message = f"'{saved}' has schema 99, written by rslcore 9.0; this is rslcore {__version__} with schema {SCHEMA}; "
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}type `pip install 'rslcore>=9.0'`$"):
        load_checkpoint(saved)


def test_load_first_schema_knows_the_plugins_but_not_what_came_from_each(saved):
    payload = torch.load(saved, weights_only=True)
    del payload["history"]
    source = {"plugin": "gone", "distribution": "rslcore-gone", "version": "1.2", "module": "gone.plugin"}
    torch.save({**payload, "schema": 1, "rslcore": "0.1.0", "sources": [source]}, saved)
    loaded = load_checkpoint(saved)
    assert loaded.history == (Provenance(0, {"rslcore": "0.1.0"}, (UsedPlugin(Source(**source), ()),)),)
    message = (
        f"'{saved}' does not go with the plugins that are here:\n  plugin 'gone' came from rslcore-gone 1.2, which is "
        "not installed; type `pip install 'rslcore-gone==1.2'`"
    )
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        checkpoint_config(loaded, saved, default_registry())


def test_load_incomplete_payload(saved):
    payload = torch.load(saved, weights_only=True)
    del payload["algorithm"]
    torch.save(payload, saved)
    with pytest.raises(CheckpointError, match="is an incomplete rslcore checkpoint: 'algorithm'$"):
        load_checkpoint(saved)


class Hostile:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


@pytest.mark.parametrize("dump", [torch.save, lambda payload, path: path.write_bytes(pickle.dumps(payload))])
def test_load_executes_nothing(tmp_path, dump):
    dump({"schema": 1, "rslcore": "0.1.0", "algorithm": Hostile(tmp_path / "executed")}, tmp_path / "model_1.pt")
    with pytest.raises(CheckpointError, match="is damaged, truncated or no checkpoint: "):
        load_checkpoint(tmp_path / "model_1.pt")
    assert not (tmp_path / "executed").exists()


def test_save_that_cannot_be_written_leaves_nothing(checkpoint, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="cannot be written: .*No space left on device"):
        save_checkpoint(tmp_path / "model_1.pt", checkpoint)
    assert list(tmp_path.iterdir()) == []


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
