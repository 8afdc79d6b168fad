"""From rsl_rl's dict and env to a built algorithm."""

from __future__ import annotations

import copy

import pytest
import stand_ins
import torch
from agents import AGENTS, FIVE, RECURRENT, RND, STUDENT
from tensordict import TensorDict

from rslcore.errors import ConfigError
from rslcore_rsl_rl.building import build
from rslcore_rsl_rl.vec_env import VecEnvAdapter

CPU = torch.device("cpu")


@pytest.fixture
def build_for():
    def run(cfg=FIVE, family="isaac_lab", num_envs=4):
        env = stand_ins.FAMILIES[family](num_envs, "cpu", 1)
        return build(cfg, VecEnvAdapter(env, CPU), CPU)

    return run


def changed(cfg, path, value):
    result = copy.deepcopy(cfg)
    *sections, key = path.split(".")
    at = result
    for section in sections:
        at = at[section]
    at[key] = value
    return result


def test_build_knows_the_env_that_was_handed_over(build_for):
    built = build_for(AGENTS["mjlab"], "mjlab")
    assert (built.config.env.name, built.config.env.config.num_envs, built.config.env.config.factory) == (
        "vec_env",
        4,
        None,
    )
    assert built.context.env is built.env
    assert built.train_cfg is AGENTS["mjlab"]
    assert built.config.experiment == "cartpole"


def test_build_logs_what_older_versions_called_otherwise(build_for, caplog):
    build_for(AGENTS["playground"], "playground")
    assert "rslcore_rsl_rl: 'obs_groups.policy' is now 'obs_groups.actor'" in caplog.messages
    assert all(message.startswith("rslcore_rsl_rl: ") for message in caplog.messages)
    caplog.clear()
    build_for()
    assert not caplog.messages


def test_build_logs_a_misspelt_key(build_for, caplog):
    build_for(FIVE | {"check_for_nans": False})
    assert caplog.messages == ["rslcore_rsl_rl: 'check_for_nans' is not read; did you mean 'check_for_nan'?"]


@pytest.mark.parametrize(
    ("cfg", "num_envs", "taken", "what"),
    [
        (FIVE, 1, 4, "1 envs x 8 steps"),
        (FIVE, 3, 4, "3 envs x 8 steps"),
        (RECURRENT, 1, 1, "1 envs"),
        (RECURRENT, 6, 3, "6 envs"),
    ],
)
def test_build_takes_minibatches_that_divide_the_rollout(cfg, num_envs, taken, what, build_for, caplog):
    cfg = changed(cfg, "algorithm.num_mini_batches", 5)
    built = build_for(cfg, num_envs=num_envs)
    assert built.config.algorithm.config.num_mini_batches == taken
    note = f"algorithm.num_mini_batches: 5 does not divide {what}, so {taken} is taken"
    assert caplog.messages == [f"rslcore_rsl_rl: {note}"]


@pytest.mark.parametrize("cfg", [FIVE, RECURRENT, STUDENT], ids=["mlp", "lstm", "student"])
def test_build_leaves_minibatches_that_divide_as_they_are(cfg, build_for, caplog):
    build_for(cfg)
    assert not caplog.messages


@pytest.mark.parametrize("name", ["adam", "AdamW", "SGD", "rmsprop"])
def test_build_knows_optimizers_in_any_case(name, build_for):
    assert build_for(changed(FIVE, "algorithm.optimizer", name)).config.algorithm.config.optimizer == name.lower()
    with pytest.raises(ConfigError, match="algorithm.optimizer: 'adamax' .* did you mean 'adam'?"):
        build_for(changed(FIVE, "algorithm.optimizer", "adamax"))


def test_build_refuses_a_loss_that_distillation_does_not_have(build_for):
    with pytest.raises(ConfigError, match="algorithm.loss_type: 'l1' .* is none of 'huber', 'log_likelihood', 'mse'"):
        build_for(changed(STUDENT, "algorithm.loss_type", "l1"))


def test_build_saves_every_50_iterations_where_nothing_is_said(build_for):
    assert build_for(changed(FIVE, "save_interval", None)).config.runner.config.save_interval == 50


def test_build_tells_every_problem_by_the_dicts_own_names(build_for):
    cfg = changed(AGENTS["playground"], "policy.actor_hiden_dims", [8])
    cfg["algorithm"]["gamma"] = 1.5
    cfg["obs_groups"]["critic"] = ["privileged"]
    with pytest.raises(ConfigError) as raised:
        build_for(cfg, "playground")
    paths = {problem.path for problem in raised.value.problems}
    assert paths == {"policy.actor_hiden_dims", "algorithm.gamma", "obs_groups.critic[0]"}


def test_build_tells_what_a_component_finds_by_the_dicts_own_names(build_for):
    # The function is not looked for before the extension is built.
    options = {"data_augmentation_func": "no_such_module:mirror", "use_data_augmentation": True}
    with pytest.raises(ConfigError, match="algorithm.symmetry_cfg.data_augmentation_func: .*no_such_module"):
        build_for(changed(FIVE, "algorithm.symmetry_cfg", options))


def test_build_multiplies_the_weight_of_novelty_by_the_seconds_of_a_step(build_for):
    env = stand_ins.isaac_lab(4, "cpu", 1)
    env.unwrapped.step_dt = 0.02
    built = build(RND, VecEnvAdapter(env, CPU), CPU)
    assert built.config.algorithm.config.extensions[0].config.weight == pytest.approx(0.01)
    assert build_for(RND).config.algorithm.config.extensions[0].config.weight == 0.5


def mirror(env, obs, actions):
    """As a user of rsl_rl writes it: with what their own env has."""
    assert env.cfg.is_finite_horizon is False
    assert env.unwrapped.action_manager.active_terms == ("push",)
    assert env.num_actions == 2
    assert env.device == "cpu"
    assert env.get_observations().batch_size == torch.Size([4])
    if obs is not None:
        obs = TensorDict({name: torch.cat([group, -group]) for name, group in obs.items()}, [2 * len(obs)])
    return obs, None if actions is None else torch.cat([actions, -actions])


@pytest.mark.parametrize("how", ["named", "handed over"])
def test_symmetry_function_is_given_what_the_users_env_has(how, build_for, monkeypatch):
    function = f"{__name__}:mirror" if how == "named" else mirror
    options = {"data_augmentation_func": function, "use_data_augmentation": True, "use_mirror_loss": False}
    built = build_for(changed(FIVE, "algorithm.symmetry_cfg", options))
    assert built.algorithm.extensions.extensions[0]._copies == 2


def test_teacher_without_noise_is_not_refused(build_for):
    # As Isaac Lab writes it; a teacher is never drawn from.
    build_for(STUDENT)
