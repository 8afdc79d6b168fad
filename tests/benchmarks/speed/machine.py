"""On what it was measured."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from pathlib import Path
from typing import Any

import torch

DISTRIBUTIONS = ("rslcore", "torch", "rsl-rl-lib", "skrl", "stable-baselines3", "gymnasium", "numpy", "tensordict")


def describe_machine(device: str, threads: int) -> dict[str, Any]:
    """Processor, cores, GPU, versions and threads, for a report.

    Args:
        device: `cpu` or `cuda`; the GPU is named only where it is used.
        threads: Of torch on the CPU.
    """
    return {
        "processor": _processor(),
        "cores": num_cores(),
        "gpu": torch.cuda.get_device_name() if device == "cuda" else None,
        "cuda": torch.version.cuda if device == "cuda" else None,
        "device": device,
        "threads": threads,
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in DISTRIBUTIONS}},
    }


def num_cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    """The model name that Linux gives; elsewhere what Python knows."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    match = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return match[1].strip() if match else platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    """Of an installed distribution, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
