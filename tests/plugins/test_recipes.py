"""Every recipe that is computed loads with what it needs, and is read back as it was dumped."""

from __future__ import annotations

import pytest

from rslcore.config import dump_yaml, load_config
from rslcore.registry import default_registry

NEEDS = {
    "genesis": ["env.factory=point_env:PointEnv", "env.cfgs=point_train:get_cfgs"],
    "isaaclab": ["env.task=Isaac-Point-Mass-v0", "device=cpu"],
    "mjlab": ["env.task=Mjlab-Point-Mass"],
    "playground": ["env.task=PointMass"],
}


@pytest.mark.parametrize("recipe", [recipe.name for recipe in default_registry().recipes() if not recipe.file])
def test_load_computed_recipe_and_read_back_what_is_dumped(recipe, request, tmp_path):
    request.getfixturevalue(recipe)  # what stands in for the project
    config = load_config(recipe, NEEDS[recipe])
    (tmp_path / "config.yaml").write_text(dump_yaml(config))
    assert load_config(tmp_path / "config.yaml") == config
    assert load_config(recipe, [*NEEDS[recipe], "iterations=7"]).iterations == 7
