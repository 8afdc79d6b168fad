"""Every way to cut a real checkpoint off, and thousands of ways to change it, are refused or do no harm.

    tox -e reliability -- tests/reliability/test_damaged_checkpoints.py

`test_load_damaged_file` in tests/rslcore/run/test_checkpoint.py is a short form for every day.
"""

from __future__ import annotations

import pytest
from damaging import change_bytes, count_refused, cut_off, flip_bits, flip_each_bit

from rslcore.training import train

NUM_CHANGES = 1000
END = 200
"""Bytes of the checksum and of the archive's last record, and some more."""


@pytest.fixture
def checkpoint(small_config, tmp_path):
    networks = [f"policy.{part}.network.hidden_dims=[2]" for part in ("actor", "critic")]
    return train(small_config("iterations=1", *networks), log_root=tmp_path, quiet=True).path / "model_1.pt"


def test_load_truncated_checkpoint(checkpoint):
    content = checkpoint.read_bytes()
    refused, whole = count_refused(checkpoint, cut_off(content, range(len(content))))
    print(f"\ntruncations tried: {len(content)}; refused: {refused}; read and right: {whole}; read and wrong: 0")
    assert refused == len(content)


@pytest.mark.parametrize("change", [flip_bits, change_bytes])
def test_load_changed_checkpoint(checkpoint, change):
    refused, whole = count_refused(checkpoint, change(checkpoint.read_bytes(), NUM_CHANGES, seed=1))
    what = "bit flips" if change is flip_bits else "byte changes"
    print(f"\n{what} tried: {NUM_CHANGES}; refused: {refused}; read and right: {whole}; read and wrong: 0")
    assert refused + whole == NUM_CHANGES


def test_load_checkpoint_with_another_end(checkpoint):
    content = checkpoint.read_bytes()
    refused, whole = count_refused(checkpoint, flip_each_bit(content, begin=len(content) - END))
    print(f"\nbits flipped at the end, each: {8 * END}; refused: {refused}; read and right: {whole}; read and wrong: 0")
    assert refused + whole == 8 * END
