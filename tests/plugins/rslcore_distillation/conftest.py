"""Fixtures of the tests of distillation."""

from __future__ import annotations

import contextlib

import attrs
import pytest
import torch
from distilling import SOURCE, Doubled, Recorder, Shaper

from rslcore.config import load_config
from rslcore.context import Context
from rslcore.registry import Entry, PluginRow, Registry
from rslcore.seeding import seed_everything
from rslcore.training import build_algorithm, num_steps_per_env, train


@pytest.fixture
def registry():
    base = Registry.discover()
    entries = tuple(
        Entry("extension", cls.__name__.lower(), f"{__name__}:{cls.__name__}", f"{__name__}:NoOptions", "", SOURCE)
        for cls in (Recorder, Doubled, Shaper)
    )
    return Registry([*base.plugins, PluginRow(SOURCE, "ok", "", entries)], base.manager)


@pytest.fixture
def build(registry):
    """Env and algorithm of a config."""
    with contextlib.ExitStack() as stack:

        def make(config):
            seed_everything(config.seed)
            context = Context(registry, config, torch.device("cpu"), config.seed, num_steps_per_env(config))
            env = stack.enter_context(contextlib.closing(context.build(config.env, "env")))
            return env, build_algorithm(attrs.evolve(context, env=env, spec=env.spec))

        yield make


@pytest.fixture(scope="module")
def cartpole_teacher(tmp_path_factory):
    overrides = ["iterations=1", "env.num_envs=4", "runner.num_steps_per_env=8", "loggers=[]"]
    return train(load_config("cartpole", overrides), log_root=tmp_path_factory.mktemp("logs"), quiet=True).path


@pytest.fixture
def cartpole_student(small_config, cartpole_teacher):
    def load(*overrides, student="{name: mlp, hidden_dims: [8]}"):
        return small_config(
            f"policy={{name: student_teacher, student: {{network: {student}, distribution: {{name: categorical}}}}, "
            f"teacher: {{run: {cartpole_teacher}}}}}",
            "algorithm={name: distillation, optimizer: sgd, learning_rate: 0.1, loss_type: log_likelihood}",
            "env.kwargs={max_episode_steps: 3}",  # and a step that only resets
            *overrides,
        )

    return load
