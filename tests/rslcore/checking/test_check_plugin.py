"""`rslcore check-plugin`: what it finds well, what to mend, and what it cannot check."""

from __future__ import annotations

import json
import re
import sys

import pytest

from rslcore.checking import contracts, find_plugins
from rslcore.checking.imports import check_imports, find_heavy
from rslcore.errors import UnknownNameError
from rslcore.registry import Registry, default_registry


@pytest.fixture
def check(rslcore, install):
    """Run the command with distributions on the path; its exit code and what it printed."""

    def run(*arguments, installed=()):
        install(*installed)
        default_registry.cache_clear()
        return rslcore("check-plugin", *arguments)

    yield run
    default_registry.cache_clear()


def test_check_plugin_sound_has_nothing_to_mend(check):
    code, out, err = check("fake-sound", installed=["fake-sound"])
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "ok           distribution: It requires rslcore>=0.1.",
        "ok           distribution: It has a README.",
        "ok           plugin fake_sound: It loads without torch and brings 'env fake_needy', 'logger fake_counter'.",
        "ok           logger fake_counter: Factory and config are sound.",
        "ok           logger fake_counter: It keeps the contract of its kind (8 tests, with its defaults).",
        "ok           env fake_needy: Factory and config are sound.",
        "not checked  env fake_needy: Its contract was not run: option 'robot' has no default, and no recipe of the "
        "distribution fits.",
        "",
        "fake-sound: nothing to mend, 1 that could not be checked.",
    ]


def test_check_plugin_strict_exits_with_2_where_something_was_not_checked(check):
    assert check("fake-sound", "--strict", installed=["fake-sound"])[0] == 2


def test_check_imports_names_recipes(install):
    registry = install()
    rows = [row for row in registry.plugins if row.source.plugin == "multi_discrete"]
    (line,) = check_imports(rows, registry)
    recipes = ", ".join(f"'recipe {recipe.name}'" for recipe in rows[0].recipes)
    assert line.text == f"It loads without torch and brings {recipes}."


def test_check_plugin_unsound_lists_all_that_is_to_mend(check):
    code, out, err = check("fake-unsound", installed=["fake-unsound"])
    assert (code, err) == (2, "")
    where = "'fake_unsound.config:ChangingConfig'"
    assert [line.replace("MEND         ", "") for line in out.splitlines() if line.startswith("MEND")] == [
        "distribution: It requires rslcore of any version; write the one that it was made for, rslcore>=0.1, in its "
        "dependencies.",
        'distribution: It has no README; write one, and name it in pyproject.toml: readme = "README.md".',
        "plugin fake_unsound: Module 'fake_unsound.plugin' imports torch. `rslcore list-plugins` and `rslcore "
        "describe` read it: import what is heavy in the module of the factory, or under `if TYPE_CHECKING:`.",
        "plugin fake_unsound: Module 'fake_unsound.config' imports tensordict, torch. `rslcore list-plugins` and "
        "`rslcore describe` read it: import what is heavy in the module of the factory, or under `if TYPE_CHECKING:`.",
        "logger fake_narrow: Its factory is called as `factory(config, context)`; 'fake_unsound.loggers:Narrow' does "
        "not take that: too many positional arguments.",
        "logger fake_raising: test_logs_a_run (and 1 more test, for the same reason): OSError: no disk (loggers.py:21)",
        "network fake_changing: Its factory is called as `factory(config, context, num_outputs=...)`; "
        "'fake_unsound.loggers:Raising' does not take that: got an unexpected keyword argument 'num_outputs'.",
        f"network fake_changing: In {where}, field 'sizes': a list can be changed after the config was read; write "
        "tuple[...].",
        "network fake_changing: It has no summary; `rslcore describe` shows it.",
        "recipe fake_recipe: It is no valid config: policy.name: there is no "
        "policy 'actor_critc'; did you mean 'actor_critic'? (installed: 'actor_critic', 'soft_actor_critic', "
        "'student_teacher').",
    ]
    assert out.splitlines()[-1] == "fake-unsound: 10 things to mend."


def test_check_plugin_that_does_not_load_says_why(check):
    code, out, _ = check("fake-raises", installed=["fake-raises"])
    assert code == 2
    assert "MEND         plugin fake_raises: It does not load: RuntimeError: no licence found" in out


def test_check_plugin_json(check):
    code, out, _ = check("fake-raises", "--json", installed=["fake-raises"])
    assert code == 2
    assert {"subject": "plugin fake_raises", "status": "mend"}.items() <= json.loads(out)[-1].items()


def test_check_plugin_unknown_gives_the_nearest(check):
    code, out, err = check("fake-soud", installed=["fake-sound"])
    assert (code, out) == (2, "")
    assert err == (
        "error: there is no installed distribution 'fake-soud' with plugins; did you mean 'fake-sound'? "
        "(installed: 'fake-sound', 'rslcore')\n"
    )


def test_check_plugin_bare_lists_what_can_be_checked(check):
    code, out, _ = check(installed=["fake-sound"])
    assert code == 0
    assert "fake-sound     1.2       fake_sound" in out
    assert out.endswith("Name one of them: rslcore check-plugin DISTRIBUTION\n")
    _, out, _ = check("--json", installed=["fake-sound"])
    assert {"distribution": "fake-sound", "version": "1.2", "plugins": "fake_sound"} in json.loads(out)


def test_check_plugin_without_pytest_says_what_to_install(check, monkeypatch):
    monkeypatch.setitem(sys.modules, "pytest", None)
    for name in [name for name in sys.modules if name.startswith(("rslcore.testing", "rslcore.checking"))]:
        monkeypatch.delitem(sys.modules, name)
    code, _, err = check("fake-sound", installed=["fake-sound"])
    assert code == 2
    assert err == (
        "error: the contracts are run by pytest, which is not installed; type `pip install 'rslcore[testing]'`\n"
    )


def test_check_plugin_ours_are_sound_and_are_tried_in_surroundings_that_fit(check, monkeypatch):
    # The contracts themselves are run by tests/plugins/test_contracts.py; here, the test that builds stands for them.
    run, built = contracts.run_contract, []

    def build(case, select=""):
        if select:
            built[:] = run(case, select)
        return built

    monkeypatch.setattr(contracts, "run_contract", build)
    code, out, err = check("rslcore")
    assert (code, err) == (0, "")
    kept = [line.split("  ")[-1].split(":")[0].strip() for line in out.splitlines() if "keeps the contract" in line]
    assert {
        "ok policy actor_critic",
        "ok distribution beta",
        "ok distribution multi_categorical",
        "ok network cnn",
    } <= {f"ok {each.removeprefix('ok ').strip()}" for each in kept}
    assert re.search(r"env gymnasium: It keeps the contract of its kind \(\d+ tests, with the recipe '\w+'\)\.", out)


def test_find_plugins_takes_any_spelling_of_a_name(install):
    assert find_plugins(install("fake-sound"), "Fake_Sound")[0].source.plugin == "fake_sound"
    with pytest.raises(UnknownNameError, match="'nothing'"):
        find_plugins(Registry(()), "nothing")


def test_find_heavy_goes_on_after_a_module_at_fault():
    found = find_heavy(["json", "gymnasium.spaces", "rslcore_nothing", "rslcore.config"])
    assert found == {
        "gymnasium.spaces": "imports gymnasium",
        "rslcore_nothing": "raises ModuleNotFoundError: No module named 'rslcore_nothing'",
    }
