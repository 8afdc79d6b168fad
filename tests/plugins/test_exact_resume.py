"""A run that is stopped and gone on with is, to the bit, the run that never stopped."""

from __future__ import annotations

import os
import shutil
import signal

import attrs
import pytest
import torch
from resuming import assert_same, run
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rslcore.config import evolve
from rslcore.run.checkpoint import save_checkpoint

K = 3
"""Iterations to the checkpoint, and again as many after it. Episodes of 5 steps are under way then, after 3 * 8."""

SHORT = "env.kwargs={max_episode_steps: 5}"
RANDOM = "runner.init_at_random_ep_len=true"
CHEETAH = ("env.id=HalfCheetah-v5", "env.vectorization=sync")
RND = (
    "{name: rnd, reward_normalization: true, state_normalization: true, "
    "weight_schedule: {mode: linear, final_step: 40, final_value: 0.5}}"
)
SYMMETRY = "{name: symmetry, function: 'mirrors:pendulum', use_mirror_loss: true}"
STUDENT = ("algorithm.gradient_length=3", "algorithm.teacher_share={initial: 0.6, num_iterations: 8}")


def networks(name, distribution="gaussian"):
    """Both networks of PPO."""
    network = f"{{name: {name}, hidden_dims: [8], rnn_hidden_dim: 6, normalize: true}}"
    actor = f"{{network: {network}, distribution: {{name: {distribution}}}}}"
    return f"policy={{name: actor_critic, actor: {actor}, critic: {{network: {network}}}}}"


def extensions(*each):
    return f"algorithm.extensions=[{', '.join(each)}]"


def sac(case):
    """fast_sac on a pendulum."""
    network = "{name: mlp, hidden_dims: [8], normalize: true}"
    return (
        f"policy={{name: soft_actor_critic, actor: {{network: {network}}}, critic: {{hidden_dims: [8]}}}}",
        "algorithm={name: fast_sac, num_updates: 2, batch_size: 16, num_steps: 3, learning_starts: 40}",
        *(SAC_CASES[case], SHORT, RANDOM, extensions(RND)),
    )


PPO_CASES = {
    "ppo, resets in the next step": ("cartpole", "env.kwargs={max_episode_steps: 6}"),
    "ppo, episodes that end with an iteration": ("pendulum", "env.kwargs={max_episode_steps: 8}"),
    "ppo, MuJoCo, episodes under way": ("pendulum", *CHEETAH, SHORT, RANDOM),
    "ppo, several discrete actions": ("halfcheetah_multi_discrete", SHORT, RANDOM),
    "ppo, lstm, episodes that have just ended": (
        "cartpole",
        "env.kwargs={max_episode_steps: 4}",
        networks("lstm", "categorical"),
    ),
    "ppo, gru": ("pendulum", SHORT, RANDOM, networks("gru")),
    "ppo, rnd and symmetry": ("pendulum", SHORT, extensions(RND, SYMMETRY)),
    "ppo, rnd and symmetry, gru": ("pendulum", SHORT, RANDOM, networks("gru"), extensions(RND, SYMMETRY)),
}
SAC_CASES = {
    "fast_sac, a replay that fills": "storage={name: replay, capacity: 400, save: true}",
    "fast_sac, a replay that is full": "storage={name: replay, capacity: 52, save: true}",
}
STUDENT_CASES = {
    "distillation, student that remembers": {"student": "{name: gru, rnn_hidden_dim: 6, hidden_dims: [8]}"},
    "distillation, teacher that remembers": {"teacher": "gru"},
}
CASES = [*PPO_CASES, *SAC_CASES, *STUDENT_CASES]


@pytest.fixture
def configured(small_config, pendulum_student):
    """The config of a case."""

    def build(case, *overrides):
        if case in STUDENT_CASES:
            return pendulum_student(SHORT, RANDOM, *STUDENT, *overrides, **STUDENT_CASES[case])
        if case in SAC_CASES:
            return small_config(*sac(case), *overrides, recipe="pendulum")
        recipe, *rest = PPO_CASES[case]
        if "halfcheetah" in f"{recipe} {rest}".lower():
            pytest.importorskip("mujoco")
        ppo = ("algorithm.schedule=adaptive", "algorithm.num_mini_batches=2", "algorithm.num_learning_epochs=2")
        return small_config(*ppo, *rest, *overrides, recipe=recipe)

    return build


