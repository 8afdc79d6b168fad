"""Configs that were valid until something was done to them: as plain data, as the text of a file, and as overrides.

Most of what is mutated stays valid elsewhere, so that mutations meet fields that mean something. Hypothesis draws the
generator that all choices are made with: choices of its own would be repeated too often to try thousands.
"""

from __future__ import annotations

import copy
import json
import re
import struct
from collections.abc import Mapping

import yaml
from hypothesis import strategies as st
from values import CHOICES, CONTAINERS, FLOATS, INTEGERS, INTERPOLATIONS, MALFORMED, NAMES, SNIPPETS, STRINGS


def data(bases):
    """A strategy of mutated plain data.

    Args:
        bases: Valid configs as plain data.
    """
    return _generators().map(lambda random: mutate(random, bases))


def texts(bases):
    """A strategy of texts of YAML files: of such data, in one of two styles, most with changed lines or letters."""
    return _generators().map(lambda random: mutate_text(random, bases))


def overrides(tree):
    """A strategy of lists of overrides of a config: well-formed ones with any value, and malformed ones."""
    return _generators().map(lambda random: make_overrides(random, tree))


def _generators():
    return st.randoms(use_true_random=True)


def places(tree, path=()):
    """The path of every node of plain data, the root's excepted."""
    items = tree.items() if isinstance(tree, Mapping) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def at(tree, path):
    """The node at a path."""
    for key in path:
        tree = tree[key]
    return tree


def mutate(random, bases):
    """A valid config as plain data, with one to three things changed."""
    tree = copy.deepcopy(random.choice(bases))
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        found = list(places(tree))
        if not found:
            break
        path = random.choice(found)
        parent, key = at(tree, path[:-1]), path[-1]
        match random.choice(["like"] * 12 + ["value"] * 4 + ["name"] * 2 + ["key", "drop", "add", "nest", "copy"]):
            case "like":
                parent[key] = like(random, parent[key])
            case "name" if named := [other for other in found if other[-1] == "name"]:
                at(tree, random.choice(named)[:-1])["name"] = random.choice(NAMES)
            case "key" if isinstance(parent, dict):
                parent[random.choice([*STRINGS, None, 1, 1.5, True, text(random)])] = parent.pop(key)
            case "drop":
                del parent[key]
            case "add" if isinstance(parent, dict):
                parent[random.choice([*STRINGS, text(random)])] = value(random)
            case "add":
                parent.insert(key, value(random))
            case "nest":
                parent[key] = random.choice([[parent[key]], {"value": parent[key]}])
            case "copy":
                parent[key] = copy.deepcopy(at(tree, random.choice(found)))
            case _:
                parent[key] = value(random)
    return tree


def like(random, old):
    """Another value of the same type, which may well be valid."""
    if isinstance(old, bool):
        return not old
    if isinstance(old, int):
        return random.choice(
            [random.choice(INTEGERS), old + 1, old * 2, max(1, old // 2), float(old % 2**60), random.choice(FLOATS)]
        )
    if isinstance(old, float):
        near = [old * 2, old / 3, -old, round(random.uniform(0, 4)), random.uniform(0, 1), random.uniform(0, 1)]
        return random.choice([random.choice(FLOATS), *near])
    if isinstance(old, str):
        return random.choice(
            [random.choice(STRINGS), random.choice(CHOICES), random.choice(CHOICES), random.choice(NAMES)]
        )
    if isinstance(old, list) and old:
        new = [*old, random.choice(old)][random.randrange(2) :]
        new[random.randrange(len(new))] = like(random, random.choice(old))
        return random.choice([new, new, old[1:], old[::-1], [*old, *old], []])
    if isinstance(old, list):
        return random.choice([[random.choice(STRINGS)], [{"name": random.choice(NAMES)}], [1]])
    if isinstance(old, dict) and "name" in old and random.random() < 0.7:
        return {"name": random.choice(NAMES)}
    return value(random)


def value(random):
    """Anything that a YAML file can hold, and mostly what it should not."""
    pool = random.choice(
        [INTEGERS, FLOATS, [*STRINGS, *INTERPOLATIONS], NAMES, [None, True, False], CONTAINERS, "deep", "any"]
    )
    if pool == "deep":
        return deep(random.choice([2, 30, 100]), random.choice([list, dict]))
    if pool == "any":
        any_float = struct.unpack("d", random.randbytes(8))[0]
        return random.choice([text(random), any_float, random.randint(-40, 40), random.getrandbits(70)])
    return copy.deepcopy(random.choice(pool))


def text(random):
    """Up to twelve characters of any alphabet."""
    kinds = [(32, 126), (0, 159), (160, 0x2FFF), (0x10000, 0x1FFFF)]
    return "".join(chr(random.randint(*random.choice(kinds))) for _ in range(random.randrange(13)))


def deep(levels, kind):
    """Lists or mappings, one in the other."""
    inner = 1
    for _ in range(levels):
        inner = [inner] if kind is list else {"a": inner}
    return inner


def mutate_text(random, bases):
    """The text of a YAML file; see `texts`."""
    tree = random.choice([random.choice(bases), mutate(random, bases)])
    made = random.choice([as_flow, as_block])(tree)
    for _ in range(random.choice([0, 1, 1, 2])):
        place = random.randrange(len(made) + 1)
        lines = made.splitlines(keepends=True) or [""]
        line = random.randrange(len(lines))
        match random.choice(["insert", "line", "twice", "cut", "end", "letter"]):
            case "insert":
                made = made[:place] + random.choice(SNIPPETS) + made[place:]
            case "line":
                made = "".join([*lines[:line], random.choice(SNIPPETS), *lines[line:]])
            case "twice":
                made = "".join([*lines[: line + 1], *lines[line:]])
            case "cut":
                made = made[:place] + made[place + random.randint(1, 40) :]
            case "end":
                made = made[:place]
            case "letter":
                made = made[:place] + text(random)[:1] + made[place + 1 :]
    return made


def as_flow(tree):
    """JSON, which is YAML with every string in quotes."""
    finite = {"NaN": ".nan", "Infinity": ".inf", "-Infinity": "-.inf"}
    return re.sub(
        r"(?<=[\[ ])(NaN|-?Infinity)(?=[,\]}])", lambda it: finite[it[0]], json.dumps(tree, ensure_ascii=False)
    )


def as_block(tree):
    """One key a line."""
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)


def make_overrides(random, tree):
    """One to three overrides; see `overrides`."""
    made = []
    for _ in range(random.choice([1, 1, 2, 3])):
        path = random.choice(list(places(tree)))
        key = random.choice([dotted, dotted, dotted, bracketed])(path)
        new = random.choice([like, like, like, lambda random, _: value(random)])(random, at(tree, path))
        written = random.choice([as_flow(new), as_flow(new), as_flow(new), text(random), random.choice(SNIPPETS)])
        if random.random() < 0.2:
            key = random.choice(MALFORMED).replace("{}", key)
        form = random.choice(["{0}={1}"] * 12 + ["{0}", "{0}=", "={1}", "{0}=={1}", "--{0}={1}"])
        made.append(form.replace("{0}", key).replace("{1}", written))
    return made


def dotted(path):
    """`loggers[0].name`."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).lstrip(".")


def bracketed(path):
    """`loggers[0][name]`."""
    return str(path[0]) + "".join(f"[{key}]" for key in path[1:])
