"""The printed table and the picture of what `speed.race` has found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speed.contenders import OURS, PEER

Rows = Mapping[str, Mapping[str, Any]]

COLOURS = {OURS: "#2f6690", "rsl_rl": "#d1495b", "skrl": "#66a182", "sb3": "#edae49", "cleanrl": "#8d96a3"}
"""By the first word of a contender's name."""


def measured_before(path: Path | None, head: Mapping[str, Any], key: str) -> dict[str, Any]:
    """What a report says under `key`, if it begins with this very head: the machine; else nothing."""
    if path is None or not path.exists():
        return {}
    report = json.loads(path.read_text(encoding="utf-8"))
    found: dict[str, Any] = report.pop(key)
    return found if report == head else {}


def table(name: str, rows: Rows) -> str:
    """A workload's contenders, a line each.

    Seconds are medians, with quartiles of the whole iteration in brackets. `/ rslcore` is the whole iteration as a
    multiple of ours in the same round, `rsl_rl /` how many times as fast as rsl_rl; a floor has the share of rslcore's
    update in their place.
    """
    head = (
        f"{name}\n  {'':18}{'collect s':>10}{'learn s':>10}{'whole s':>10}  {'(quartiles)':19}"
        f"{'/ rslcore':>10}  {'(quartiles)':15}{'rsl_rl /':>9}{'peak MB':>9}{'training MB':>12}"
    )
    return "\n".join([head, *(f"  {label:18}{_line(row)}" for label, row in rows.items())])


def _line(row: Mapping[str, Any]) -> str:
    if "error" in row:
        return f"  {row['error']}"
    seconds, memory = row["seconds"], row["memory"]
    learn = f"{seconds['learn'][1]:10.4f}"
    if row["is_floor"]:
        share = row["learn_ratios"].get(OURS)
        return f"{'':10}{learn}" + (
            f"  {share[1]:.0%} ({share[0]:.0%} to {share[2]:.0%}) of rslcore's" if share else ""
        )
    low, middle, high = seconds["whole"]
    parts = [f"{seconds['collect'][1]:10.4f}{learn}{middle:10.4f}  {f'({low:.4f} to {high:.4f})':19}"]
    ratio, peer = row["ratios"].get(OURS), row["ratios"].get(PEER)
    parts.append(f"{ratio[1]:10.2f}  {f'({ratio[0]:.2f} to {ratio[2]:.2f})':15}" if ratio else f"{'':27}")
    parts.append(f"{1 / peer[1]:9.2f}" if peer else f"{'':9}")
    return "".join(parts) + f"{memory['peak']:9.0f}{memory['peak'] - memory['before']:12.0f}"


def draw(results: Mapping[str, Rows], path: Path, title: str) -> None:
    """Bars: the whole iteration of each contender as a multiple of ours, a panel a workload."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = {
        name: {label: row["ratios"][OURS] for label, row in rows.items() if row.get("ratios", {}).get(OURS)}
        for name, rows in results.items()
    }
    shown = {
        name: {label: ratio for label, ratio in rows.items() if not results[name][label]["is_floor"]}
        for name, rows in shown.items()
        if rows
    }
    if not shown:
        return
    columns = min(2, len(shown))
    lines = -(-len(shown) // columns)
    most = max(map(len, shown.values()))
    figure, panels = pyplot.subplots(
        lines, columns, figsize=(5.0 * columns, 0.6 + (0.2 * most + 0.5) * lines), layout="constrained", squeeze=False
    )
    for axes in panels.flat[len(shown) :]:
        axes.set_visible(False)
    for axes, (name, rows) in zip(panels.flat, shown.items(), strict=False):
        _draw_panel(axes, rows)
        axes.set_ylim(most - 0.4, -0.6)
        axes.set_title(name, fontsize=9, loc="left", fontweight="bold")
    figure.supxlabel("seconds of an iteration as a multiple of rslcore's in the same round; less is faster", fontsize=9)
    figure.suptitle(title, fontsize=9)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _draw_panel(axes: Any, ratios: Mapping[str, list[float]]) -> None:
    """A workload: a bar each, with quartiles; what a single slow round has stretched is cut off."""
    labels, widest = list(ratios), 1.25 * max(middle for _, middle, _ in ratios.values())
    for place, (label, (low, middle, high)) in enumerate(ratios.items()):
        high = min(high, widest)
        axes.barh(place, middle, 0.72, color=COLOURS.get(label.split()[0], "grey"))
        axes.plot([low, high], [place, place], color="black", linewidth=0.8)
        axes.text(max(middle, high) + 0.01 * widest, place, f"{middle:.2f}", va="center", fontsize=8)
    axes.set_yticks(range(len(labels)), labels)
    axes.axvline(1.0, color="black", linewidth=0.7, linestyle=":")
    axes.set_xlim(0.0, 1.1 * widest)
    axes.tick_params(labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
