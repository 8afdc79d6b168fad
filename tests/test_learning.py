"""The recipes learn. Thresholds are returns, nothing is timed."""

from __future__ import annotations

import pytest

from rslcore.config import load_config
from rslcore.evaluation import evaluate
from rslcore.training import train


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("recipe", "threshold"), [("cartpole", 475.0), ("pendulum", -250.0)])
def test_recipe_reaches_its_return(tmp_path, recipe, threshold, seed):
    result = train(load_config(recipe, [f"seed={seed}", "loggers=[]"]), log_root=tmp_path, quiet=True)
    assert evaluate(result.path, episodes=100).summary()["return"]["mean"] >= threshold
