"""For the authors of plugins: what a component of each kind promises, as tests to inherit.

A contract is a class of tests for a kind of component. It asks for one fixture, the component as it stands in a config:

    import pytest
    from rslcore.testing import ExtensionContract

    class TestAmp(ExtensionContract):
        @pytest.fixture
        def component(self):
            return {"name": "amp", "style_reward_weight": 0.5}

What surrounds it (`env`, `policy`, `algorithm`, ...) are fixtures with defaults, any of which may be overridden.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rslcore.testing.public import *  # noqa: F403


def __getattr__(name: str) -> Any:
    # Imported when first used: pytest loads `rslcore.testing.pytest_plugin` in unrelated test suites too.
    if not name.startswith("_"):
        public = importlib.import_module("rslcore.testing.public")
        if name in public.__all__:
            return getattr(public, name)
    raise AttributeError(f"module 'rslcore.testing' has no attribute '{name}'")