@pytest.mark.parametrize("case", CASES)
def test_run_that_was_stopped_equals_one_that_was_not(configured, tmp_path, case):
    config = configured(case)
    whole = run(evolve(config, iterations=2 * K), tmp_path)
    stopped = run(evolve(config, iterations=K), tmp_path)
    resumed = run(evolve(config, iterations=2 * K), tmp_path, resume=stopped.path)
    assert resumed.path == stopped.path
    assert_same(whole, stopped, resumed)
    assert resumed.checkpoint.progress["elapsed"] > stopped.checkpoint.progress["elapsed"]


# However it was stopped, and wherever it goes on


@pytest.mark.parametrize("case", ["ppo, rnd and symmetry, gru", "fast_sac, a replay that is full"])
def test_run_that_was_stopped_twice_equals_one_that_was_not(configured, tmp_path, case):
    config = configured(case)
    whole = run(evolve(config, iterations=2 * K), tmp_path)
    first = run(evolve(config, iterations=1), tmp_path)
    second = run(evolve(config, iterations=K), tmp_path, resume=first.path)
    third = run(evolve(config, iterations=2 * K), tmp_path, resume=second.path)
    assert_same(whole, first, second, third)


def test_run_that_goes_on_from_an_earlier_checkpoint_does_the_same_once_more(configured, tmp_path):
    config = configured("ppo, lstm, episodes that have just ended", f"iterations={2 * K}", "runner.save_interval=1")
    whole = run(config, tmp_path)
    again = run(config, tmp_path, resume=whole.path / f"model_{K}.pt")
    assert min(again.told) == K + 1
    assert_same(whole, whole, again)


def test_run_that_a_signal_stopped_equals_one_that_was_not(configured, tmp_path):
    config = configured("ppo, rnd and symmetry", f"iterations={2 * K}")

    def stop(session):
        if session.iteration == K:
            os.kill(os.getpid(), signal.SIGTERM)

    whole = run(config, tmp_path)
    stopped = run(config, tmp_path, on_iteration=stop)
    assert stopped.result.stopped_by == signal.SIGTERM
    assert stopped.result.iteration < 2 * K
    assert_same(whole, stopped, run(config, tmp_path, resume=stopped.path))


def test_scalars_of_a_run_that_was_stopped_are_those_of_one_that_was_not(configured, tmp_path):
    def scalars(path):
        accumulator = EventAccumulator(str(path)).Reload()
        tags = [tag for tag in accumulator.Tags()["scalars"] if tag[:5] != "Perf/" and tag[-5:] != "/time"]
        return {tag: [(event.step, event.value) for event in accumulator.Scalars(tag)] for tag in tags}

    config = configured("ppo, resets in the next step", "loggers=[{name: tensorboard}]")
    whole = run(evolve(config, iterations=2 * K), tmp_path)
    stopped = run(evolve(config, iterations=K), tmp_path)
    run(evolve(config, iterations=2 * K), tmp_path, resume=stopped.path)
    expected = scalars(whole.path)
    assert [step for step, _ in expected["Loss/value"]] == [1, 2, 3, 4, 5, 6]
    assert scalars(stopped.path) == expected


# Where the episodes cannot go on

FORGETS = "env 'gymnasium' begins new episodes: it could not say where it was"


def upset(state):
    """The state with other numbers in it."""
    if isinstance(state, torch.Tensor):
        return -2.0 * state if state.is_floating_point() else state
    return {name: upset(part) for name, part in state.items()}


def test_env_that_cannot_say_where_it_was_begins_new_episodes_of_which_nothing_is_remembered(
    small_config, tmp_path, caplog
):
    config = small_config(
        "env={name: gymnasium, id: rslcore_tests/Silent-v0, num_envs: 4, groups: {policy: [0], privileged: [1]}}",
        *(networks("gru"), "policy.actor.network.groups=[policy, estimate]", "algorithm.num_mini_batches=2"),
        extensions("{name: estimator, hidden_dims: [8]}", RND),
        recipe="pendulum",
    )
    stopped = run(evolve(config, iterations=K), tmp_path)
    shutil.copytree(stopped.path, tmp_path / "other")
    (local,) = stopped.checkpoint.ranks
    assert local["env"] is None
    algorithm, remembered = local["algorithm"], local["algorithm"]["extensions"]
    assert algorithm["states"]["actor"]["hidden"].any()
    others = {
        **algorithm,
        "states": upset(algorithm["states"]),
        "extensions": {**remembered, "estimator": upset({"histories": remembered["estimator"]["histories"]})},
    }
    other = {**local, "algorithm": others, "obs": upset(local["obs"]), "runner": upset(local["runner"]["episodes"])}
    save_checkpoint(tmp_path / "other" / f"model_{K}.pt", attrs.evolve(stopped.checkpoint, ranks=(other,)))
    caplog.clear()
    resumed, again = (
        run(evolve(config, iterations=K + 1), tmp_path, resume=path) for path in (stopped.path, tmp_path / "other")
    )
    assert [record.getMessage() for record in caplog.records] == [FORGETS] * 2
    assert_same(resumed, again)
    # 8 steps of episodes of 5, of which none was under way before.
    assert resumed.checkpoint.ranks[0]["runner"]["episodes"]["lengths"].tolist() == [3] * 4


