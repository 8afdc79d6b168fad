"""Numbers that go wrong in an env, in whole runs."""

from __future__ import annotations

import functools
import logging
import math

import pytest
import torch

from rslcore.config import load_config
from rslcore.errors import ConfigError, EnvError, RunError
from rslcore.run.checkpoint import load_checkpoint
from rslcore.testing.fakes.env import FakeEnv
from rslcore.testing.registry import installed_registry
from rslcore.testing.values import difference
from rslcore.training import train
from rslcore.watch import watch as watch_module
from rslcore_gymnasium.env import GymnasiumEnv

GRU = "{name: gru, rnn_hidden_dim: 8, hidden_dims: [8], normalize: true}"
RECURRENT = (f"policy.actor.network={GRU}", f"policy.critic.network={GRU}")
LEARNING = ("algorithm.num_mini_batches=2", "algorithm.num_learning_epochs=2")
SAC = ("runner.num_steps_per_env=1", "iterations=24", "algorithm.learning_starts=8", "algorithm.num_updates=2")
OBS, FINAL = "observation group 'policy' is nan", "group 'policy' of final observations is nan"
ACTIONS = "actions are nan in env 1 of 4 at step"


@pytest.fixture
def faulty(small_config):
    """A run of four iterations of eight steps of four springs, one of which is faulty."""

    def load(kwargs, *overrides, env="Faulty", recipe="pendulum"):
        options = (f"env.id=rslcore_tests/{env}-v0", f"env.kwargs={{{kwargs}}}", "iterations=4")
        return small_config(*options, *LEARNING, *overrides, recipe=recipe)

    return load


@pytest.fixture
def faulty_sac(small_config):
    """The same for 24 iterations of one step."""

    def load(kwargs, *overrides, env="Faulty"):
        options = (f"env.id=rslcore_tests/{env}-v0", f"env.kwargs={{{kwargs}}}", *SAC)
        return small_config(*options, *overrides, recipe="halfcheetah_sac")

    return load


def message_of(config, folder):
    """Why a run ends."""
    with pytest.raises(RunError) as caught:
        train(config, log_root=folder, quiet=True)
    return str(caught.value)


def saved_in(folder):
    (path,) = folder.rglob("bad_numbers_*.pt")
    return path, torch.load(path, weights_only=True)


def ends(folder, iteration):
    """How the message of a run ends that had no checkpoint yet."""
    (path,) = folder.rglob("bad_numbers_*.pt")
    assert path.name == f"bad_numbers_{iteration}.pt"
    return f"; the run ends here, there is no checkpoint yet; what was collected is in {path}"


@pytest.mark.parametrize("network", [(), RECURRENT], ids=["mlp", "gru"])
@pytest.mark.parametrize(
    ("env", "kwargs", "iteration", "found"),
    [
        ("Faulty", "step: 5", 1, f"{OBS} in env 1 of 4 at step 5 of 8, then {ACTIONS} 6 of 8"),
        ("Faulty", "step: 8", 1, f"{FINAL} in env 1 of 4 at step 8 of 8"),
        ("Faulty", "where: first_obs", 1, f"{OBS} in env 1 of 4 at the beginning, then {ACTIONS} 1 of 8"),
        ("Faulty", "where: reward, step: 12, value: -inf", 2, "rewards are -inf in env 1 of 4 at step 4 of 8"),
        ("FaultySprings", "step: 5", 1, f"{OBS} in env 1 of 4 at step 5 of 8, then {ACTIONS} 6 of 8"),
        ("FaultySprings", "step: 8", 1, f"{OBS} in env 1 of 4 at step 8 of 8"),
        ("FaultySprings", "where: reward, step: 12, value: inf", 2, "rewards are inf in env 1 of 4 at step 5 of 8"),
    ],
)
def test_ppo_stops_at_bad_numbers_of_an_env(faulty, tmp_path, env, kwargs, iteration, found, network):
    message = message_of(faulty(kwargs, *network, env=env), tmp_path)
    assert message == f"iteration {iteration}: {found}{ends(tmp_path, iteration)}"


@pytest.mark.parametrize(
    ("env", "kwargs", "iteration", "found"),
    [
        ("Faulty", "step: 5", 5, OBS),
        ("Faulty", "step: 16", 16, FINAL),
        ("FaultySprings", "where: reward, step: 12, value: inf", 13, "rewards are inf"),
    ],
)
def test_fast_sac_stops_at_bad_numbers_of_an_env(faulty_sac, tmp_path, env, kwargs, iteration, found):
    message = message_of(faulty_sac(kwargs, env=env), tmp_path)
    assert message == f"iteration {iteration}: {found} in env 1 of 4 at step 1 of 1{ends(tmp_path, iteration)}"


