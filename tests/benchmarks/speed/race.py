"""The rounds of a workload: every contender makes an iteration in each, one after the other.

So a minute in which the machine is busy slows all alike, and the ratios within a round hold where seconds do not.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from speed.contenders import OURS, PEER, Contender
from speed.worker import Setting, Turn, Worker, WorkerError
from speed.workloads import Workload


def race(
    workload: Workload,
    contenders: Sequence[Contender],
    num_rounds: int,
    device: str,
    threads: int,
    tell: Callable[[str], None] = lambda text: None,
) -> dict[str, dict[str, Any]]:
    """Let contenders train a workload in turns.

    Args:
        workload: What.
        contenders: Who; those that it does not suit are left out.
        num_rounds: Rounds that count.
        device: `cpu` or `cuda`.
        threads: Of torch on the CPU, for each.
        tell: Is told what goes on.

    Returns:
        A row for each contender: `turns` and what `summary` makes of them and `memory`, or `error`.
    """
    rows: dict[str, dict[str, Any]] = {}
    workers: dict[str, Worker] = {}
    turns: dict[str, list[Turn]] = {}

    def attempt(name: str, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except WorkerError as error:
            print(f"{name} failed on {workload.name}: {error}", file=sys.stderr)
            rows[name] = {"error": str(error).partition("\n")[0]}
            workers.pop(name, None)
            return None

    for contender in contenders:
        if reason := contender.unfit(workload):
            rows[contender.name] = {"error": reason}
            continue
        workers[contender.name] = Worker(Setting(workload, contender, device, threads))
        turns[contender.name] = []
    tell("is built")
    for name, worker in list(workers.items()):
        attempt(name, worker.wait)
    for contender in contenders:
        for number in range(contender.warm_up if contender.name in workers else 0):
            tell(f"{contender.name} warms up, {number + 1} of {contender.warm_up}")
            if attempt(contender.name, workers[contender.name].iterate) is None:
                break
    for number in range(num_rounds):
        tell(f"round {number + 1} of {num_rounds}")
        names = list(workers)
        first = number % max(1, len(names))
        for name in names[first:] + names[:first]:
            turn = attempt(name, workers[name].iterate)
            if turn is not None:
                turns[name].append(turn)
    for name, worker in list(workers.items()):
        memory = attempt(name, worker.finish)
        if memory is not None:
            rows[name] = {"memory": memory, "turns": [[turn.collect, turn.learn] for turn in turns[name]]}
    floors = {contender.name for contender in contenders if contender.is_floor}
    for name, row in rows.items():
        if "turns" in row:
            row.update(summary(turns[name], {key: turns[key] for key in (OURS, PEER) if "turns" in rows.get(key, {})}))
            row["is_floor"] = name in floors
    return {contender.name: rows[contender.name] for contender in contenders}


def summary(turns: Sequence[Turn], references: Mapping[str, Sequence[Turn]]) -> dict[str, Any]:
    """Medians and quartiles of a contender's turns.

    Returns:
        `seconds` by part of an iteration; `ratios` of its whole iteration to that of each reference in the same round,
        and `learn_ratios` of its updates; each a list of the lower quartile, the median and the upper quartile.
    """
    seconds = {part: quartiles([getattr(turn, part) for turn in turns]) for part in ("collect", "learn", "whole")}
    ratios = {
        part: {
            name: quartiles(
                [getattr(own, part) / getattr(other, part) for own, other in zip(turns, others, strict=True)]
            )
            for name, others in references.items()
        }
        for part in ("whole", "learn")
    }
    return {"seconds": seconds, "ratios": ratios["whole"], "learn_ratios": ratios["learn"]}


def quartiles(values: Sequence[float]) -> list[float]:
    """Lower quartile, median and upper quartile."""
    return statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
