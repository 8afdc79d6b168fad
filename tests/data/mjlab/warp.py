"""Compiles mjlab's kernels, and tells of each of them; here, has the names that say what is told of."""

from __future__ import annotations

from types import SimpleNamespace

LOG_INFO, LOG_WARNING = 20, 30
config = SimpleNamespace(log_level=LOG_INFO)
