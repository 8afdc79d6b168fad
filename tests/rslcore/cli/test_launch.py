"""`rslcore train` with several processes: options, arguments, what is said of failures; one run of two processes."""

from __future__ import annotations

import logging
import os
import signal

import pytest
import torch.distributed.run
from launching import SMALL, TRAIN, Launched, are_gone, logged_iterations, only_run, stop
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.elastic.rendezvous import RendezvousTimeoutError

from rslcore.cli.launch import launch_ranks
from rslcore.errors import RankError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--nproc-per-node", "0"], "'0' should be a number of processes, or gpu for one a GPU"),
        (["--nproc-per-node", "two"], "'two' should be a number of processes, or gpu for one a GPU"),
        (["--nnodes", "2:1"], "'2:1' should be a number of machines, or the fewest and the most, as in 2:4"),
        (["--max-restarts", "-1"], "-1 is not in the range x>=0."),
        (["--master-port", "70000"], "70000 is not in the range 1<=x<=65535."),
        (["--rdzv-backend", "mpi"], "'mpi' is not one of 'c10d', 'static'."),
    ],
)
def test_launch_option_that_is_wrong_is_one_message(rslcore, options, message):
    code, out, err = rslcore("train", "cartpole", *options)
    assert (code, out) == (2, "")
    assert err.splitlines()[-1] == f"Error: Invalid value for '{options[0]}': {message}"


def test_launch_option_that_torch_refuses_is_one_message(rslcore):
    code, _, err = rslcore("train", "cartpole", "--rdzv-conf", "timeout")
    message = "The rendezvous configuration option 'timeout' must have a value specified."
    assert (code, err) == (2, f"error: the processes of this run cannot be started: {message}\n")


def test_launch_config_that_is_wrong_is_refused_before_processes_start(rslcore):
    code, _, err = rslcore("train", "cartpole", "seed=x", "--nproc-per-node", "2")
    assert (code, err.splitlines()[0]) == (2, "error: 1 problem in cartpole:")


def test_help_shows_options_of_several_processes_apart(rslcore):
    _, out, _ = rslcore("train", "--help")
    own, _, launching = out.partition("Several processes, as with torchrun:\n")
    assert "--resume RUN" in own
    assert "--nproc-per-node N" in launching


@pytest.fixture
def started(monkeypatch):
    """What torch's launcher is started with, which then does nothing, or raises what is put in the list."""
    calls, errors = [], []

    def run(parsed):
        calls.append(parsed)
        logging.getLogger("torch.distributed.elastic").warning("heard")
        if errors:
            raise errors[0]

    monkeypatch.setattr(torch.distributed.run, "run", run)
    return calls, errors


def test_launch_hands_on_the_command_line_of_each_process(rslcore, started, tmp_path):
    arguments = ["cartpole", "seed=2", "--run-name=-x", "--log-root", tmp_path, "--quiet", "--nproc-per-node", 2]
    code, _, err = rslcore("--no-plugin", "rnd", "train", *arguments)
    assert (code, err) == (0, "")
    ((parsed,), _) = started
    assert (parsed.standalone, parsed.nproc_per_node, parsed.max_restarts) == (True, "2", 0)
    assert parsed.log_dir == os.devnull  # else it leaves a folder in the temporary one
    assert [parsed.module, parsed.training_script] == [True, "rslcore"]
    expected = ["--no-plugin=rnd", "train", f"--log-root={tmp_path}", "--run-name=-x", "--quiet", "--", "cartpole"]
    assert parsed.training_script_args == [*expected, "seed=2"]


def test_launch_hands_on_dollars_that_torch_would_fill_in(started):
    assert launch_ranks({"--nproc-per-node": "2"}, ["train", "a=${seed}$$"]) == 0
    from torch.distributed.elastic.utils import macros

    assert macros.substitute(started[0][0].training_script_args, "1") == ["train", "a=${seed}$$"]


