"""A run from config to folder."""

from __future__ import annotations

import os
import re
import signal

import pytest
import torch
import yaml
from damaging import rewrite

from rslcore import __version__
from rslcore.config import dump_yaml, evolve, load_config
from rslcore.errors import CheckpointError, ConfigError, DeviceError, MissingExtraError, RunError
from rslcore.registry import Registry, hookimpl
from rslcore.run.checkpoint import load_checkpoint
from rslcore.run.folder import RunFolder
from rslcore.run.provenance import dump_history
from rslcore.training import train


def tensors(state, prefix=""):
    """All tensors in nested containers, by path."""
    if isinstance(state, torch.Tensor):
        return {prefix: state}
    items = state.items() if isinstance(state, dict) else enumerate(state) if isinstance(state, list) else ()
    return {path: tensor for key, inner in items for path, tensor in tensors(inner, f"{prefix}/{key}").items()}


def assert_same_state(first, second):
    ours, theirs = tensors(first), tensors(second)
    assert ours.keys() == theirs.keys()
    assert [path for path in ours if not torch.equal(ours[path], theirs[path])] == []


def final_state(result):
    return load_checkpoint(result.path / f"model_{result.iteration}.pt").algorithm


def test_train_writes_config_and_checkpoints(small_config, tmp_path):
    config = small_config("iterations=5", "runner.save_interval=2")
    result = train(config, log_root=tmp_path, run_name="first", quiet=True)
    assert result.iteration == 5
    assert result.stopped_by is None
    assert result.path.parent == tmp_path / "cartpole"
    assert result.path.name.endswith("_first")
    files = {"config.yaml", "plugins.yaml", "model_2.pt", "model_4.pt", "model_5.pt"}
    assert {path.name for path in result.path.iterdir()} == files
    assert load_config(result.path / "config.yaml") == config
    checkpoint = load_checkpoint(result.path / "model_5.pt")
    assert checkpoint.progress["total_steps"] == 5 * 4 * 8
    (made_with,) = checkpoint.history
    assert {str(plugin.source) for plugin in made_with.plugins} == {"rslcore 0.1.0"}
    assert {plugin.source.plugin for plugin in made_with.plugins} >= {"ppo", "gymnasium", "networks"}


@pytest.mark.parametrize("recipe", ["cartpole", "pendulum"])
def test_train_same_seed_is_the_same_bit_for_bit(small_config, tmp_path, recipe):
    config = small_config("iterations=4", "policy.actor.network.normalize=true", recipe=recipe)
    first, second = (train(config, log_root=tmp_path, quiet=True) for _ in range(2))
    other = train(evolve(config, seed=2), log_root=tmp_path, quiet=True)
    assert_same_state(final_state(first), final_state(second))
    timeless = {name: value for name, value in first.metrics.items() if not name.startswith("Perf/")}
    assert timeless == {name: second.metrics[name] for name in timeless}
    with pytest.raises(AssertionError):
        assert_same_state(final_state(first), final_state(other))


def test_train_resume_goes_on_in_the_same_folder(small_config, tmp_path):
    first = train(small_config("iterations=2"), log_root=tmp_path, quiet=True)
    again = train(small_config("iterations=5"), resume=first.path, quiet=True)
    assert again.path == first.path
    assert again.iteration == 5
    checkpoint = load_checkpoint(first.path / "model_5.pt")
    assert checkpoint.progress["total_steps"] == 5 * 4 * 8
    assert checkpoint.progress["elapsed"] > load_checkpoint(first.path / "model_2.pt").progress["elapsed"]
    assert yaml.safe_load((first.path / "config.yaml").read_text())["iterations"] == 5


def test_train_resume_from_an_earlier_checkpoint(small_config, tmp_path):
    first = train(small_config("iterations=3", "runner.save_interval=1"), log_root=tmp_path, quiet=True)
    again = train(small_config("iterations=2"), resume=first.path / "model_1.pt", quiet=True)
    assert load_checkpoint(again.path / "model_2.pt").progress["total_steps"] == 2 * 4 * 8
    # What the other branch had is kept, and no longer the latest.
    assert RunFolder.find(again.path).checkpoint() == again.path / "model_2.pt"
    assert {path.name for path in again.path.glob("superseded*")} == {
        "superseded_1_model_2.pt",
        "superseded_1_model_3.pt",
    }


@pytest.mark.parametrize(("schedule", "rate"), [("fixed", 1e-4), ("adaptive", 1e-2)])
def test_train_resume_takes_a_fixed_learning_rate_from_the_config(small_config, tmp_path, schedule, rate):
    overrides = (f"algorithm.schedule={schedule}", "algorithm.desired_kl=100")  # so that an adaptive one only rises
    first = train(small_config(*overrides), log_root=tmp_path, quiet=True)
    resumed = small_config(*overrides, "iterations=3", "algorithm.learning_rate=1e-4")
    assert train(resumed, resume=first.path, quiet=True).metrics["Loss/learning_rate"] == pytest.approx(rate)


