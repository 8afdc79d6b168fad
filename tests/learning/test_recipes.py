"""The recipes learn. Thresholds are returns, nothing is timed; tests/reliability/test_seeds.py has more seeds."""

from __future__ import annotations

import pytest
from evaluating import trained_return


@pytest.mark.parametrize(("recipe", "threshold"), [("cartpole", 475.0), ("pendulum", -250.0)])
def test_recipe_reaches_its_return(tmp_path, recipe, threshold):
    assert trained_return(tmp_path, recipe, "seed=1") >= threshold
