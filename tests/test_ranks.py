"""Ranks that train together: they stay equal, and go on as they were; only one of them writes and speaks."""

from __future__ import annotations

import logging
import random
import sys
from pathlib import Path
from unittest import mock

import numpy
import pytest
import shards
import torch
from envs import register
from installing import install_source
from shard_runs import ALL, NOISE, TOTAL, build_and_keep, digest, fill, load, run, run_and_hash

from rslcore.config import load_config
from rslcore.distributed import is_main, num_ranks
from rslcore.evaluation import load_policy
from rslcore.registry import Registry, hookimpl
from rslcore.training import train
from rslcore_gymnasium.env import GymnasiumEnv

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
# They stay equal


def run_example(paths, recipe, overrides, log_root, device):
    sys.path[:0] = paths
    plugins = Registry.discover()
    config = load_config(recipe, (f"device={device}", *overrides), plugins)
    kept = []
    with mock.patch("rslcore.training.build_algorithm", lambda context: build_and_keep(context, kept)):
        train(config, log_root=log_root, quiet=True, registry=plugins)
    return digest(kept[0].state_dict())


@pytest.mark.parametrize(("project", "recipe"), [("novelty", "novelty"), ("residual", str(EXAMPLES / "residual.yaml"))])
def test_ranks_of_examples_stay_equal(two_ranks, tmp_path, project, recipe):
    paths = [str(path) for path in install_source(EXAMPLES / f"rslcore-{project}", tmp_path / "site")]
    overrides = ("iterations=3", "env.num_envs=4", "runner.num_steps_per_env=8", "loggers=[]")
    first, second = two_ranks.run(run_example, paths, recipe, overrides, str(tmp_path), two_ranks.device)
    assert first == second


def test_ranks_that_learn_apart_are_refused(two_ranks, tmp_path):
    overrides = (NOISE, "algorithm.extensions=[{name: apart, averages: false}]")
    for outcome in two_ranks.outcomes(run, overrides, str(tmp_path), two_ranks.device):
        first, bias, weight, last = outcome.error.split("\n")
        assert first == "RankError: the ranks differ:"
        assert bias.startswith("  the sum of modules.apart.module.bias is ")
        assert weight.startswith("  the sum of modules.apart.module.weight is ")
        assert " on rank 0 and " in weight
        assert weight.endswith(" on rank 1")
        assert last == (
            "the ranks no longer have the same modules: what an extension trains outside of `losses` needs "
            "`rslcore.distributed.average_gradients` before its step, and running statistics `merged_moments`"
        )


# Only one of them writes and speaks


class Listener:
    """Notes the events of a run; when a checkpoint is written, it loads the policy, as only rank 0 can."""

    def __init__(self):
        self.told = []

    @hookimpl
    def rslcore_run_started(self, session):
        self.told.append("started")

    @hookimpl
    def rslcore_iteration_finished(self, session, record):
        self.told.append(f"{record.iteration}: {record.total_steps}")

    @hookimpl
    def rslcore_checkpoint_saved(self, session, path):
        obs = {"policy": torch.zeros(1, 3), "privileged": torch.zeros(1, 2)}
        actions = load_policy(path, registry=shards.registry())(obs)
        self.told.append(f"{path.name} {list(actions.shape)}")

    @hookimpl
    def rslcore_run_finished(self, session):
        self.told.append("finished")


class Writes:
    """The files and folders in a folder that Python opens for writing, makes, renames or removes."""

    def __init__(self, folder):
        self.folder, self.active, self.paths = folder, True, set()
        sys.addaudithook(self)

    def __call__(self, event, arguments):
        if self.active and (event in ("os.mkdir", "os.rename", "os.remove") or (event == "open" and arguments[2] & 3)):
            path = str(arguments[0])
            if path.startswith(self.folder):
                self.paths.add(Path(path).name)


def note_what_is_told(overrides, log_root, device):
    listener, writes, plugins = Listener(), Writes(log_root), shards.registry()
    plugins.manager.register(listener)
    config = load(overrides, num_ranks(), device)
    result = train(config, log_root=log_root, quiet=True, registry=plugins)
    writes.active = False
    files = sorted(path.name for path in result.path.iterdir()) if is_main() else []
    return listener.told, sorted(writes.paths), files


