"""What plugin and config modules import: they are read by commands that must not wait for torch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence

from rslcore.checking.report import Line
from rslcore.errors import listed
from rslcore.registry import PluginRow, Registry

HEAVY = ("torch", "tensordict", "gymnasium")

_PROBE = """
import importlib, json, sys
path, modules, heavy = json.loads(sys.stdin.read())
sys.path[:] = path
for module in modules:
    try:
        importlib.import_module(module)
    except BaseException as error:
        print("\\n" + json.dumps([module, "raises " + type(error).__name__ + ": " + str(error)]))
        break
    found = sorted(set(heavy) & set(sys.modules))
    if found:
        print("\\n" + json.dumps([module, "imports " + ", ".join(found)]))
        break
else:
    print("\\nnull")
"""


def check_imports(rows: Sequence[PluginRow], registry: Registry) -> Iterator[Line]:
    """Whether each plugin loads, and does so without torch, as its config modules should."""
    for row in rows:
        subject = f"plugin {row.source.plugin}"
        if row.status == "failed":
            yield Line(subject, "mend", f"It does not load: {row.cause}")
        elif row.status == "disabled":
            yield Line(subject, "unchecked", "It is disabled.")
    loaded = [row for row in rows if row.status == "ok"]
    modules = {row.source.module.partition(":")[0]: row for row in loaded}
    modules |= {entry.config.partition(":")[0]: row for row in loaded for entry in row.entries}
    faults = find_heavy(list(modules))
    for row in loaded:
        subject = f"plugin {row.source.plugin}"
        own = {module: fault for module, fault in faults.items() if modules[module] is row}
        for module, fault in own.items():
            yield Line(
                subject,
                "mend",
                f"Module '{module}' {fault}. `rslcore list-plugins` and `rslcore describe` read it: import what is "
                "heavy in the module of the factory, or under `if TYPE_CHECKING:`.",
            )
        if not own:
            brings = [f"{entry.kind} {entry.name}" for entry in row.entries]
            brings += [f"recipe {recipe.name}" for recipe in row.recipes]
            yield Line(subject, "ok", f"It loads without torch and brings {listed(brings) if brings else 'nothing'}.")


def find_heavy(modules: Sequence[str]) -> dict[str, str]:
    """What is wrong with importing modules, each in a process that has not imported torch, by module.

    One process serves until a module is at fault.
    """
    faults: dict[str, str] = {}
    left = list(modules)
    while left:
        process = subprocess.run(
            [sys.executable, "-c", _PROBE],
            input=json.dumps([sys.path, left, HEAVY]),
            capture_output=True,
            text=True,
            check=False,
        )
        lines = process.stdout.strip().splitlines()
        if process.returncode != 0 or not lines:
            last = (process.stderr.strip().splitlines() or ["nothing was printed"])[-1]
            faults[left[0]] = f"ends the process that imports it: {last}"
            left = left[1:]
            continue
        found = json.loads(lines[-1])
        if found is None:
            break
        faults[found[0]] = found[1]
        left = left[left.index(found[0]) + 1 :]
    return faults