def test_replay_ends_the_episodes_that_cannot_go_on(small_config, tmp_path, caplog):
    case = "fast_sac, a replay that fills"
    config = small_config(*sac(case), "env.id=rslcore_tests/Silent-v0", "env.kwargs={}", recipe="pendulum")
    stopped = run(evolve(config, iterations=K), tmp_path)
    resumed = run(evolve(config, iterations=2 * K), tmp_path, resume=stopped.path)
    assert [record.getMessage() for record in caplog.records] == [FORGETS]
    before, after = (
        part.checkpoint.ranks[0]["algorithm"]["storage"]["columns"]["dones"] for part in (stopped, resumed)
    )
    last = K * 8 - 1
    assert not before[last].all()
    assert after[last].all()
    assert torch.equal(after[:last], before[:last])
    assert len(after) == 2 * K * 8
    assert min(resumed.told) == K + 1
    assert "Loss/critic" in resumed.told[K + 1]  # learned from at once


def test_another_env_begins_new_episodes(configured, tmp_path, caplog):
    stopped = run(configured("ppo, gru", f"iterations={K}"), tmp_path)
    config = configured(
        "ppo, gru", f"iterations={2 * K}", "env.kwargs={max_episode_steps: 5, disable_env_checker: true}"
    )
    assert run(config, tmp_path, resume=stopped.path).result.iteration == 2 * K
    wrappers = "'gymnasium.wrappers.common:TimeLimit', 'gymnasium.wrappers.common:OrderEnforcing'"
    checker = "'gymnasium.wrappers.common:PassiveEnvChecker'"
    pendulum = "'gymnasium.envs.classic_control.pendulum:PendulumEnv'"
    assert [record.getMessage() for record in caplog.records] == [
        f"env 'gymnasium' begins new episodes: the saved state of 'Pendulum-v1' is of [{wrappers}, {checker}, "
        f"{pendulum}], the env is now [{wrappers}, {pendulum}]; give the run the same vectorization and kwargs"
    ]


@pytest.mark.parametrize("case", ["ppo, rnd and symmetry, gru", "fast_sac, a replay that fills"])
def test_another_number_of_envs_begins_new_episodes(configured, tmp_path, caplog, case):
    stopped = run(configured(case, f"iterations={K}"), tmp_path)
    resumed = run(configured(case, f"iterations={2 * K}", "env.num_envs=8"), tmp_path, resume=stopped.path)
    assert [record.getMessage() for record in caplog.records] == [
        "the checkpoint was made with 4 envs and there are 8 now: they begin new episodes, and what was collected from "
        "those before is not learned from any more"
    ]
    assert resumed.told[2 * K]["total_steps"] == K * 8 * 4 + K * 8 * 8


def test_checkpoint_of_before_local_states_begins_new_episodes(configured, tmp_path, caplog):
    case = "ppo, rnd and symmetry, gru"
    stopped = run(configured(case, f"iterations={K}"), tmp_path)
    path = stopped.path / f"model_{K}.pt"
    payload = torch.load(path, weights_only=True)
    (local,) = payload.pop("ranks")
    torch.save({**payload, "schema": 2, "rng": {**local["rng"], "cuda": []}}, path)
    resumed = run(configured(case, f"iterations={2 * K}"), tmp_path, resume=stopped.path)
    assert [record.getMessage() for record in caplog.records] == [
        "the checkpoint holds nothing of the envs: they begin new episodes"
    ]
    assert resumed.told[K + 1]["Rnd/weight"] > stopped.told[K]["Rnd/weight"]
    assert resumed.told[2 * K]["total_steps"] == 2 * K * 8 * 4
