"""A few hundred mutated configs; tests/reliability tries thousands, and trains with what is taken."""

from __future__ import annotations

import pytest
from fuzzing import check_taken, expected, loaded, outcome, structured, tried, watched, whole
from hypothesis import given
from mutations import data, overrides, texts

from rslcore.config import ExperimentConfig, load_config
from rslcore.errors import ConfigError

CARTPOLE = whole("cartpole")
BASES = [CARTPOLE, whole("halfcheetah_sac"), whole("pendulum_student"), whole("halfcheetah_amp")]


@tried(60)
@given(tree=data(BASES))
def test_structure_takes_a_mutated_config_as_it_stands_or_says_what_is_wrong(tree, tmp_path):
    with watched(20, tree):
        result = structured(tree)
        if isinstance(result, ExperimentConfig):
            check_taken(result, tree, tmp_path)


@tried(30)
@given(text=texts(BASES))
def test_load_takes_a_mutated_file_as_it_stands_or_says_what_is_wrong(text, tmp_path):
    with watched(20, text):
        result, asked = loaded(text, tmp_path)
        if isinstance(result, ExperimentConfig):
            check_taken(result, asked or {}, tmp_path)


@tried(30)
@given(made=overrides(CARTPOLE))
def test_load_applies_mutated_overrides_as_they_stand_or_says_what_is_wrong(made, tmp_path):
    with watched(20, made):
        result = outcome(lambda: load_config("cartpole", made))
        if isinstance(result, ExperimentConfig):
            check_taken(result, expected("cartpole", made) or {}, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "seed: !!int a",
        "seed: !!bool 3",
        "seed: !!float x",
        "seed: !!timestamp x",
        "seed: !!binary x",
        "seed: " + "[" * 5_000,
        "&a [*a]",
        "a: &a {b: *a}",
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [" + "*b, " * 3_000 + "*b]",
        "experiment: ${device}\ndevice: ${experiment}",
        "env: ${env}",
        "\n".join(f"k{level}: " + f"${{k{level + 1}}}" * 3 for level in range(40)),
        "seed: 1\nseed: 2",
    ],
)
def test_load_hostile_text_is_one_error_that_names_the_file(text, tmp_path):
    result, _ = loaded(text, tmp_path)
    assert isinstance(result, ConfigError)