def test_train_resume_of_envs_that_begin_anew_meets_other_episodes(small_config, tmp_path, monkeypatch):
    from rslcore_gymnasium.env import GymnasiumEnv

    monkeypatch.setattr(GymnasiumEnv, "state_dict", lambda self: None)
    starts, reset = [], GymnasiumEnv.reset
    monkeypatch.setattr(GymnasiumEnv, "reset", lambda self: starts.append(reset(self)) or starts[-1])
    first = train(small_config(), log_root=tmp_path, quiet=True)
    train(small_config("iterations=3"), resume=first.path, quiet=True)
    assert not torch.equal(starts[0]["policy"], starts[1]["policy"])


def test_train_resume_of_a_finished_run_says_what_to_do(small_config, tmp_path):
    result = train(small_config(), log_root=tmp_path, quiet=True)
    message = (
        rf"^the run '{result.path}' is at iteration 2 of 2 already; to go on, raise the total, as in iterations=4$"
    )
    with pytest.raises(RunError, match=message):
        train(small_config(), resume=result.path, quiet=True)


def test_train_resume_with_other_networks_lists_the_misfits(small_config, tmp_path):
    result = train(small_config(), log_root=tmp_path, quiet=True)
    before = (result.path / "config.yaml").read_text()
    with pytest.raises(CheckpointError) as caught:
        train(small_config("iterations=4", "policy.critic.network.hidden_dims=[32,64]"), resume=result.path, quiet=True)
    assert str(caught.value).splitlines() == [
        "the checkpoint does not fit this config:",
        "  policy.critic.layers.0.bias is [64] in the checkpoint and [32] here",
        "  policy.critic.layers.0.weight is [64, 4] in the checkpoint and [32, 4] here",
        "  policy.critic.layers.2.weight is [64, 64] in the checkpoint and [64, 32] here",
    ]
    assert (result.path / "config.yaml").read_text() == before


@pytest.mark.parametrize(
    ("overrides", "error"),
    [
        (("device=cuda:99",), DeviceError),
        (("env.id=CartPole-v9",), ConfigError),
        (("policy.actor.network.groups=[privileged]",), ConfigError),
        (("algorithm.num_mini_batches=3",), ConfigError),
        (("policy.actor.distribution={name: gaussian}",), ConfigError),
        (("env.id=rslcore_tests/Needy-v0", "env.vectorization=sync"), MissingExtraError),
    ],
)
def test_train_that_cannot_be_built_leaves_no_folder(small_config, tmp_path, overrides, error):
    with pytest.raises(error):
        train(small_config(*overrides), log_root=tmp_path / "logs", quiet=True)
    assert not (tmp_path / "logs").exists()


def test_train_resume_with_other_versions_records_both(small_config, tmp_path):
    first = train(small_config(), log_root=tmp_path, quiet=True)
    change_record(first.path / "model_2.pt", torch="2.0.0")
    again = train(small_config("iterations=3"), resume=first.path, quiet=True)
    train(small_config("iterations=4"), resume=first.path, quiet=True)  # with the same: adds nothing
    stages = yaml.safe_load((again.path / "plugins.yaml").read_text())
    assert [(stage["since_iteration"], stage["torch"]) for stage in stages] == [(0, "2.0.0"), (2, torch.__version__)]
    assert dump_history(load_checkpoint(again.path / "model_4.pt").history) == (again.path / "plugins.yaml").read_text()


def test_train_resume_with_an_older_version_is_refused(small_config, tmp_path):
    first = train(small_config(), log_root=tmp_path, quiet=True)
    change_record(first.path / "model_2.pt", rslcore="9.0", plugins=[])
    message = (
        f"'{first.path / 'model_2.pt'}' does not go with the plugins that are here:\n"
        f"  it came from rslcore 9.0, and {__version__} is installed; type `pip install 'rslcore>=9.0'`"
    )
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        train(small_config("iterations=3"), resume=first.path, quiet=True)


def test_train_resume_asks_for_what_the_config_still_names_only(small_config, tmp_path):
    first = train(small_config(), log_root=tmp_path, quiet=True)
    gone = {"plugin": "gone", "distribution": "gone", "version": "1", "module": "gone", "components": ["logger gone"]}
    change_record(first.path / "model_2.pt", plugins=[gone])
    assert train(small_config("iterations=3"), resume=first.path, quiet=True).iteration == 3