def test_launch_of_several_machines_is_not_standalone(started):
    options = {"--nnodes": "2", "--node-rank": "1", "--master-addr": "here", "--master-port": "29400"}
    launch_ranks(options, ["train"])
    parsed = started[0][0]
    assert not parsed.standalone
    assert (parsed.nnodes, parsed.node_rank, parsed.master_addr, parsed.master_port) == ("2", 1, "here", 29400)


def test_launch_ignores_a_hang_up_as_nohup_does(started, monkeypatch):
    monkeypatch.setattr(signal, "getsignal", lambda number: signal.SIG_DFL)
    launch_ranks({}, ["train"])
    monkeypatch.setattr(signal, "getsignal", lambda number: signal.SIG_IGN)
    launch_ranks({}, ["train"])
    assert [parsed.signals_to_handle.split(",") for parsed in started[0]] == [
        ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"],
        ["SIGTERM", "SIGINT", "SIGQUIT"],
    ]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_launch_that_a_signal_has_stopped_has_its_code(started, number, code, caplog):
    started[1].append(SignalException("stopped", number))
    assert launch_ranks({}, ["train"]) == code
    assert not caplog.records
    assert logging.root.manager.disable == logging.NOTSET


def test_launch_of_machines_that_do_not_meet_is_refused(started):
    started[1].append(RendezvousTimeoutError("no one came\nin time"))
    with pytest.raises(RankError, match=r"^the processes of this run cannot be started: no one came$"):
        launch_ranks({}, ["train"])


@pytest.mark.parametrize(
    ("codes", "code", "message"),
    [
        ({1: -9, 0: -15}, 137, "error: rank 1 was ended by SIGKILL; all ranks have ended\n"),
        ({0: 3, 1: -11}, 139, "error: rank 1 was ended by SIGSEGV; all ranks have ended\n"),
        ({0: -15, 1: 2}, 2, "error: rank 1 failed with exit code 2; all ranks have ended\n"),
        ({2: 3, 3: -15}, 3, "error: the ranks of this machine have ended because one of another machine has\n"),
        ({0: -15, 1: 143}, 143, ""),
    ],
)
def test_launch_says_which_rank_has_failed_first(started, codes, code, message, capsys):
    failures = {rank: ProcessFailure(rank, 100 + rank, each, "none") for rank, each in codes.items()}
    started[1].append(ChildFailedError("rslcore", failures))
    assert launch_ranks({}, ["train"]) == code
    assert capsys.readouterr().err == message


def test_launched_run_goes_on_without_a_dead_rank_and_stops_on_ctrl_c(tmp_path):
    logs = tmp_path / "logs"
    loggers = "loggers=[{name: console, line_interval: 0}, {name: tensorboard}]"
    options = ["--nproc-per-node", "2", "--max-restarts", "1", "--log-root", logs, "--run-name=-x"]
    overrides = [*SMALL, "iterations=1000000", "runner.save_interval=1", "algorithm.execution=eager", loggers]
    with Launched([*TRAIN, *options, "cartpole", *overrides], tmp_path / "output") as run:
        run.wait_for("iteration 3/")
        first = run.ranks()
        stop(signal.SIGKILL, first[1])
        run.wait_for("WARNING: the processes were started again, and go on from ")
        again = len(run.text)  # before, the launcher's SIGTERM may have come to rank 0 first, or the end of rank 1
        run.wait_for("iteration ", count=3, after=again)
        second = run.ranks()
        os.killpg(run.process.pid, signal.SIGINT)  # as a terminal does
        assert run.end() == 130, run.text
        assert are_gone([*first.values(), *second.values()])
    folder = only_run(logs)
    last = max(folder.checkpoints())
    assert f"Stopped by SIGINT at iteration {last}. The run lies in {folder.path}" in run.text
    said = run.text.count("finishing the iteration, then saving", again)
    assert said <= 1  # by rank 0 alone, which rank 1 may have stopped before its signal came
    assert logged_iterations(folder) == list(range(1, last + 1))
