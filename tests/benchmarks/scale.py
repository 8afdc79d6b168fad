"""What an env step costs as training grows: with more envs, larger networks, longer observations.

rslcore and rsl_rl make iterations in turns, each in a process of its own, as in `tests/benchmarks/speed`; the env costs
nothing. Lines that are straight on logarithmic axes have no cliff.

    python tests/benchmarks/scale.py [--axis envs parameters observations] [--rounds 5] [--folder docs/_static]
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from free_env import NUM_ACTIONS, NUM_OBS
from speed.contenders import CONTENDERS, OURS, PEER
from speed.machine import describe_machine, num_cores
from speed.race import race
from speed.report import COLOURS, measured_before
from speed.workloads import Workload, free, mlp

NUM_ENVS, HIDDEN, NUM_STEPS = 1024, (64, 64), 24
"""Where they do not grow."""


@attrs.frozen
class Point:
    """A place on an axis.

    Attributes:
        value: Where.
        workload: What is trained there.
        num_steps: Env steps of an iteration, over all envs.
    """

    value: int
    workload: Workload
    num_steps: int


def point(
    value: int,
    num_envs: int = NUM_ENVS,
    hidden: Sequence[int] = HIDDEN,
    num_obs: int = NUM_OBS,
    num_steps: int = NUM_STEPS,
) -> Point:
    """A point, most of which is as everywhere."""
    name = f"{num_envs} envs, {'-'.join(map(str, hidden))}, {num_obs} observations"
    workload = free(name, num_envs, mlp(*hidden), shape=(num_obs,), num_steps=num_steps, devices=("cpu", "cuda"))
    return Point(value, workload, num_envs * num_steps)


def num_parameters(hidden: Sequence[int]) -> int:
    """Weights and biases of actor and critic."""
    widths = ([NUM_OBS, *hidden, num_outputs] for num_outputs in (NUM_ACTIONS, 1))
    return sum((inputs + 1) * outputs for each in widths for inputs, outputs in itertools.pairwise(each))


AXES = {
    # The largest takes fewer steps, so that all its rows fit in memory twice.
    "envs": [
        point(size, num_envs=size, num_steps=8 if size > 20_000 else NUM_STEPS) for size in (4**n for n in range(3, 9))
    ],
    "parameters": [
        point(num_parameters(hidden), hidden=hidden)
        for hidden in ((16, 16), (64, 64), (128, 128), (256, 256), (512, 512), (1024, 1024))
    ],
    "observations": [point(size, num_obs=size) for size in (48, 150, 480, 1500, 4800)],
}
LABELS = {
    "envs": f"envs ({'-'.join(map(str, HIDDEN))}, {NUM_OBS} observations)",
    "parameters": f"parameters ({NUM_ENVS} envs, {NUM_OBS} observations)",
    "observations": f"observations ({NUM_ENVS} envs, {'-'.join(map(str, HIDDEN))})",
}


def measure(where: Point, rounds: int, device: str, threads: int) -> dict[str, Any]:
    """A point's row: microseconds of an env step, with quartiles, and peak memory in MB, of each contender."""
    rows = race(where.workload, [CONTENDERS[OURS], CONTENDERS[PEER]], rounds, device, threads)
    found: dict[str, Any] = {"value": where.value, "workload": where.workload.name}
    for name, row in rows.items():
        if "error" in row:
            found[name] = {"error": row["error"]}
            continue
        found[name] = {
            "microseconds": [1e6 * seconds / where.num_steps for seconds in row["seconds"]["whole"]],
            "ratio": row["ratios"].get(OURS),
            "memory": row["memory"],
        }
    return found


def slope(found: Sequence[Mapping[str, Any]], name: str) -> float:
    """By which power an iteration's cost of an env step grows over the last two points."""
    (x0, y0), (x1, y1) = [(row["value"], row[name]["microseconds"][1]) for row in found if "error" not in row[name]][
        -2:
    ]
    return math.log(y1 / y0) / math.log(x1 / x0)


def draw(report: Mapping[str, Any], path: Path, title: str) -> None:
    """Time of an env step and peak memory along each axis, on logarithmic axes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    axes_of = {name: found for name, found in report["axes"].items() if found}
    figure, panels = pyplot.subplots(
        2, len(axes_of), figsize=(3.6 * len(axes_of), 5.4), sharex="col", layout="constrained", squeeze=False
    )
    for column, (axis, found) in enumerate(axes_of.items()):
        for name in (OURS, PEER):
            rows = [row for row in found if "error" not in row[name]]
            values = [row["value"] for row in rows]
            style: dict[str, Any] = {"color": COLOURS[name], "marker": "o", "markersize": 3, "label": name}
            low, middle, high = zip(*(row[name]["microseconds"] for row in rows), strict=True)
            panels[0, column].fill_between(values, low, high, color=COLOURS[name], alpha=0.2, linewidth=0)
            panels[0, column].plot(values, middle, **style)
            panels[1, column].plot(values, [row[name]["memory"]["peak"] for row in rows], **style)
        for row in panels:
            row[column].set_xscale("log")
            row[column].set_yscale("log")
            row[column].grid(linewidth=0.3, alpha=0.5)
            row[column].tick_params(labelsize=8)
            row[column].set_xticks(values, [f"{value:,}" for value in values], rotation=30)
            row[column].yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
            row[column].yaxis.set_major_formatter("{x:g}")
            for direction in (row[column].xaxis, row[column].yaxis):
                direction.set_minor_locator(ticker.NullLocator())
        panels[1, column].set_xlabel(LABELS[axis], fontsize=8)
    panels[0, 0].set_ylabel("µs of an env step,\nwith its share of the update", fontsize=9)
    panels[1, 0].set_ylabel("peak memory, MB", fontsize=9)
    panels[0, 0].legend(fontsize=8, frameon=False)
    figure.suptitle(title, fontsize=9)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def main() -> None:
    """Measure the points of each axis, print them and write what they say."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--axis", nargs="+", choices=AXES, help="all by default")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=num_cores())
    parser.add_argument("--folder", type=Path, help="where scale.json and scale.png are written")
    arguments = parser.parse_args()

    machine = describe_machine(arguments.device, arguments.threads)
    stem = "scale" if arguments.device == "cpu" else "scale_cuda"
    path = arguments.folder / f"{stem}.json" if arguments.folder else None
    head = {"machine": machine, "rounds": arguments.rounds}
    report = {**head, "axes": measured_before(path, head, "axes")}
    on = f"{machine['gpu'] or machine['processor']}, {machine['threads']} threads"
    print(f"{on}, medians of {arguments.rounds} rounds")
    for axis in arguments.axis or AXES:
        report["axes"][axis] = found = []
        print(f"\n{LABELS[axis]}: µs of an env step, peak MB")
        for where in AXES[axis]:
            found.append(measure(where, arguments.rounds, arguments.device, arguments.threads))
            print(f"  {where.value:9} {'   '.join(_shown(name, found[-1][name]) for name in (OURS, PEER))}", flush=True)
        powers = ", ".join(f"{slope(found, name):.2f} ({name})" for name in (OURS, PEER))
        print(f"  at the end it grows by the power {powers}")
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
            draw(report, path.with_suffix(".png"), f"{on}, medians and quartiles of {arguments.rounds} rounds")


def _shown(name: str, row: Mapping[str, Any]) -> str:
    if "error" in row:
        return f"{name}: {row['error']}"
    return f"{name} {row['microseconds'][1]:9.3f} µs {row['memory']['peak']:7.0f} MB"


if __name__ == "__main__":
    main()