def test_distillation_stops_at_bad_numbers_of_an_env(pendulum_student, tmp_path, monkeypatch):
    readings = iter([1.0] * 11 + [math.nan] * 5)
    step = GymnasiumEnv.step

    def broken(env, actions):
        result = step(env, actions)
        result.rewards[3] *= next(readings)
        return result

    monkeypatch.setattr(GymnasiumEnv, "step", broken)
    message = message_of(pendulum_student(), tmp_path)
    assert message == f"iteration 2: rewards are nan in env 3 of 4 at step 4 of 8{ends(tmp_path, 2)}"


def test_a_run_that_stops_names_its_last_checkpoint_and_has_not_learned_from_bad_numbers(faulty, tmp_path):
    config = faulty("where: reward, step: 20", "runner.save_interval=1")
    message = message_of(config, tmp_path)
    *_, last = sorted(tmp_path.rglob("model_*.pt"))
    path, _ = saved_in(tmp_path)
    assert last.name == "model_2.pt"
    assert message == (
        "iteration 3: rewards are nan in env 1 of 4 at step 4 of 8; the run ends here, "
        f"the last checkpoint is {last}; what was collected is in {path}"
    )


def test_what_is_saved_are_the_steps_of_bad_envs(faulty, tmp_path):
    message_of(faulty("step: 5, index: 2"), tmp_path)
    _, saved = saved_in(tmp_path)
    assert saved["iteration"] == 1
    assert saved["found"] == [
        f"{OBS} in env 2 of 4 at step 5 of 8",
        "actions are nan in env 2 of 4 at step 6 of 8",
    ]
    assert (saved["rank"], saved["first_step"], saved["envs"].tolist()) == (0, 1, [2])
    position = saved["obs"]["policy"][:, 0, 0]
    assert position.shape == (9,)  # before each of the steps, and after the last
    assert position[0] == 1.0
    assert position.isnan().tolist() == [index == 5 for index in range(9)]
    assert saved["actions"].shape == (8, 1, 1)
    assert saved["actions"].isnan().flatten().tolist() == [index == 5 for index in range(8)]
    for name in ("rewards", "terminated", "truncated", "valid"):
        assert saved[name].shape == (8, 1)
    assert saved["truncated"].flatten().tolist() == [index == 7 for index in range(8)]
    assert saved["valid"].all()
    assert list(saved["final_obs"]) == [8]
    assert saved["final_obs"][8]["policy"].shape == (1, 2)


def test_what_is_saved_is_the_end_of_a_rollout_that_is_too_large(faulty, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "rslcore.watch.evidence.LIMIT", 3 * 4 * 16
    )  # three steps of four envs, of eight bytes before and after
    message_of(faulty("where: reward, step: 2"), tmp_path)
    _, saved = saved_in(tmp_path)
    assert saved["first_step"] == 6
    assert saved["obs"]["policy"].shape == (4, 1, 2)
    assert saved["rewards"].shape == (3, 1)


def test_what_cannot_be_saved_is_told_and_hides_nothing(faulty, tmp_path, monkeypatch):
    def full(path, write):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rslcore.run.incident.write_atomically", full)
    assert message_of(faulty("where: reward"), tmp_path) == (
        "iteration 1: rewards are nan in env 1 of 4 at step 5 of 8; the run ends here, there is no checkpoint yet; "
        "what was collected could not be saved: [Errno 28] No space left on device"
    )


def test_an_env_that_fails_on_bad_numbers_is_told_after_them(faulty, tmp_path, monkeypatch):
    monkeypatch.setattr("envs.numpy.nan_to_num", lambda action: [int(action[0])])
    message = message_of(faulty("step: 3"), tmp_path)
    found = f"{OBS} in env 1 of 4 at step 3 of 8, then the run failed with EnvError: env 'rslcore_tests/Faulty-v0' "
    found += "failed in step: ValueError: cannot convert float NaN to integer ("
    assert message.startswith(f"iteration 1: {found}")
    assert message.endswith(ends(tmp_path, 1))


def test_exploding_actions_are_found(faulty, tmp_path):
    distribution = "policy.actor.distribution={name: gaussian, init_std: 1e+6, std_range: [1e-6, 1e+7]}"
    message = message_of(faulty("where: none", distribution), tmp_path)
    assert message.startswith("iteration 1: actions are ")
    assert " envs (" in message or " in env " in message


