"""Whether components and recipes are sound, one at a time."""

from __future__ import annotations

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
