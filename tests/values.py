"""Values and texts that mutations of configs are made of: what fields may hold, and mostly what they should not."""

from __future__ import annotations

import typing

import attrs

from rslcore.registry import KINDS, default_registry

HUGE = [2**31, 2**53 + 1, 2**63 - 1, 2**63, 10**9, 10**12, 10**15, 10**30, 10**400]
INTEGERS = [*range(10), 16, 33, 64, *range(-5, 0), *HUGE, *(-number for number in HUGE)]
FLOATS = [0.0, -0.0, 0.3, 0.5, 0.9, 1.0, 1.5, 2.0, 4.9, -0.1, 1e-3, 1e-5, 1e-12, 1e-30, 1e-46, 5e-324, 100.0, 1e6, 1e12]
FLOATS += [1e30, 3.5e38, 1e300, -1e300, float("nan"), float("inf"), -float("inf")]
STRINGS = [
    "",
    " ",
    "true",
    "null",
    "~",
    "1",
    "1e3",
    "1_000",
    "0x10",
    "1.5",
    ".nan",
    "12:30:45",
    "2026-01-31",
    "on",
    "no",
]
STRINGS += [
    "auto",
    "cpu",
    "cpu:1",
    "cuda",
    "cuda:99",
    "cuda:99999999999999999999",
    "cuda:-1",
    "meta",
    "latest",
    "policy",
]
STRINGS += [
    "privileged",
    "estimate",
    "image",
    "paddle",
    "Pendulum-v1",
    "CartPole-v1",
    "CartPole-v9",
    "rslcore>=0.0",
    "-",
]
STRINGS += [
    "../up",
    "/",
    ".",
    "..",
    "a/b",
    "os:path",
    ":",
    "a:",
    ":b",
    "module:function",
    "mirrors:same",
    "mirrors:absent",
]
STRINGS += ["\x00", "a\x00b", "\x1b[31mred", "line\nbreak", "tab\t", "\r", "\x7f", "\x85", "\u2028", "\ufeff", "\u202e"]
STRINGS += [
    "ß",
    "日本語",
    "e\u0301",
    "🤖",
    "\u0661",
    "\ud800",
    "{}",
    "{0}",
    "%s",
    "\\",
    "'",
    '"',
    "#",
    "a: b",
    "[",
    "- a",
    "<<",
]
STRINGS += ["x" * 300, "é" * 200, "word " * 5_000, "[" * 200, "1" * 5_000]
INTERPOLATIONS = [
    "${seed}",
    "${missing}",
    "${env}",
    "${env.num_envs}",
    "${.name}",
    "${..seed}",
    "${",
    "${}",
    "${ }",
    "\\${a}",
]
INTERPOLATIONS += [
    "${oc.env:HOME}",
    "${oc.env:RSLCORE_ABSENT}",
    "${nothing:1}",
    "a${seed}b",
    "${loggers[0].name}",
    "???",
]
INTERPOLATIONS += [
    "${oc.decode:1e3}",
    "${oc.select:a.b}",
    "${loggers[9]}",
    "${policy}",
    "${${seed}}",
    "${algorithm.gamma}",
]
CONTAINERS = [
    [],
    {},
    [[]],
    [{}],
    {"": 1},
    {"name": None},
    [None],
    [1, 2, 3],
    [1.5, "a"],
    {"a": {"b": {}}},
    {1: 2},
    {None: 1},
]
CONTAINERS += [
    {True: 1},
    {"name": "mlp"},
    {"name": "ppo"},
    [0.1, 0.2],
    [2.0, 1.0],
    [1e-6, 1e6],
    ["policy", "policy"],
    [True],
]
CONTAINERS += [{"name": "lstm"}, {"name": "gru"}, {"name": "beta"}, {"name": "heteroscedastic_gaussian"}, [8, 8], [64]]
SNIPPETS = [
    "\n",
    "  ",
    "\t",
    "- ",
    ": ",
    "#",
    "'",
    '"',
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a ",
    "*b",
    "!!python/name:os.system ",
]
SNIPPETS += [
    "? ",
    "| ",
    "> ",
    "%YAML 9.9\n",
    "---\n",
    "...\n",
    "<<: *a\n",
    "seed: 3\n",
    "\x00",
    "\x07",
    "\ufeff",
    "é",
    "!x ",
]
SNIPPETS += [
    "a: &a [*a]\n",
    "a: &a {b: *a}\n",
    "${",
    "${seed}",
    "!!binary x",
    "!!set {a}",
    "!!timestamp 2026-01-31 ",
    "~",
]
SNIPPETS += [
    "[" * 3_000,
    "{a: " * 3_000,
    "- " * 2_000,
    "x" * 20_000,
    "!!float 1",
    "!!int a",
    "!!bool 3",
    "!!map []",
    "2026-01-31",
]
SNIPPETS += [
    "env: ${env}\n",
    "experiment: ${device}\ndevice: ${experiment}\n",
    "zz: ${zz}\n",
    "<<: {seed: 3}\n",
    "!!str ",
]
MALFORMED = [
    "{}.",
    ".{}",
    "{}[0]",
    "{}[-1]",
    "{}[",
    "{}]",
    "{}[x]",
    "{}[99]",
    "{}.x.y",
    "[{}]",
    "+{}",
    "~{}",
    " {}",
    "{} ",
    "",
    ".",
]
MALFORMED += [
    "[",
    "]",
    "[]",
    "..",
    "\x00",
    "{}\n",
    "é",
    "${{seed}}",
    "a[1e3]",
    "loggers[1.5]",
    "{}..{}",
    "{}\\",
    "a" * 300,
    "{}[[0]]",
]


def _component_names():
    registry = default_registry()
    return sorted({entry.name for kind in KINDS for entry in registry.entries(kind)})


def _choices():
    """Every choice of every option that has some."""
    registry, found = default_registry(), set()

    def collect(annotation):
        if typing.get_origin(annotation) is typing.Literal:
            found.update(typing.get_args(annotation))
        elif isinstance(annotation, type) and attrs.has(annotation):
            for field in attrs.fields(attrs.resolve_types(annotation)):
                collect(field.type)
        for inner in typing.get_args(annotation):
            collect(inner)

    for kind in KINDS:
        for entry in registry.entries(kind):
            collect(registry.config_class(kind, entry.name))
    return sorted(found)


NAMES, CHOICES = _component_names(), _choices()
