"""What rsl_rl's runner reads, as rslcore's: names and lengths, loggers, observation groups."""

from __future__ import annotations

import pytest
from train_cfgs import DISTILLATION, ENV, GROUPS, PPO, RND, changed, problems_of, translated

from rslcore.registry import default_registry
from rslcore.specs import TensorSpec
from rslcore_rsl_rl.translation import structure_translated, translate


def test_runner_keys():
    config = changed(PPO, experiment_name="go2", seed=7, max_iterations=300, save_interval=10, check_for_nan=True)
    found = translated(config)
    assert found["experiment"] == "go2"
    assert found["seed"] == 7
    assert found["iterations"] == 300
    assert found["runner"] == {"name": "on_policy", "num_steps_per_env": 24, "save_interval": 10}
    assert "on_bad_numbers" not in found


@pytest.mark.parametrize(
    ("given", "loggers", "notes"),
    [
        ({"logger": "tensorboard"}, [], ()),
        (
            {"logger": "wandb", "wandb_project": "p", "wandb_tags": ("a", "b")},
            [{"project": "p", "tags": ["a", "b"]}],
            (),
        ),
        ({"logger": "WandB"}, [{}], ()),
        ({"logger": {"class_name": "WandbLogWriter", "project_name": "p"}}, [{"project": "p"}], ()),
        ({"logger": {"class_name": "rsl_rl.utils:WandbLogWriter"}}, [{}], ()),
        ({"logger": "wandb", "upload_model": False}, [{"upload_models": False}], ()),
        (
            {"logger": "neptune"},
            [],
            ("'logger' (neptune) has no counterpart here; events are written for TensorBoard",),
        ),
        (
            {"logger": {"class_name": "my.module:Writer", "anything": 1}},
            [],
            ("'logger.class_name' (my.module:Writer) is a writer of your own, which is not called here",),
        ),
    ],
)
def test_loggers(given, loggers, notes):
    translation = translate(changed(PPO, **given))
    wandb = [{"name": "wandb", "upload_models": True, **each} for each in loggers]
    assert translation.config["loggers"] == [{"name": "console"}, {"name": "tensorboard"}, *wandb]
    assert translation.notes == notes
    structure_translated(translation, ENV, default_registry())


def test_keys_of_scripts_are_nobodys_business():
    assert translated(changed(PPO, registry_name="x", log_root="y", anything={"z": 1}, save_interval=50, save_at=3))


def test_groups_are_resolved_by_the_env():
    config = changed(PPO, algorithm={"rnd_cfg": RND})
    config["obs_groups"] = {"critic": ["privileged"]}
    translation = translate(config, GROUPS | {"rnd_state": TensorSpec((2,))}, step_dt=1.0)
    policy = translation.config["policy"]
    assert policy["actor"]["network"]["groups"] == ["policy"]
    assert policy["critic"]["network"]["groups"] == ["privileged"]
    assert translation.config["algorithm"]["extensions"][0]["groups"] == ["rnd_state"]
    assert translation.notes == (
        "'obs_groups.actor' is missing; it is taken to be ['policy'], as in rsl_rl, which warns",
        "'obs_groups.rnd_state' is missing; it is taken to be ['rnd_state'], as in rsl_rl, which warns",
    )


def test_groups_that_are_missing_where_the_env_is_not_known_have_the_name_of_the_set():
    translation = translate(changed(PPO, obs_groups=None))
    policy = translation.config["policy"]
    assert policy["actor"]["network"]["groups"] == ["actor"]
    assert policy["critic"]["network"]["groups"] == ["critic"]
    assert translation.notes == ()
    assert translation.to_check == tuple(
        f"policy.{name}.network.groups: ['{name}'] is a guess, since 'obs_groups.{name}' is missing; if the env has no "
        f"group '{name}', write `policy.{name}.network.groups=[policy]`, which rsl_rl takes then"
        for name in ("actor", "critic")
    )


def test_group_of_rnd_is_a_guess_too_where_the_env_is_not_known():
    (sentence,) = translate(changed(PPO, algorithm={"rnd_cfg": RND}), step_dt=1.0).to_check
    assert sentence == (
        "algorithm.extensions[0].groups: ['rnd_state'] is a guess, since 'obs_groups.rnd_state' is missing; if the env "
        "has no group 'rnd_state', write `algorithm.extensions[0].groups=[policy]`, which rsl_rl takes then"
    )


def test_critic_of_older_versions_is_a_guess_for_which_the_actors_groups_stand_in():
    config = {"policy": {"class_name": "ActorCritic"}, "algorithm": {"class_name": "PPO"}, "num_steps_per_env": 24}
    (sentence,) = translate({**config, "obs_groups": {"policy": ["state", "more"]}}).to_check
    assert sentence == (
        "policy.critic.network.groups: ['critic'] is a guess, since 'obs_groups.critic' is missing; if the env has no "
        "group 'critic', write `policy.critic.network.groups=[state,more]`, which rsl_rl takes then"
    )
    assert translate({**config, "obs_groups": {"policy": ["state"]}}, {"state": TensorSpec((2,))}).to_check == ()


def test_groups_of_a_teacher_are_no_guess_since_its_own_run_has_them():
    (sentence,) = translate(changed(DISTILLATION, obs_groups=None)).to_check
    assert sentence.startswith("policy.student.network.groups: ['student'] is a guess, since 'obs_groups.student' is ")


def test_groups_of_nothing_are_noted():
    notes = translate(changed(PPO, obs_groups=None), GROUPS).notes
    assert notes[0] == "'obs_groups' is empty, and observation sets are made of the groups that the env has"


@pytest.mark.parametrize(
    ("groups", "observations", "expected"),
    [
        ({"policy": ["state"]}, ("state", "more"), ["state"]),
        ({"policy": ["state"]}, ("state", "critic"), ["critic"]),
        (None, ("policy", "critic"), ["critic"]),
        (None, ("policy",), ["policy"]),
    ],
)
def test_critic_of_older_versions_sees_what_the_actor_sees_unless_it_has_a_group(groups, observations, expected):
    config = {"policy": {"class_name": "ActorCritic"}, "algorithm": {"class_name": "PPO"}, "num_steps_per_env": 24}
    if groups:
        config["obs_groups"] = groups
    found = translate(config, {name: TensorSpec((2,)) for name in observations})
    assert found.config["policy"]["critic"]["network"]["groups"] == expected
    assert not any("missing" in note for note in found.notes)


def test_groups_that_are_not_there_are_refused():
    config = changed(PPO, obs_groups={"actor": ["polcy", "camera"], "critic": [], "teacher": "policy"})
    assert problems_of(config, observations=GROUPS) == {
        "obs_groups.actor[0]": (
            "the env has no group 'polcy'; did you mean 'policy'? (groups: 'camera', 'policy', 'privileged')"
        ),
        "obs_groups.critic": "is an empty list; name the observation groups that are read",
        "obs_groups.teacher": "'policy' should be a list of names of observation groups",
    }
    assert problems_of(changed(PPO, obs_groups=None), observations={"state": TensorSpec((1,))}) == {
        f"obs_groups.{name}": f"is missing, and the env has neither a group '{name}' nor 'policy' (groups: 'state')"
        for name in ("actor", "critic")
    }
