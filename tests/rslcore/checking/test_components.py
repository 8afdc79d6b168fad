"""Whether components and recipes are sound, one at a time."""

from __future__ import annotations

import attrs

from rslcore.checking.components import check_recipe


def test_recipe_that_is_computed_may_need_more_than_its_name_and_may_fail(install):
    registry = install("fake-tools")
    sized, broken = (check_recipe(registry.find_recipe(name), registry) for name in ("fake_sized", "fake_broken"))
    assert (sized.status, sized.text) == ("ok", "It is a valid config.")
    assert broken.status == "mend"
    assert broken.text.startswith("It cannot be computed: recipe 'fake_broken' of fake-tools 1.0 failed")
    isaaclab = check_recipe(registry.find_recipe("isaaclab"), registry)
    assert isaaclab.status == "unchecked"
    assert isaaclab.text.startswith("It is computed, and needs more than its name: env.task: name a task")


def test_recipe_of_an_env_that_is_not_there(install):
    registry = install("fake-tools")
    line = check_recipe(attrs.evolve(registry.find_recipe("fake_sized"), env="gymnasiun"), registry)
    assert line.status == "mend"
    assert line.text.startswith(
        "The env that it is declared for is not there: there is no env 'gymnasiun'; did you mean 'gymnasium'? ("
    )
