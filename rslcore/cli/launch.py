"""Several processes of `rslcore train`: torchrun's options, and torch's own launcher behind them."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from rslcore.cli import LOST_RANK

_OPTIONS = {
    "--nproc-per-node": "Processes on this machine, each with envs of its own: a number, or gpu for one a GPU.",
    "--nnodes": "Machines, each of which runs this command.",
    "--node-rank": "Which of them this one is, counted from 0, where there is no rendezvous.",
    "--master-addr": "Address of machine 0, where there is no rendezvous.",
    "--master-port": "Port there.",
    "--rdzv-backend": "How machines find one another: c10d.",
    "--rdzv-endpoint": "Where: host:port.",
    "--rdzv-id": "A name of the job, the same on all machines.",
    "--rdzv-conf": "More of it: key=value,key=value.",
    "--max-restarts": "How often a dead process leads to a restart from the last checkpoint; 0 by default.",
}


def launch_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add torchrun's options to a command."""
    for name, help_text in reversed(_OPTIONS.items()):
        command = click.option(name, metavar="X", help=f"{help_text}")(command)
    return command


def chosen(values: Mapping[str, Any]) -> dict[str, str]:
    """The options of torchrun that were given, under their names."""
    by_name = {name: values[name.removeprefix("--").replace("-", "_")] for name in _OPTIONS}
    return {name: value for name, value in by_name.items() if value is not None}


def launch_ranks(options: Mapping[str, str], arguments: Sequence[str]) -> int:
    """Start `rslcore` several times with torch's launcher, and wait for the processes.

    Args:
        options: Of torchrun.
        arguments: Of each process.

    Returns:
        The exit code: 0; 130 or 143 where a signal ended all of them, after a checkpoint; else that of the process
        that failed first.
    """
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    alone = not any(name.startswith(("--nnodes", "--rdzv", "--master", "--node")) for name in options)
    given = [f"{name}={value}" for name, value in options.items()]
    parsed = run.parse_args([*(["--standalone"] if alone else []), *given, "--module", "rslcore", *arguments])
    # Processes that share a machine's cores shall not each start a thread for every core.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # what failed is said below
    try:
        run.run(parsed)
    except ValueError as error:
        raise click.UsageError(f"torchrun: {error}") from error
    except SignalException as error:
        return 128 + int(error.sigval)
    except ChildFailedError as error:
        first = error.get_first_failure()
        rank, failure = next((each for each in error.failures.items() if each[1].exitcode != LOST_RANK), first)
        how = f"was ended by {signal.Signals(-failure.exitcode).name}" if failure.exitcode < 0 else "failed"
        click.echo(f"error: rank {rank} {how}; all ranks have ended", err=True)
        return failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode
    return 0
