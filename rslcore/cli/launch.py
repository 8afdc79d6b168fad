"""Several processes of `rslcore train`: torchrun's options, and torch's own launcher behind them."""

from __future__ import annotations

import logging
import os
import re
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click

from rslcore.cli import LOST_RANK
from rslcore.errors import RankError

_STOPPED = (128 + signal.SIGINT, 128 + signal.SIGTERM)
_SECONDS_TO_STOP = 24 * 3600
"""How long a signalled process may take to finish its iteration; torchrun's 30 seconds may be too short for one."""


def _number_of_processes(ctx: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"gpu|cpu|auto|[1-9]\d*", value):
        raise click.BadParameter(f"'{value}' should be a number of processes, or gpu for one a GPU")
    return value


def _number_of_machines(ctx: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        low, _, high = value.partition(":")
        if not re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", value) or int(high or low) < int(low):
            raise click.BadParameter(f"'{value}' should be a number of machines, or the fewest and the most, as in 2:4")
    return value


_OPTIONS: dict[str, dict[str, Any]] = {
    "--nproc-per-node": {
        "metavar": "N",
        "callback": _number_of_processes,
        "help": "Processes on this machine, a number or gpu.",
    },
    "--nnodes": {
        "metavar": "N",
        "callback": _number_of_machines,
        "help": "Machines, each of which runs this command.",
    },
    "--node-rank": {
        "metavar": "N",
        "type": click.IntRange(0),
        "help": "Which one this is, where there is no rendezvous.",
    },
    "--master-addr": {"metavar": "HOST", "help": "Machine 0, where there is no rendezvous."},
    "--master-port": {"metavar": "PORT", "type": click.IntRange(1, 65535), "help": "Port there."},
    "--rdzv-backend": {
        "metavar": "NAME",
        "type": click.Choice(["c10d", "static"]),
        "help": "How machines find one another: c10d.",
    },
    "--rdzv-endpoint": {"metavar": "HOST:PORT", "help": "Where."},
    "--rdzv-id": {"metavar": "NAME", "help": "A name of the job, the same on all machines."},
    "--rdzv-conf": {"metavar": "K=V,...", "help": "More of the rendezvous."},
    "--max-restarts": {
        "metavar": "N",
        "type": click.IntRange(0),
        "help": "Restarts from the last checkpoint, after a death.",
    },
}


class LaunchingCommand(click.Command):
    """A command that may start several processes; its help shows torchrun's options apart from its own."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write two lists of options."""
        own: list[tuple[str, str]] = []
        launching: list[tuple[str, str]] = []
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Option) and (record := parameter.get_help_record(ctx)) is not None:
                (launching if parameter.opts[0] in _OPTIONS else own).append(record)
        with formatter.section("Options"):
            formatter.write_dl(own)
        with formatter.section("Several processes, as with torchrun"):
            formatter.write_dl(launching)


def launch_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add torchrun's options to a command."""
    for name, settings in reversed(_OPTIONS.items()):
        command = click.option(name, **settings)(command)
    return command


def chosen(values: Mapping[str, Any]) -> dict[str, str]:
    """The options of torchrun that were given, under their names."""
    by_name = {name: values[name.removeprefix("--").replace("-", "_")] for name in _OPTIONS}
    return {name: str(value) for name, value in by_name.items() if value is not None}


def launch_ranks(options: Mapping[str, str], arguments: Sequence[str]) -> int:
    """Start `rslcore` several times with torch's launcher, and wait for the processes.

    Args:
        options: Of torchrun.
        arguments: Of each process.

    Returns:
        The exit code: 0; 130 or 143 where a signal ended all of them, after a checkpoint; else that of the process
        that failed first.

    Raises:
        RankError: The processes cannot be started, or machines cannot find one another.
    """
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous import RendezvousError

    alone = not any(name.startswith(("--nnodes", "--rdzv", "--master", "--node")) for name in options)
    given = [f"{name}={value}" for name, value in options.items()]
    given += ["--standalone"] if alone else []
    given += [f"--log-dir={os.devnull}", f"--signals-to-handle={','.join(_signals())}"]
    given += [f"--shutdown-timeout={_SECONDS_TO_STOP}", "--module", "rslcore"]
    # It fills in ${local_rank}, and takes $$ for $.
    parsed = run.parse_args([*given, *(argument.replace("$", "$$") for argument in arguments)])
    try:
        with _quiet_launcher(restarts=int(options.get("--max-restarts", "0")) > 0):
            run.run(parsed)
    except SignalException as error:
        return 128 + int(error.sigval)
    except ChildFailedError as error:
        return _report({rank: failure.exitcode for rank, failure in error.failures.items()})
    except (ValueError, RuntimeError, RendezvousError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise RankError(f"the processes of this run cannot be started: {reason}") from error
    return 0


def _signals() -> list[str]:
    """What is passed on to the processes: what ends them, but for a hang-up that `nohup` ignores."""
    numbers = [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    return [number.name for number in numbers]


@contextmanager
def _quiet_launcher(restarts: bool) -> Iterator[None]:
    """Leave out what torch's launcher logs, but for which process has died where it goes on after that."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING if restarts else logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _report(codes: Mapping[int, int]) -> int:
    """Say which of the processes of this machine has failed, from their exit codes by rank, the first one first.

    Returns:
        The exit code.
    """
    stopped = next((code for code in codes.values() if code in _STOPPED), None)
    if stopped is not None:
        return stopped
    # Those that only noticed that another one was gone, and those that the launcher has ended then, come last.
    ended_by_others = (LOST_RANK, -signal.SIGTERM)
    rank, code = min(codes.items(), key=lambda item: item[1] in ended_by_others and 1 + ended_by_others.index(item[1]))
    if code == LOST_RANK:
        click.echo("error: the ranks of this machine have ended because one of another machine has", err=True)
    elif code < 0:
        click.echo(f"error: rank {rank} was ended by {signal.Signals(-code).name}; all ranks have ended", err=True)
    else:
        click.echo(f"error: rank {rank} failed with exit code {code}; all ranks have ended", err=True)
    return code if code > 0 else 128 - code