# Going on


def trained(config, folder, caplog):
    """The metrics of a run that goes on, and what it warned about."""
    with caplog.at_level(logging.WARNING):
        metrics = train(config, log_root=folder, quiet=True).metrics
    return metrics, [record.getMessage() for record in caplog.records if record.name == "rslcore.run.incident"]


@pytest.mark.parametrize("network", [(), RECURRENT], ids=["mlp", "gru"])
@pytest.mark.parametrize(
    ("env", "kwargs", "iteration", "found"),
    [
        ("Faulty", "step: 5", 1, f"{OBS} in env 1 of 4 at step 5 of 8"),
        ("Faulty", "step: 8", 1, f"{FINAL} in env 1 of 4 at step 8 of 8"),
        ("Faulty", "where: first_obs", 1, f"{OBS} in env 1 of 4 at the beginning"),
        ("Faulty", "where: reward, step: 12", 2, "rewards are nan in env 1 of 4 at step 4 of 8"),
        ("FaultySprings", "step: 5", 1, f"{OBS} in env 1 of 4 at step 5 of 8"),
        ("FaultySprings", "where: reward, step: 12", 2, "rewards are nan in env 1 of 4 at step 5 of 8"),
    ],
)
def test_ppo_skips_bad_rows(faulty, tmp_path, caplog, env, kwargs, iteration, found, network):
    config = faulty(kwargs, "on_bad_numbers=skip", *network, env=env)
    metrics, warnings = trained(config, tmp_path, caplog)
    path, _ = saved_in(tmp_path)
    assert warnings == [
        f"iteration {iteration}: {found}; nothing is learned from such rows (this is said once); "
        f"what was collected is in {path}"
    ]
    assert metrics["Watch/bad_rows"] == metrics["Watch/skipped_steps"] == 0.0
    assert all(map(math.isfinite, metrics.values()))


@pytest.mark.parametrize("mode", ["skip", "reset"])
def test_fast_sac_goes_on_without_bad_rows(faulty_sac, tmp_path, caplog, mode):
    metrics, (warning,) = trained(faulty_sac("step: 5, lasting: true", f"on_bad_numbers={mode}"), tmp_path, caplog)
    assert warning.startswith(f"iteration 5: {OBS} in env 1 of 4 at step 1 of 1; nothing is learned from such rows")
    assert all(map(math.isfinite, metrics.values()))


def test_distillation_skips_bad_rows(pendulum_student, tmp_path, caplog, monkeypatch):
    step = GymnasiumEnv.step
    readings = iter([1.0] * 11 + [math.nan] + [1.0] * 4)

    def broken(env, actions):
        result = step(env, actions)
        result.obs["policy"][3] *= next(readings)
        return result

    monkeypatch.setattr(GymnasiumEnv, "step", broken)
    metrics, (warning,) = trained(pendulum_student("on_bad_numbers=skip"), tmp_path, caplog)
    assert warning.startswith(
        f"iteration 2: {OBS} in env 3 of 4 at step 4 of 8; nothing is learned from such rows (this is said once)"
    )
    assert metrics["Watch/bad_rows"] == 2.0  # the step that gave it, and the one that was acted on it
    assert math.isfinite(metrics["Loss/behavior"])


def test_reset_mends_an_env_that_stays_bad(faulty, tmp_path, caplog):
    broken = "step: 5, lasting: true, max_episode_steps: 99"
    rows = {}
    for mode in ("skip", "reset"):
        metrics, (warning,) = trained(faulty(broken, f"on_bad_numbers={mode}"), tmp_path / mode, caplog)
        caplog.clear()
        rows[mode] = metrics["Watch/bad_rows"]
    assert rows == {"skip": 8.0, "reset": 0.0}
    assert "nothing is learned from such rows, and their envs are reset (this is said once); " in warning


def test_reset_of_an_env_that_cannot_is_refused_before_anything_is_written(faulty, tmp_path, monkeypatch):
    monkeypatch.delattr("rslcore_gymnasium.env.GymnasiumEnv.reset_envs")
    with pytest.raises(ConfigError) as caught:
        train(faulty("step: 5", "on_bad_numbers=reset"), log_root=tmp_path, quiet=True)
    assert str(caught.value) == (
        "on_bad_numbers: env 'gymnasium' cannot reset some of its envs alone; write skip, or stop"
    )
    assert not list(tmp_path.iterdir())


