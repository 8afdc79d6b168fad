"""What ranks must have in common; where they differ, all of them say so and end."""

from __future__ import annotations

from unittest import mock

import attrs
import pytest
import shards
import torch
from shard_runs import load, run

from rslcore import Extension, __version__
from rslcore.distributed import rank
from rslcore.registry import Registry
from rslcore.run.agreement import check_same_modules
from rslcore.training import train


def train_with_own_config(log_root, device):
    """A seed of its own, and another network."""
    overrides = [(), ("seed=2", "algorithm.num_learning_epochs=4", "loggers=[{name: console}]")][rank()]
    run(overrides, log_root, device)


def test_ranks_with_different_configs_are_refused(two_ranks, tmp_path):
    outcomes = two_ranks.outcomes(train_with_own_config, str(tmp_path), two_ranks.device)
    expected = (
        "RankError: the ranks differ:\n"
        "  algorithm.num_learning_epochs is 3 on rank 0 and 4 on rank 1\n"
        "  loggers[0].line_interval is missing on rank 0 and 5.0 on rank 1\n"
        "  loggers[0].name is missing on rank 0 and 'console' on rank 1\n"
        "  seed is 1 on rank 0 and 2 on rank 1\n"
        f"  the source of logger console is missing on rank 0 and 'rslcore {__version__}' on rank 1\n"
        "start all ranks with one config and the same installed packages"
    )
    assert [outcome.error for outcome in outcomes] == [expected] * 2
    assert list(tmp_path.iterdir()) == []


def train_with_own_plugins(log_root, device):
    """Another version of the env's plugin on rank 1, and a network of someone else's."""
    plugins, own = shards.registry(), []
    for row in plugins.plugins:
        if rank() == 1 and row.source.distribution == "shards":
            source = attrs.evolve(row.source, version="2.0")
            entries = tuple(attrs.evolve(entry, source=source) for entry in row.entries)
            row = attrs.evolve(row, source=source, entries=entries)
        own.append(row)
    config = load((), 2, device)
    with mock.patch("torch.__version__", f"2.{rank()}"):
        train(config, log_root=log_root, quiet=True, registry=Registry(own, plugins.manager))


def test_ranks_with_different_plugins_are_refused(two_ranks, tmp_path):
    outcomes = two_ranks.outcomes(train_with_own_plugins, str(tmp_path), two_ranks.device)
    expected = (
        "RankError: the ranks differ:\n"
        "  the source of distribution shared is 'shards 0' on rank 0 and 'shards 2.0' on rank 1\n"
        "  the source of env shards is 'shards 0' on rank 0 and 'shards 2.0' on rank 1\n"
        "  the version of torch is '2.0' on rank 0 and '2.1' on rank 1\n"
        "start all ranks with one config and the same installed packages"
    )
    assert [outcome.error for outcome in outcomes] == [expected] * 2


def train_with_own_envs(log_root, device):
    """One env more on rank 1, and one observation more in it."""
    make = shards.EnvSpec

    def make_own(num_envs, observations, *others, **options):
        own = {**observations, "policy": shards.TensorSpec((3 + rank(),))}
        return make(num_envs + rank(), own, *others, **options)

    with mock.patch("shards.EnvSpec", make_own):
        run((), log_root, device)


def test_ranks_with_different_envs_are_refused(two_ranks, tmp_path):
    outcomes = two_ranks.outcomes(train_with_own_envs, str(tmp_path), two_ranks.device)
    expected = (
        "RankError: the ranks differ:\n"
        "  env.num_envs is 4 on rank 0 and 5 on rank 1\n"
        "  env.observations.policy.shape[0] is 3 on rank 0 and 4 on rank 1\n"
        "give every rank as many of the same envs"
    )
    assert [outcome.error for outcome in outcomes] == [expected] * 2


def check_modules(kind):
    value = {"same": torch.ones(3), "nan": torch.tensor([torch.nan]), "other": torch.ones(3) * rank()}[kind]
    check_same_modules({"modules": {"net": value, "none": torch.zeros(0)}, "flag": torch.tensor(True), "steps": rank()})


@pytest.mark.parametrize("kind", ["same", "nan"])
def test_equal_modules_are_the_same_also_where_they_are_nan(two_ranks, kind):
    assert two_ranks.run(check_modules, kind) == [None, None]


def test_modules_that_differ_are_refused(two_ranks):
    outcomes = two_ranks.outcomes(check_modules, "other")
    expected = (
        "RankError: the ranks differ:\n"
        "  the sum of modules.net is 0.0 on rank 0 and 3.0 on rank 1\n"
        "the ranks no longer have the same modules: what an extension trains outside of `losses` needs "
        "`rslcore.distributed.average_gradients` before its step, and running statistics `merged_moments`"
    )
    assert [outcome.error for outcome in outcomes] == [expected] * 2


def train_with_few_rows(log_root, device):
    run(("env.uneven=true", "algorithm.num_mini_batches=32"), log_root, device)


def test_rank_with_too_few_rows_ends_all(two_ranks, tmp_path):
    first, second = two_ranks.outcomes(train_with_few_rows, str(tmp_path), two_ranks.device)
    # In three of eight steps three of its four envs do not count: 23 of 32 rows, in each of three epochs.
    assert first.error == (
        "RankError: rank 0 has transitions for 69 of 96 minibatches only, and others wait for it; take more envs or "
        "steps, or fewer minibatches"
    )
    assert second.error == "LostRankError: rank 1 ends because another rank has ended; there is no checkpoint yet"


class NanLoss(Extension):
    """On rank 1."""

    def losses(self, batch, outputs):
        return {"odd": (outputs["values"].mean() * (torch.nan if rank() == 1 else 0.0), 1.0)}


def train_with_nan(log_root, device):
    with mock.patch("shards.Apart", NanLoss):
        run(("algorithm.extensions=[{name: apart}]",), log_root, device)


def test_nan_of_one_rank_ends_all(two_ranks, tmp_path):
    for outcome in two_ranks.outcomes(train_with_nan, str(tmp_path), two_ranks.device):
        assert outcome.error.startswith("BadNumbersError: iteration 1: ")
        assert "Loss/odd is nan (a loss of extension 'apart')" in outcome.error


class Fails(Extension):
    """On rank 1, and in a hook that only that rank is in then."""

    def after_step(self, transition):
        if rank() == 1:
            raise ValueError("no torque")


def train_with_failing_extension(overrides, log_root, device):
    with mock.patch("shards.Apart", Fails):
        run(overrides, log_root, device)


@pytest.mark.parametrize(
    "others", ["", ", {name: rnd, reward_normalization: true}"], ids=["waiting_in_the_update", "waiting_in_a_hook"]
)
def test_failure_of_one_rank_is_not_blamed_on_the_plugins_of_others(two_ranks, tmp_path, others):
    overrides = (f"algorithm.extensions=[{{name: apart}}{others}]",)
    first, second = two_ranks.outcomes(train_with_failing_extension, overrides, str(tmp_path), two_ranks.device)
    assert (
        second.error == "PluginFaultError: extension 'apart' of shards 0 failed in `after_step`: ValueError: no torque"
    )
    assert first.error == "LostRankError: rank 0 ends because another rank has ended; there is no checkpoint yet"
