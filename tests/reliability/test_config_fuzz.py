"""Thousands of mutated configs: each is taken as it stands and trains, or is one clear error."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections import Counter

import pytest
import yaml
from fuzzing import (
    MANY,
    WORK,
    check_taken,
    cut,
    expected,
    has_many,
    loaded,
    outcome,
    outcome_of_run,
    outcome_of_storage,
    structured,
    tiny_bases,
    tried,
    watched,
    whole,
)
from hypothesis import given
from mutations import data, overrides, texts

from rslcore.cli import main
from rslcore.config import ExperimentConfig, load_config
from rslcore.registry import default_registry

NUM_DATA, NUM_TEXTS, NUM_OVERRIDES, NUM_RUNS, NUM_COMMANDS = 5_000, 1_500, 150, 300, 200
# Those that are computed need what is not installed here.
RECIPES = {recipe.name: whole(recipe.name) for recipe in default_registry().recipes() if recipe.file}


def counted(counts, result):
    counts["accepted" if isinstance(result, ExperimentConfig) else "refused"] += 1
    return isinstance(result, ExperimentConfig)


def report(what, counts):
    print(
        f"{what}: {counts['accepted'] + counts['refused']} ({counts['accepted']} accepted, {counts['refused']} refused)"
    )


def test_plain_data_is_taken_as_it_stands_or_refused(tmp_path):
    counts, seen = Counter(), set()

    @tried(2 * NUM_DATA)
    @given(tree=data(list(RECIPES.values())))
    def try_one(tree):
        key = repr(tree)
        if key in seen or len(seen) == NUM_DATA:
            return
        seen.add(key)
        with watched(30, tree):
            result = structured(tree)
            if counted(counts, result):
                check_taken(result, tree, tmp_path)

    try_one()
    report("configs tried as plain data", counts)
    assert len(seen) == NUM_DATA


def test_files_are_taken_as_they_stand_or_refused(tmp_path):
    counts = Counter()

    @tried(NUM_TEXTS)
    @given(text=texts(list(RECIPES.values())))
    def try_one(text):
        with watched(30, text):
            result, asked = loaded(text, tmp_path)
            if counted(counts, result):
                check_taken(result, asked or {}, tmp_path)

    try_one()
    report("configs tried as files", counts)


def test_overrides_are_applied_as_they_stand_or_refused(tmp_path):
    counts = Counter()

    def try_recipe(name, tree):
        @tried(NUM_OVERRIDES)
        @given(made=overrides(tree))
        def try_one(made):
            with watched(30, made):
                result = outcome(lambda: load_config(name, made))
                if counted(counts, result):
                    check_taken(result, expected(name, made) or {}, tmp_path)

        try_one()

    for name, tree in RECIPES.items():
        try_recipe(name, tree)
    report("configs tried with overrides", counts)


def test_what_is_accepted_trains_for_an_iteration_or_is_one_error(tmp_path):
    counts, seen, bases = Counter(), set(), tiny_bases(tmp_path)

    @tried(40 * NUM_RUNS)
    @given(tree=data(bases))
    def try_one(tree):
        if counts["run"] == NUM_RUNS:
            return
        with watched(60, tree):
            if not isinstance(structured(tree), ExperimentConfig):
                return
            tree = cut(tree)
            if repr(tree) in seen:
                return
            seen.add(repr(tree))
            config = structured(tree)
            if has_many(config):
                counts["many"] += 1  # see the next test
                return
            error = outcome_of_run(config, tmp_path)
            counts["run" if error is None else "error"] += 1

    try_one()
    print(f"accepted configs run: {counts['run'] + counts['error']}", end=" ")
    print(f"({counts['run']} trained for an iteration, {counts['error']} refused when built)")
    print(f"accepted configs of many envs or steps left out: {counts['many']}")
    assert counts["run"] == NUM_RUNS


def test_many_envs_and_steps_fit_into_memory_or_are_refused(tmp_path):
    counts, numbers = Counter(), (1, 65, 4_096, 100_000, 1_000_000, 10_000_000)
    for base in tiny_bases(tmp_path):
        for num_envs, num_steps in itertools.product(numbers, numbers[:-1]):
            base["env"]["num_envs"], base["runner"]["num_steps_per_env"] = num_envs, num_steps
            with watched(30, base):
                counts["fits" if outcome_of_storage(structured(base)) is None else "refused"] += 1
    print(f"configs of many envs and steps: {sum(counts.values())}", end=" ")
    print(f"({counts['fits']} whose storage fits, {counts['refused']} refused)")


def test_command_line_ends_with_0_or_with_one_message(tmp_path, monkeypatch, capsys):
    codes, bases = Counter(), tiny_bases(tmp_path)

    def command(*arguments):
        arguments = ["train", *arguments, f"--log-root={tmp_path / 'logs'}", "--quiet"]
        # Most commands share this process, whose start takes longer than they do.
        separate = sum(codes.values()) % 20 == 0
        code, said = in_a_process(arguments) if separate else in_this_process(arguments, monkeypatch, capsys)
        codes[code] += 1
        assert code in (0, 2), (arguments, said)
        assert "Traceback" not in said, (arguments, said)
        assert said.startswith("error: ") == (code == 2), (arguments, said)

    @tried(3 * NUM_COMMANDS)
    @given(tree=data(bases), made=overrides(bases[0]))
    def try_one(tree, made):
        if sum(codes.values()) == NUM_COMMANDS:
            return
        file = tmp_path / "mutated.yaml"
        if sum(codes.values()) % 2:
            is_valid = isinstance(structured(tree), ExperimentConfig)
            try:
                file.write_text(yaml.safe_dump(cut(tree, WORK | MANY) if is_valid else tree))
            except UnicodeEncodeError:
                return
            command(str(file))
        else:
            file.write_text(yaml.safe_dump(bases[0]))
            made = [override for override in made if "\0" not in override and not override.startswith("-")]
            enough = ["iterations=1", "env.num_envs=2", "runner.num_steps_per_env=4"]
            command(str(file), *(text.encode(errors="replace").decode() for text in made), *enough)

    try_one()
    with capsys.disabled():
        print(f"\ncommand lines: {sum(codes.values())} ({codes[0]} with exit code 0, {codes[2]} with 2)")
    assert sum(codes.values()) == NUM_COMMANDS


def in_a_process(arguments):
    """The exit code of a command line and what it says on stderr."""
    command = [sys.executable, "-m", "rslcore", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=600, env=environment)
    return ended.returncode, ended.stderr


def in_this_process(arguments, monkeypatch, capsys):
    """The same of the same entry point, called."""
    monkeypatch.setattr(sys, "argv", ["rslcore", *arguments])
    with watched(60, arguments), pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, capsys.readouterr().err


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    """Relative paths in a config shall find nothing."""
    monkeypatch.chdir(tmp_path)
