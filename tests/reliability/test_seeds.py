"""The recipes learn whatever the seed.

    tox -e reliability -- tests/reliability/test_seeds.py

tests/learning/test_recipes.py is the short form for every day.
"""

from __future__ import annotations

import pytest
from evaluating import trained_return


@pytest.mark.parametrize("seed", [2, 3, 4, 5])
@pytest.mark.parametrize(("recipe", "threshold"), [("cartpole", 475.0), ("pendulum", -250.0)])
def test_recipe_reaches_its_return(tmp_path, recipe, threshold, seed):
    assert trained_return(tmp_path, recipe, f"seed={seed}") >= threshold
