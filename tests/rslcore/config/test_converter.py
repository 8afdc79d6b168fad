"""Structuring is strict and reports every problem with its path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import attrs
import pytest

from rslcore.config import NetworkComponent, Range, config, option, structure, unstructure
from rslcore.errors import ConfigError, Problem
from rslcore.registry import default_registry


@config
class Inner:
    """Nested options."""

    rate: float = option(0.5, "A rate.", Range(0.0, 1.0))
    widths: tuple[int, ...] = option((2,), "Widths.", Range(1))


@config
class Outer:
    """Options."""

    flag: bool = option(False, "A flag.")
    count: int = option(1, "A count.", Range(1))
    name: str = option("x", "A name.")
    limit: float | None = option(None, "A limit.", Range(0.0, open_low=True))
    inner: Inner = option(Inner(), "Nested.")
    networks: tuple[NetworkComponent, ...] = option((), "Components.")
    pair: tuple[float, str] = option((0.0, "x"), "A fixed tuple.")
    rate: float | Literal["auto"] = option("auto", "A number or a word.")
    level: Literal[1, 2] = option(1, "A number of few.")
    table: Mapping[str, Any] = option({}, "A mapping.")
    inners: Mapping[str, Inner] = option({}, "Nested by name.")
    limits: Mapping[str, tuple[int, ...]] = option({}, "Lists by name.")
    needed: int = option(attrs.NOTHING, "Required.")


def problems_of(data, cls=Outer):
    with pytest.raises(ConfigError) as caught:
        structure(data, cls, default_registry())
    return {problem.path: problem.message for problem in caught.value.problems}


def test_structure_then_unstructure_is_complete():
    data = {
        "flag": True,
        "count": 3,
        "name": "y",
        "limit": 2.0,
        "inner": {"rate": 1.0, "widths": [4, 5]},
        "networks": [{"name": "mlp", "hidden_dims": [8]}],
        "needed": 7,
    }
    structured = structure(data, Outer, default_registry())
    assert structured.inner == Inner(rate=1.0, widths=(4, 5))
    assert structured.networks[0].config.hidden_dims == (8,)
    plain = unstructure(structured)
    assert plain["networks"][0] == {
        "name": "mlp",
        "groups": ["policy"],
        "hidden_dims": [8],
        "activation": "elu",
        "normalize": False,
        "init": "default",
        "output_scale": 1.0,
    }
    assert structure(plain, Outer, default_registry()) == structured


@pytest.mark.parametrize(
    ("data", "path", "message"),
    [
        ({"flag": "false"}, "flag", "'false' (str) should be true or false"),
        ({"flag": 1}, "flag", "1 (int) should be true or false"),
        ({"count": 4.9}, "count", "4.9 (float) should be a whole number"),
        ({"count": True}, "count", "True (bool) should be a whole number"),
        ({"count": 0}, "count", "0 is out of range, it must be >= 1"),
        ({"name": 5}, "name", "5 (int) should be a string"),
        ({"limit": 0}, "limit", "0.0 is out of range, it must be > 0.0"),
        ({"limit": "fast"}, "limit", "'fast' (str) should be a number"),
        ({"limit": float("inf")}, "limit", "inf should be finite"),
        ({"limit": float("nan")}, "limit", "nan should be finite"),
        ({"pair": [1.0]}, "pair", "[1.0] (list) should have 2 items"),
        ({"pair": ["y", "x"]}, "pair[0]", "'y' (str) should be a number"),
        ({"rate": "fast"}, "rate", "'fast' (str) should be a number, and 'fast' (str) is none of 'auto'"),
        ({"level": 7}, "level", "7 (int) is none of '1', '2'"),
        ({"table": [1]}, "table", "[1] (list) should be a mapping"),
        ({"inners": [1]}, "inners", "[1] (list) should be a mapping"),
        (
            {"inners": {"left": {}, "right": 5}},
            "inners.right",
            "5 (int) should be a mapping with keys among 'rate', 'widths'",
        ),
        ({"inners": {"left": {"rate": 1.5}}}, "inners.left.rate", "1.5 is out of range, it must be in [0.0, 1.0]"),
        (
            {"inners": {"left": {"rtae": 1.0}}},
            "inners.left.rtae",
            "unknown key; did you mean 'rate'? (keys: 'rate', 'widths')",
        ),
        ({"inners": {"left": {"widths": [1, "x"]}}}, "inners.left.widths[1]", "'x' (str) should be a whole number"),
        ({"limits": {"left": 3}}, "limits.left", "3 (int) should be a list"),
        ({"inner": 5}, "inner", "5 (int) should be a mapping with keys among 'rate', 'widths'"),
        ({"inner": {"rate": 1.5}}, "inner.rate", "1.5 is out of range, it must be in [0.0, 1.0]"),
        ({"inner": {"rtae": 1.0}}, "inner.rtae", "unknown key; did you mean 'rate'? (keys: 'rate', 'widths')"),
        ({"inner": {"widths": [3, 0]}}, "inner.widths", "(3, 0) is out of range, it must be >= 1"),
        ({"inner": {"widths": [3, "x"]}}, "inner.widths[1]", "'x' (str) should be a whole number"),
        ({"inner": {"widths": "33"}}, "inner.widths", "'33' (str) should be a list"),
        (
            {"networks": ["mlp"]},
            "networks[0]",
            "'mlp' (str) should be a mapping; write {name: mlp}",
        ),
        (
            {"networks": [{"name": "mpl"}]},
            "networks[0].name",
            "there is no network 'mpl'; did you mean 'mlp'? (installed: 'cnn', 'gru', 'lstm', 'mlp')",
        ),
        (
            {"networks": [{}]},
            "networks[0].name",
            "is missing; it names the network, one of 'cnn', 'gru', 'lstm', 'mlp'",
        ),
        (
            {"networks": [{"name": 3}]},
            "networks[0].name",
            "3 (int) should be a string; it names the network, one of 'cnn', 'gru', 'lstm', 'mlp'",
        ),
        (
            {"networks": [{"name": "mlp", "activation": "rleu"}]},
            "networks[0].activation",
            "'rleu' (str) is none of 'celu', 'elu', 'gelu', 'leaky_relu', 'mish', 'relu', 'selu', 'sigmoid', 'silu', "
            "'softplus', 'tanh'; did you mean 'relu'?",
        ),
    ],
)
def test_structure_wrong_value_names_path_and_value(data, path, message):
    assert problems_of({"needed": 1, **data}) == {path: message}


def test_structure_reports_all_problems_at_once():
    found = problems_of({"flag": "no", "count": 0, "inner": {"rate": 2, "x": 1}, "networks": [{"name": "mlp", "y": 1}]})
    assert set(found) == {"flag", "count", "inner.rate", "inner.x", "networks[0].y", "needed"}
    assert found["needed"] == "is missing and has no default"


def test_structure_values_of_mappings_and_back():
    data = {"needed": 1, "inners": {"left": {"rate": 1}, 2: {}}, "limits": {"left": [1, 2]}}
    structured = structure(data, Outer, default_registry())
    assert structured.inners == {"left": Inner(rate=1.0), "2": Inner()}
    assert structured.limits == {"left": (1, 2)}
    plain = unstructure(structured)
    assert plain["inners"] == {"left": {"rate": 1.0, "widths": [2]}, "2": {"rate": 0.5, "widths": [2]}}
    assert plain["limits"] == {"left": [1, 2]}
    assert structure(plain, Outer, default_registry()) == structured


def test_structure_reports_all_problems_of_a_mapping():
    found = problems_of({"needed": 1, "inners": {"left": {"rate": 2}, "right": {"rate": "x"}}})
    assert set(found) == {"inners.left.rate", "inners.right.rate"}


def test_structure_code_of_a_config_class_that_raises_is_the_fault_of_its_plugin(install):
    registry = install("fake-faulty")
    with pytest.raises(ConfigError) as caught:
        structure({"needed": 1, "networks": [{"name": "faulty_check", "count": 2}]}, Outer, registry)
    (problem,) = caught.value.problems
    assert problem.path == "networks[0].count"
    assert re.fullmatch(
        "the config of network 'faulty_check' of fake-faulty 1.0 raised AttributeError: 'int' object has no attribute "
        r"'is_even' \(config.py, line \d+\); the fault is in its code",
        problem.message,
    )


@config
class Ordered:
    """Options that depend on each other."""

    low: int = option(0, "Lower.")
    high: int = option(1, "Upper.")
    fault: bool = option(False, "Whether the code is wrong.")

    def __attrs_post_init__(self) -> None:
        if self.fault:
            raise TypeError("of no value")
        if self.low > self.high:
            raise ValueError("low is above high")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"low": 2}, "low is above high"),
        (
            {"fault": True},
            r"the config of a class raised TypeError: of no value \(test_converter.py, line \d+\); the .*",
        ),
    ],
)
def test_structure_check_of_a_whole_config_is_told_from_a_fault_of_its_code(data, message):
    (found,) = problems_of(data, Ordered).values()
    assert re.fullmatch(message, found)


def test_option_default_mapping_is_each_configs_own():
    @config
    class Table:
        """Options."""

        table: Mapping[str, Any] = option({}, "A mapping.")

    Table().table["x"] = 1  # type: ignore[index]
    assert Table().table == {}


def test_structure_takes_unions_and_fixed_tuples():
    config = structure({"needed": 1, "pair": [2, "y"], "rate": 0.5, "level": 2}, Outer, default_registry())
    assert (config.pair, config.rate, config.level) == ((2.0, "y"), 0.5, 2)
    assert structure({"needed": 1, "rate": "auto"}, Outer, default_registry()).rate == "auto"


def test_structure_takes_whole_floats_for_ints():
    assert structure({"needed": 1e6}, Outer, default_registry()).needed == 1_000_000


def test_config_error_text_lists_problems_under_their_source():
    error = ConfigError([Problem("a.b", "is wrong"), Problem("c", "is missing")], "my.yaml")
    assert str(error) == "2 problems in my.yaml:\n  a.b: is wrong\n  c: is missing"


def test_config_is_frozen():
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Inner().rate = 0.1  # type: ignore[misc]