def change_record(path, **fields):
    """Make a checkpoint say that it was made with something else."""
    payload = torch.load(path, weights_only=True)
    payload["history"][0].update(fields)
    rewrite(path, payload)


def test_train_requirements_are_all_named(small_config, tmp_path):
    with pytest.raises(ConfigError) as caught:
        small_config("plugins.require=[rslcore-amp>=0.3,rslcore>=99,'?']", "algorithm={name: amp}")
    assert [problem.message for problem in caught.value.problems] == [
        "'rslcore-amp>=0.3' is not installed; type `pip install 'rslcore-amp>=0.3'`",
        "'rslcore>=99' is needed and 0.1.0 is installed; type `pip install 'rslcore>=99'`",
        "'?' is no requirement; write it as 'rslcore-amp>=0.3'",
        "there is no algorithm 'amp' (installed: 'distillation', 'fast_sac', 'ppo')",
    ]


class Listener:
    """Notes run events, and acts on an iteration."""

    def __init__(self, on_iteration=lambda session: None):
        self.events = []
        self.on_iteration = on_iteration

    @hookimpl
    def rslcore_run_started(self, session):
        self.events.append("started")

    @hookimpl
    def rslcore_iteration_finished(self, session, record):
        self.events.append(record.iteration)
        self.on_iteration(session)

    @hookimpl
    def rslcore_checkpoint_saved(self, session, path):
        self.events.append(path.name)

    @hookimpl
    def rslcore_run_finished(self, session):
        self.events.append("finished")


def listening_registry(listener):
    registry = Registry.discover()
    registry.manager.register(listener)
    return registry


def test_train_tells_plugins_of_run_events(small_config, tmp_path):
    listener = Listener()
    train(small_config(), log_root=tmp_path, quiet=True, registry=listening_registry(listener))
    assert listener.events == ["started", 1, 2, "model_2.pt", "finished"]


def test_train_plugin_that_fails_in_an_event_does_not_end_the_run(small_config, tmp_path, caplog):
    def fail(session):
        raise RuntimeError("no network")

    result = train(small_config(), log_root=tmp_path, quiet=True, registry=listening_registry(Listener(fail)))
    assert result.iteration == 2
    assert (
        "failed in rslcore_iteration_finished and is not told of events any more: RuntimeError: no network"
        in caplog.text
    )


def test_train_listener_that_asks_to_stop_ends_the_run_after_its_iteration(small_config, tmp_path):
    def stop_at_2(session):
        session.stop_requested = session.iteration == 2

    registry = listening_registry(Listener(stop_at_2))
    assert train(small_config("iterations=9"), log_root=tmp_path, quiet=True, registry=registry).iteration == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_train_signal_finishes_the_iteration_and_saves(small_config, tmp_path, number):
    before = signal.getsignal(number)
    listener = Listener(lambda session: session.iteration == 3 and os.kill(os.getpid(), number))
    config = small_config("iterations=1000")
    result = train(config, log_root=tmp_path, quiet=True, registry=listening_registry(listener))
    assert result.stopped_by == number
    assert result.iteration in (3, 4)  # the handler runs between two instructions of Python
    assert load_checkpoint(result.path / f"model_{result.iteration}.pt").iteration == result.iteration
    assert signal.getsignal(number) is before
    resumed = train(evolve(config, iterations=result.iteration + 1), resume=result.path, quiet=True)
    assert resumed.iteration == result.iteration + 1


def test_train_second_interrupt_stops_at_once(small_config, tmp_path):
    def interrupt_twice(session):
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)  # one that is sent to the process may wait, and become one with the next

    registry = listening_registry(Listener(interrupt_twice))
    with pytest.raises(KeyboardInterrupt):
        train(small_config("iterations=1000"), log_root=tmp_path, quiet=True, registry=registry)


def test_dumped_config_trains_to_the_same_numbers(small_config, tmp_path):
    first = train(small_config(), log_root=tmp_path, quiet=True)
    (tmp_path / "again.yaml").write_text(dump_yaml(small_config()))
    second = train(load_config(tmp_path / "again.yaml"), log_root=tmp_path, quiet=True)
    assert_same_state(final_state(first), final_state(second))


def test_train_name_of_a_recipe_is_not_a_config():
    with pytest.raises(TypeError, match=r"^config should be an ExperimentConfig, as from load_config\('cartpole'\)$"):
        train("cartpole")  # type: ignore[arg-type]


def test_train_new_run_name_for_an_old_run_is_refused(small_config, tmp_path):
    message = "^a run name is for a new run; a resumed one keeps its folder$"
    with pytest.raises(RunError, match=message):
        train(small_config(), resume=tmp_path, run_name="x")