def test_only_rank_0_writes_and_tells(two_ranks, tmp_path):
    overrides = (NOISE, "iterations=2", "loggers=[{name: tensorboard}]")
    (told, written, files), nothing = two_ranks.run(note_what_is_told, overrides, str(tmp_path), two_ranks.device)
    steps = TOTAL * 8
    assert told == ["started", f"1: {steps}", f"2: {2 * steps}", "model_2.pt [1, 1]", "finished"]
    assert {"config.yaml", "model_2.pt", "plugins.yaml"} < set(files)
    assert len(written) > 3
    assert nothing == ([], [], [])


def note_draws(log_root, device):
    register()
    observed, noise, states = [], set(), set()
    reset, step, randn_like = GymnasiumEnv.reset, GymnasiumEnv.step, torch.randn_like

    def note_state():
        states.add(("torch", tuple(torch.get_rng_state().tolist())))
        states.add(("python", random.getstate()[1]))
        states.add(("numpy", tuple(numpy.random.get_state()[1])))

    def noted_reset(env):
        observed.append(reset(env))
        note_state()
        return observed[-1]

    def noted_step(env, actions):
        note_state()
        return step(env, actions)

    def noted_noise(tensor):
        drawn = randn_like(tensor)
        noise.update(drawn.flatten().tolist())
        return drawn

    overrides = (f"env.num_envs={4 // num_ranks()}", "runner.num_steps_per_env=8", "loggers=[]", "iterations=2")
    with (
        mock.patch.object(GymnasiumEnv, "reset", noted_reset),
        mock.patch.object(GymnasiumEnv, "step", noted_step),
        mock.patch("torch.randn_like", noted_noise),
    ):
        config = load_config("pendulum", (*overrides, f"device={device}", "algorithm.num_mini_batches=4"))
        train(config, log_root=log_root, quiet=True)
    return observed[0]["policy"].tolist(), noise, states


def test_envs_are_seeded_alike_on_any_number_of_ranks_and_noise_is_of_a_rank_alone(two_ranks, tmp_path):
    observed, _, _ = note_draws(str(tmp_path / "1"), "cpu")
    (first, noise, states), (second, noise_1, states_1) = two_ranks.run(
        note_draws, str(tmp_path / "2"), two_ranks.device
    )
    assert first + second == observed
    assert len(noise) == len(noise_1) == 2 * 8 * 2
    assert not noise & noise_1
    assert not states & states_1


# They go on as they were


@pytest.mark.parametrize("case", ["recurrent", "extensions", "fast_sac"])
def test_resumed_ranks_are_bit_equal_to_ranks_that_never_stopped_and_to_each_other(
    two_ranks, shard_files, tmp_path, case
):
    def train_to(iterations, folder, **options):
        overrides = fill(ALL[case], shard_files, f"iterations={iterations}")
        return two_ranks.run(run_and_hash, overrides, str(tmp_path / folder), two_ranks.device, options)

    whole = train_to(4, "whole")
    (path, _, _), _ = train_to(2, "parts")
    resumed = train_to(4, "parts", resume=path)
    assert len({digest for _, digest, _ in (*whole, *resumed)}) == 1
    assert all(metrics == whole[0][2] for _, _, metrics in (*whole, *resumed))


def run_and_log(overrides, log_root, device, num_envs, options):
    """The metrics, and the warnings."""
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = logging.getLogger("rslcore")
    logger.addHandler(handler)
    try:
        path, metrics = run((*overrides, f"env.num_envs={num_envs}"), log_root, device, **options)
    finally:
        logger.removeHandler(handler)
    return path, metrics, lines


@pytest.mark.parametrize("case", ["fast_sac"])
def test_run_goes_on_with_more_ranks_and_with_fewer(two_ranks, four_ranks, tmp_path, case):
    def train_to(pool, iterations, path=None):
        overrides = (*ALL[case], f"iterations={iterations}")
        return pool.run(run_and_log, overrides, str(tmp_path), pool.device, 2, {"resume": path})

    (path, _, lines), _ = train_to(two_ranks, 2)
    assert lines == []
    more = train_to(four_ranks, 4, path)
    expected = "the run had 2 ranks and has 4 now: the envs of the new ones begin new episodes"
    assert [lines for _, _, lines in more] == [[expected]] * 4
    fewer = train_to(two_ranks, 6, path)
    expected = "the run had 4 ranks and has 2 now: the envs of the others are left out"
    assert [lines for _, _, lines in fewer] == [[expected]] * 2
    assert all("Loss/rnd" in metrics for _, metrics, _ in (*more, *fewer))
    _, _, lines = run_and_log((*ALL[case], "iterations=7"), str(tmp_path), "cpu", 2, {"resume": path})
    assert lines == ["the run had 2 ranks and has 1 now: the envs of the others are left out"]
