"""A launch whose processes are killed again and again, and whose run is complete in the end."""

from __future__ import annotations

import random
import signal
import time

from launching import SMALL, TRAIN, Launched, are_gone, logged_iterations, only_run, stop

KILLS, ITERATIONS = 10, 400


def test_launch_whose_ranks_are_killed_completes_its_run(tmp_path):
    generator = random.Random(1)
    logs = tmp_path / "logs"
    options = ["--nproc-per-node", "2", "--max-restarts", 2 * KILLS, "--log-root", logs]
    loggers = "loggers=[{name: console, line_interval: 0}, {name: tensorboard}]"
    run = Launched(
        [*TRAIN, *options, "cartpole", *SMALL, f"iterations={ITERATIONS}", "runner.save_interval=5", loggers],
        tmp_path / "output",
    )
    pids: list[int] = []
    killed: dict[int, int] = {0: 0, 1: 0}
    for kill in range(KILLS):
        lines = run.text.count("\niteration ")
        while run.text.count("\niteration ") < lines + 10:
            assert run.process.poll() is None, run.text
            time.sleep(0.02)
        time.sleep(generator.uniform(0.0, 0.2))
        ranks = run.ranks()
        pids += ranks.values()
        victim = generator.randrange(2)
        stop(signal.SIGKILL, ranks[victim])
        killed[victim] += 1
        goes_on = "WARNING: the processes were started again, and go on from "
        while run.text.count(goes_on) < kill + 1:
            assert run.process.poll() is None, run.text
            time.sleep(0.02)
    assert run.process.wait(600) == 0, run.text
    assert are_gone(pids)
    folder = only_run(logs)
    assert max(folder.checkpoints()) == ITERATIONS
    assert logged_iterations(folder) == list(range(1, ITERATIONS + 1))
    print(f"\nranks killed: {KILLS} (rank 0: {killed[0]}, rank 1: {killed[1]}); iterations completed: {ITERATIONS}")


def test_launch_whose_rank_dies_before_the_first_checkpoint_begins_anew(tmp_path):
    options = ["--nproc-per-node", "2", "--max-restarts", "1", "--log-root", tmp_path / "logs"]
    run = Launched(
        [*TRAIN, *options, "cartpole", *SMALL, "iterations=1000000", "loggers=[{name: console, line_interval: 0}]"],
        tmp_path / "output",
    )
    run.wait_for("iteration 2/")
    stop(signal.SIGKILL, run.ranks()[0])
    folder = only_run(tmp_path / "logs").path
    run.wait_for(f"WARNING: the run '{folder}' has no checkpoint yet and begins again from its beginning")
    stop(signal.SIGTERM, run.process.pid)
    run.end()
    assert only_run(tmp_path / "logs").path == folder
