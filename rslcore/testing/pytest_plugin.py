"""Fixtures of rslcore for every test suite in an environment where it is installed.

pytest imports this module in unrelated test suites too, so it imports nothing but pytest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from rslcore.registry import Registry


@pytest.fixture
def rslcore_registry() -> Callable[..., Registry]:
    """Builds a registry of the plugin modules that it is given, and of the fakes: it discovers nothing by itself.

    registry = rslcore_registry(rslcore_amp.plugin)
    """
    from rslcore.testing.registry import build_registry

    return build_registry