def test_reset_of_a_vectorised_version_that_cannot_is_refused_before_anything_is_written(faulty, tmp_path):
    with pytest.raises(ConfigError) as caught:
        train(faulty("step: 5", "on_bad_numbers=reset", env="FaultySprings"), log_root=tmp_path, quiet=True)
    assert str(caught.value) == (
        "env.vectorization: the vectorised version of 'rslcore_tests/FaultySprings-v0' cannot reset some of its envs; "
        "write sync"
    )
    assert not list(tmp_path.iterdir())


def test_skip_without_bad_numbers_learns_the_same(faulty, tmp_path):
    results = [
        train(faulty("where: none", f"on_bad_numbers={mode}"), log_root=tmp_path, quiet=True).metrics
        for mode in ("stop", "skip", "reset")
    ]
    first, *others = (
        {name: value for name, value in metrics.items() if not name.startswith(("Perf/", "Watch/"))}
        for metrics in results
    )
    assert all(other == first for other in others)


def test_a_run_without_a_good_row_ends_after_some_rollouts(faulty, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(watch_module, "PATIENCE", 3)
    config = faulty("step: 1, lasting: true, index: 0, max_episode_steps: 99", "on_bad_numbers=skip", "env.num_envs=1")
    message = message_of(config, tmp_path)
    path, _ = saved_in(tmp_path)
    assert message == (
        f"iteration 3: {OBS} in env 0 of 1 at the beginning, then all rows of 3 rollouts were bad; the run ends "
        "here, there is no checkpoint yet"
    )
    assert path.name == "bad_numbers_1.pt"


# In an iteration of a run that goes on: of 4 minibatches whether their gradients are finite, and in three places which
# rows are transitions.
@pytest.mark.parametrize(("mode", "by_design"), [("stop", 0), ("skip", 4 + 3)])
def test_watching_reads_a_rollout_once(faulty, tmp_path, count_reads, reads_of_runs, mode, by_design):
    config = faulty("where: none", f"on_bad_numbers={mode}", "iterations=2")
    run = functools.partial(train, config, log_root=tmp_path, quiet=True)
    run()
    assert count_reads(run) == reads_of_runs(2, 8) + 2 * by_design


def test_a_fake_env_is_watched_as_others_are(tmp_path, monkeypatch):
    step = FakeEnv.step

    def broken(env, actions):
        result = step(env, actions)
        result.obs["privileged"][2, 1] = math.inf
        return result

    monkeypatch.setattr(FakeEnv, "step", broken)
    registry = installed_registry()
    overrides = ("env={name: fake}", "loggers=[]", "runner.num_steps_per_env=8", "algorithm.num_mini_batches=2")
    config = load_config("pendulum", overrides, registry=registry)
    with pytest.raises(RunError) as caught:
        train(config, log_root=tmp_path, quiet=True, registry=registry)
    found = "observation group 'privileged' is inf in env 2 of 4 at step 1 of 8"
    assert str(caught.value) == f"iteration 1: {found}{ends(tmp_path, 1)}"


def test_an_env_error_without_bad_numbers_stays_what_it_is(small_config, tmp_path):
    with pytest.raises(EnvError, match="^env 'rslcore_tests/Fails-v0' failed in step: RuntimeError: the robot is on"):
        train(small_config("env.id=rslcore_tests/Fails-v0"), log_root=tmp_path, quiet=True)


@pytest.mark.parametrize(("mode", "at"), [("reset", None), ("reset", 16), ("skip", 16)])
def test_a_run_that_goes_on_is_after_a_stop_the_one_that_never_stopped(tmp_path, monkeypatch, mode, at):
    registry = installed_registry()
    step = FakeEnv.step
    num_steps = 0

    def broken(env, actions):
        nonlocal num_steps
        num_steps += 1
        result = step(env, actions)
        if num_steps == at:  # the last one before the stop
            result.obs["policy"][1] = math.nan
        return result

    def run(iterations, **options):
        overrides = ("env={name: fake}", "loggers=[]", f"on_bad_numbers={mode}", f"iterations={iterations}")
        config = load_config("pendulum", (*overrides, *LEARNING, "runner.num_steps_per_env=8"), registry=registry)
        return train(config, log_root=tmp_path, quiet=True, registry=registry, **options).path

    monkeypatch.setattr(FakeEnv, "step", broken)
    whole = run(4)
    num_steps = 0
    resumed = run(4, resume=run(2))
    assert num_steps == 4 * 8
    first, second = (load_checkpoint(path / "model_4.pt") for path in (whole, resumed))
    assert difference(first.algorithm, second.algorithm) is None
    assert difference(list(first.ranks), list(second.ranks)) is None
