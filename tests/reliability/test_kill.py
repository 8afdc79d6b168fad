"""A training process is killed a hundred times; its run is never unreadable, and loses nothing that was complete.

    tox -e reliability -- tests/reliability/test_kill.py

After every kill each checkpoint is read, the latest one is at least the latest that was seen from outside, and what
was done by hand is `rslcore train --resume`. A run that is done is compared with one that nobody has killed, bit by
bit: checkpoints, the best one, TensorBoard's scalars. tests/rslcore/run/test_kill.py is a short form for every day.
"""

from __future__ import annotations

import logging
import random
import time
from collections import Counter

from killing import KilledRun, Moment, compare

ITERATIONS = 60
logging.getLogger("tensorboard").setLevel(logging.ERROR)  # it tells of each process that has gone on before its end


def test_kill_at_random_moments(tmp_path):
    kill_often(tmp_path, num_kills=100, own_interpreter=False)


def test_kill_command_line(tmp_path):
    kill_often(tmp_path, num_kills=10, own_interpreter=True)


def kill_often(folder, num_kills, own_interpreter):
    """Kill runs until there were so many kills, and each run is done; print the figures."""
    reference = KilledRun(folder / "reference", ITERATIONS)
    assert reference.live() is None
    generator = random.Random(1)
    kills, runs = Counter(), []
    while kills.total() < num_kills:
        runs.append(run := KilledRun(folder / f"run_{len(runs) + 1}", ITERATIONS))
        while not run.is_complete:
            how = choose(run, generator, own_interpreter) if kills.total() < num_kills else {}
            where = run.live(own_interpreter=own_interpreter, **how)
            kills.update([where] if where else [])
        compare(run.folder, reference.folder)
    print(f"\nkills: {kills.total()}; runs: {len(runs)}, all completed, equal to one that was never killed")
    print(f"resumed: {sum(run.num_resumed for run in runs)}; unreadable runs: 0; complete checkpoints lost: 0")
    for where, count in kills.most_common():
        print(f"  {where}: {count}")
    assert kills.total() == num_kills


def choose(run, generator, own_interpreter):
    """When to kill next: amid the start, amid training, when a file is being written, or at a file operation."""
    kind = generator.choices(["start", "training", "file", "operation"], [15, 35, 15, 35])[0]
    if kind == "operation" and not own_interpreter:
        return {"moment": Moment("os.(mkdir|rename|link|remove)", str(run.log_root), count=generator.randint(1, 60))}
    if kind == "start":
        return {"is_time": After(generator.uniform(0.0, 5.0 if own_interpreter else 0.5))}
    if kind == "training":
        return {"is_time": After(generator.uniform(0.0, 0.6), run)}
    return {"is_time": Amid(generator.randint(1, 20), run)}


class After:
    """Whether so many seconds have passed since the start, or since the process trains a run."""

    def __init__(self, seconds, run=None):
        self.seconds, self.run = seconds, run
        self.begun = None

    def __call__(self, process_id):
        if self.begun is None and (self.run is None or trains(run=self.run, process_id=process_id)):
            self.begun = time.monotonic()
        return self.begun is not None and time.monotonic() - self.begun >= self.seconds


class Amid:
    """Whether a process is amid writing a file, seen so many times."""

    def __init__(self, count, run):
        self.count, self.run = count, run

    def __call__(self, process_id):
        if self.run.folder is not None and any(self.run.folder.path.glob(f".*.{process_id}.tmp")):
            self.count -= 1
        return self.count <= 0


def trains(run, process_id):
    """Whether a process has begun to train a run."""
    try:
        return run.folder is not None and f"process {process_id} " in (run.folder.path / ".lock").read_text()
    except OSError:
        return False
