"""Damage to files, and what is to come of it."""

from __future__ import annotations

import pickle
import random
import re
from pathlib import Path

import attrs
import torch

from rslcore.errors import CheckpointError
from rslcore.run.checkpoint import load_checkpoint
from rslcore.run.files import write_atomically
from rslcore.run.payload import dump_payload
from rslcore.testing.values import difference


def cut_off(content, lengths):
    """The content cut off at each length."""
    return (content[:length] for length in lengths)


def flip_bits(content, num, seed):
    """The content with one bit changed, `num` times."""
    generator = random.Random(seed)
    for _ in range(num):
        yield _changed(content, generator.randrange(len(content)), 1 << generator.randrange(8))


def flip_each_bit(content, begin):
    """The content with one bit changed, each of those from the position `begin` on."""
    for position in range(begin, len(content)):
        for bit in range(8):
            yield _changed(content, position, 1 << bit)


def change_bytes(content, num, seed):
    """The content with one byte changed to any other, `num` times."""
    generator = random.Random(seed)
    for _ in range(num):
        yield _changed(content, generator.randrange(len(content)), generator.randrange(1, 256))


def _changed(content, position, bits):
    damaged = bytearray(content)
    damaged[position] ^= bits
    return bytes(damaged)


def count_refused(path, damaged):
    """Load damaged forms of a checkpoint, one after the other; each is refused in a sentence, or is what it was.

    Returns how many were refused, and how many were read and right.
    """
    expected = attrs.asdict(load_checkpoint(path))
    refused = whole = 0
    copy = path.with_name("damaged.pt")
    for content in damaged:
        copy.write_bytes(content)
        try:
            gap = difference(expected, attrs.asdict(load_checkpoint(copy)))
        except CheckpointError as error:
            refused += 1
            message = str(error)
            gap = None if re.fullmatch(f"'{re.escape(str(copy))}' is damaged[^\n]+", message) else message
        else:
            whole += 1
        assert gap is None, gap
    copy.unlink()
    return refused, whole


class Hostile:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


def write_hostile(path, victim, form):
    """Write a checkpoint that would make the file `victim` if it were unpickled.

    Args:
        path: The checkpoint.
        victim: The file that must not come to be.
        form: `pickle`, the bare pickle; `zip`, as torch writes it; `checksum`, the same with a checksum that is right.
    """
    payload = {"schema": 3, "rslcore": "0.1.0", "algorithm": Hostile(victim)}
    if form == "pickle":
        path.write_bytes(pickle.dumps(payload))
    elif form == "zip":
        torch.save(payload, path)
    else:
        rewrite(path, payload)


def rewrite(path, payload):
    """Replace a checkpoint's content by another one, with a checksum that is right."""
    write_atomically(path, lambda file: dump_payload(payload, file))
