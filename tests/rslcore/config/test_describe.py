"""Fields in words."""

from __future__ import annotations

import pytest

from rslcore.config import ExperimentConfig
from rslcore.config.describe import field_docs, type_in_words
from rslcore.registry import KINDS, default_registry

ALL_CONFIGS = [
    pytest.param(kind, entry.full_name, id=f"{kind}-{entry.name}")
    for kind in KINDS
    for entry in default_registry().entries(kind)
]


@pytest.mark.parametrize(("kind", "name"), ALL_CONFIGS)
def test_field_docs_every_field_of_every_component_has_a_meaning(kind, name):
    for field in field_docs(default_registry().config_class(kind, name)):
        assert field.doc.endswith("."), field.name


@pytest.mark.parametrize(("kind", "name"), ALL_CONFIGS)
def test_field_docs_every_number_has_a_range(kind, name):
    for field in field_docs(default_registry().config_class(kind, name)):
        if field.type in ("int", "float", "list of int", "list of float"):
            assert field.range, field.name


def test_field_docs_of_nested_configs_are_dotted():
    docs = {field.name: field for field in field_docs(ExperimentConfig)}
    assert docs["plugins.require"].type == "list of str"
    assert docs["seed"].range == "[0, 2147483647]"
    assert docs["env"].required
    assert docs["env"].type == "env"


def test_type_in_words_of_an_optional_and_a_choice():
    from typing import Literal

    assert type_in_words(float | None) == "float or null"
    assert type_in_words(Literal["a", "b"]) == "'a' or 'b'"
