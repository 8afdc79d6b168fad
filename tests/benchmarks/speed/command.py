"""How fast rslcore trains beside its peers: every contender makes an iteration in turn, round after round.

What holds of one machine and another, and of a calm minute and a busy one, are the ratios within a round. A contender
that fails on a workload, or is not installed, is a row that says why.

Workloads that are not run again keep what the file in the folder says, if it was written on the same machine with the
same versions.

    python tests/benchmarks/speed [--workload NAME...] [--contender NAME...] [--rounds 7] [--folder docs/_static]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from speed.contenders import CONTENDERS, OURS
from speed.machine import describe_machine, num_cores
from speed.race import race
from speed.report import draw, measured_before, table
from speed.workloads import WORKLOADS


def main() -> None:
    """Read the command line, run the races and write what they say."""
    arguments = _parse()
    if arguments.list:
        for workload in WORKLOADS.values():
            print(f"{workload.name:32} on {' and '.join(workload.devices)}")
        print(f"contenders: {', '.join(CONTENDERS)}")
        return
    names = arguments.workload or [name for name, row in WORKLOADS.items() if arguments.device in row.devices]
    contenders = [CONTENDERS[name] for name in arguments.contender or CONTENDERS]
    machine = describe_machine(arguments.device, arguments.threads)
    stem = "speed" if arguments.device == "cpu" else "speed_cuda"
    path = arguments.folder / f"{stem}.json" if arguments.folder else None
    head = {"machine": machine}
    report: dict[str, Any] = {**head, "workloads": measured_before(path, head, "workloads")}
    on = machine["gpu"] or f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads"
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    print(f"{on}\n{versions}\nmedians of {arguments.rounds} rounds")
    for name in names:
        rows = race(WORKLOADS[name], contenders, arguments.rounds, arguments.device, arguments.threads, _tell(name))
        report["workloads"][name] = rows
        print(f"\n{table(name, rows)}", flush=True)
        if path:  # after each, so that a run that is ended early has what it has measured
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
            shown = {name: report["workloads"][name] for name in WORKLOADS if name in report["workloads"]}
            draw(shown, path.with_suffix(".png"), f"{on}, medians and quartiles of several rounds")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="speed", description=__doc__.partition("\n")[0])
    parser.add_argument("--workload", nargs="+", choices=WORKLOADS, metavar="NAME", help="all of the device by default")
    parser.add_argument("--contender", nargs="+", choices=CONTENDERS, metavar="NAME", help="all by default")
    parser.add_argument("--rounds", type=int, default=7, help="that count, after those that warm up")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=num_cores(), help="of torch, for each; all cores by default")
    parser.add_argument("--folder", type=Path, help="where speed.json and speed.png are written")
    parser.add_argument("--list", action="store_true", help="print the workloads and contenders")
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.threads < 1:
        parser.error("--rounds and --threads must be at least 1")
    if arguments.contender and OURS not in arguments.contender:
        print(f"without {OURS} there is nothing to divide by: no ratios", file=sys.stderr)
    return arguments


def _tell(workload: str) -> Any:
    """What prints the progress, on a terminal alone."""
    if not sys.stderr.isatty():
        return lambda text: None
    return lambda text: print(f"\r\033[K{workload}: {text}", end="", file=sys.stderr, flush=True)
