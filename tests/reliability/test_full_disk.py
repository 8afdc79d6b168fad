"""A disk that is full while a run trains, and has room again: a small file system in memory.

    tox -e reliability -- tests/reliability/test_full_disk.py

Mounting one needs to be root; the tests are skipped elsewhere. tests/rslcore/run/test_keeper.py has what a test for
every day can do.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rslcore.cli import cli
from rslcore.run.checkpoint import load_checkpoint
from rslcore.run.folder import RunFolder

SIZE = 2_000_000


@pytest.fixture
def disk(tmp_path):
    """A file system of two megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("mounting a file system is not allowed here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(path):
    """Take all the room that is left."""
    with path.open("wb", buffering=0) as file:
        for size in (65536, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass


def begin(disk, output, *overrides, temporary=None):
    """Train on the disk."""
    environment = {**os.environ, "TMPDIR": str(temporary or disk)}
    arguments = ["cartpole", "device=cpu", "env.num_envs=4", "runner.num_steps_per_env=8", "runner.save_interval=1"]
    command = [sys.executable, "-m", "rslcore", "train", *arguments, *overrides, f"--log-root={disk / 'logs'}"]
    with output.open("w") as file:
        return subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT)


def wait_for(condition, process):
    """Until a condition holds, which it does before the process ends."""
    while not condition():
        assert process.poll() is None
        time.sleep(0.01)


def run_on(disk):
    """The run, once it has a checkpoint."""
    runs = [RunFolder(config.parent) for config in disk.glob("logs/cartpole/*/config.yaml")]
    return runs[0] if runs and runs[0].checkpoints() else None


def latest(disk):
    run = run_on(disk)
    return max(run.checkpoints()) if run is not None else 0


def test_full_disk_and_room_again(disk, tmp_path):
    output = tmp_path / "output.txt"
    process = begin(disk, output, "iterations=1000000", "keep_checkpoints=2", "loggers=[{name: tensorboard}]")
    wait_for(lambda: latest(disk) >= 3, process)
    fill(disk / "filler")
    wait_for(lambda: "TensorboardLogger failed and is left out" in output.read_text(), process)
    wait_for(lambda: "cannot be written: No space left on device; the run goes on" in output.read_text(), process)
    run, last = run_on(disk), latest(disk)
    held = [load_checkpoint(path).iteration for path in run.checkpoints().values()]
    (disk / "filler").unlink()
    wait_for(lambda: latest(disk) > last + 3, process)
    process.terminate()
    assert process.wait() == 143, output.read_text()
    warnings = [line for line in output.read_text().splitlines() if line.startswith("WARNING")]
    assert len(warnings) == 3, warnings
    first = re.search(r"checkpoints can be written again, the first one is '.*/model_(\d+)\.pt'", warnings[2])
    print(f"\ncheckpoints that did not fit on a full disk: {int(first[1]) - last - 1}; warnings of them: 1")
    print(f"checkpoints on the full disk: {held}, all whole; at the end: {list(run.checkpoints())}")
    assert list(run.path.glob(".*.tmp")) == []


def test_full_disk_at_the_end(disk, tmp_path):
    output = tmp_path / "output.txt"
    process = begin(disk, output, "iterations=1000000", "loggers=[]", temporary=tmp_path)
    wait_for(lambda: latest(disk) >= 3, process)
    fill(disk / "filler")
    wait_for(lambda: "cannot be written: No space left on device; the run goes on" in output.read_text(), process)
    process.terminate()
    assert process.wait() == 2
    (error,) = (line for line in output.read_text().splitlines() if line.startswith("error:"))
    (elsewhere,) = tmp_path.glob("rslcore_*/model_*.pt")
    run = run_on(disk)
    assert error == (
        f"error: the checkpoint '{run.path / elsewhere.name}' cannot be written: No space left on device; it was saved "
        f"as '{elsewhere}' instead: make room and move it to '{run.path}'"
    )
    (disk / "filler").unlink()
    last = load_checkpoint(Path(shutil.move(elsewhere, run.path))).iteration
    assert (
        cli.main(["train", "--resume", str(run.path), f"iterations={last + 1}", "--quiet"], standalone_mode=False) == 0
    )
    print(f"\nlast checkpoint on a full disk: saved elsewhere, moved back, and gone on with: {latest(disk)}")
    assert latest(disk) == last + 1
