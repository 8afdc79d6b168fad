"""The contracts notice components that break a promise, and say which."""

from __future__ import annotations

import bad_components
import pytest

from rslcore.registry import Registry
from rslcore.testing import LoggerContract, RolloutStorageContract, make_case
from rslcore.testing.cases import run_contract
from rslcore.testing.contracts import CONTRACTS
from rslcore.testing.registry import extend_registry, with_fakes

NETWORK = {"name": "mlp", "hidden_dims": [8]}
OPTIONS = {
    "network": {"hidden_dims": [8]},
    "policy": {
        "actor": {"network": NETWORK, "distribution": {"name": "gaussian"}},
        "critic": {"network": NETWORK},
    },
    "algorithm": {"num_mini_batches": 2, "num_learning_epochs": 2},
    "runner": {"num_steps_per_env": 4},
}
ENVS = {"env": {"name": "bad"}}


@pytest.fixture(scope="module")
def registry():
    return extend_registry(with_fakes(Registry.discover()), (bad_components,))


@pytest.fixture
def sentence(registry):
    """What a test of a contract says of a bad component."""

    def run(kind, fault, test, name="bad"):
        component = {"name": name, "fault": fault, **OPTIONS.get(kind, {})}
        contract = RolloutStorageContract if kind == "storage" else CONTRACTS[kind]
        outcomes = run_contract(make_case(contract, component=component, registry=registry), test)
        failed = [outcome for outcome in outcomes if outcome.status == "failed"]
        assert failed, f"nothing was found wrong by {[outcome.test for outcome in outcomes]}"
        return failed[0].sentence

    return run


@pytest.mark.parametrize(
    ("kind", "fault", "test", "said"),
    [
        ("network", "narrow", "promised_shape", "BadNetwork gave [1, 1] float32; the last layer makes num_outputs"),
        ("network", "state", "state_dict", "A fresh BadNetwork with the state of another one did something else"),
        ("network", "reads", "read_on_the_host", "It read a tensor: look for `.item()`"),
        ("network", "writes", "left_as_they_are", "It wrote into it: policy differs by up to"),
        ("network", "unused", "gradient", "'unused.bias', 'unused.weight' of BadNetwork got none"),
        ("network", "random", "evaluation", "In evaluation mode the outputs of a row depend on that row alone"),
        ("network", "batch", "evaluation", "In evaluation mode the outputs of a row depend on that row alone"),
        ("network", "group", "missing_group", "is a ConfigError when a network is built. It was a KeyError: 'policy'"),
        ("distribution", "entropy", "of_the_samples", "`entropy` is the mean of -log_prob over actions"),
        ("distribution", "kl", "of_the_samples", "`kl_divergence` is the mean of log_prob(old) - log_prob(new)"),
        ("distribution", "shape", "numbers_a_row", "summed over the actions: [6]. It is [6, 1] float32."),
        ("distribution", "seed", "torchs_generator", "With one seed of torch `sample` draws the same actions."),
        ("distribution", "dtype", "those_of_the_env", "`sample` gives actions [6, 2] float32 for 6 rows"),
        ("policy", "robot", "no_env", "A policy is built without its env to act elsewhere"),
        ("policy", "memory", "memory", "it keeps nothing. the value differs by up to"),
        ("policy", "values", "values_are", "`values` is a number a row, [4]. It is [4, 1] float32"),
        ("policy", "groups", "trained_once", "`parameter_groups` has all parameters. 'critic.layers.0.bias'"),
        (
            "storage",
            "spread",
            "does_not_fit",
            "Writing rows [5, 2] to a column [T, 4, 2] is an ExtensionError. It went",
        ),
        ("storage", "mixed", "every_row_once", "Columns and observations of a minibatch are of the same rows."),
        ("storage", "clear", "clear_begins", "IndexError"),
        ("runner", "saves", "reports_and_saves", "The last iteration is saved, with `session.save_checkpoint`."),
        ("runner", "context", "in_order", "under `rollout_context()`. Under it were []."),
        ("runner", "stop", "stops_when", "Asked in the second one, it ended after 3."),
        ("runner", "resets", "where_it_stopped", "differently: algorithm.modules.policy.module.actor.layers.0.weight"),
        ("runner", "counts", "where_it_stopped", "The two ended differently: progress.runner.episodes"),
        ("runner", "forgets", "after_a_bad", "with what the runner has of the running episodes"),
        ("env", "final", "goes_on_by_itself", "`final_obs` holds its last observation. It is None;"),
        ("env", "late", "goes_on_by_itself", "It was the last of the old one, and the next step was not marked"),
        ("env", "dtype", "row_of_each", "`rewards` of a step is [4] float32. It is [4] float64; convert it"),
        ("env", "reuses", "belong_to_the_caller", "A later step wrote into an earlier one: policy differs"),
        ("env", "seed", "same_seed", "seed every generator from `context.seed` in the first `reset`."),
        ("env", "close", "closes_twice", "The second time raised RuntimeError('closed already')."),
        (
            "env",
            "state",
            "goes_on_from_its_state",
            "A fresh env with the state of another one goes on as that one does.",
        ),
        ("env", "state", "does_not_fit", "such as an empty one, is a CheckpointError. It was a KeyError: 'state';"),
        ("env", "takes", "does_not_fit", "such as an empty one, is a CheckpointError. It was taken;"),
        ("env", "all", "resets_the_envs", "Told to reset none, it gave others: policy differs by up to"),
        ("env", "draws", "no_env_changes", "What came after it was different: [1][0].obs.policy differs by up to"),
        ("logger", "strays", "logs_a_run", "It wrote ['log.txt'] into the working directory."),
        ("logger", "nan", "need_not_be_finite", "ValueError: cannot convert float NaN to integer"),
        ("algorithm", "learner", "can_watch", "`learner` of an algorithm is a `Learner`. It is a tuple; give"),
        ("algorithm", "gradient", "those_of_the_env", "Actions for an env carry no gradient, unless `rollout_context`"),
        ("algorithm", "reads", "collecting", "8 steps read 8: look for `.item()`"),
        ("algorithm", "writes", "steps_are_left", "`process_env_step` changed it: rewards differs by up to"),
        (
            "algorithm",
            "state",
            "where_it_stopped",
            "An algorithm goes on as if it had never been stopped. Saved and loaded, it differed: state.learning_rate",
        ),
        ("algorithm", "local", "where_it_stopped", "what this process alone has, into `local_state_dict`."),
        ("algorithm", "remembers", "new_episodes", "leave out in `load_local_state_dict` what is of episodes."),
        ("algorithm", "metrics", "learns_and_reports", "'Loss/count' is int; take `.detach().mean()`."),
        (
            "algorithm",
            "impure",
            "where_it_stopped",
            "In that of BadAlgorithm, count is a object; save a tensor or a number",
        ),
        ("algorithm", "misfit", "is_refused", "A state that does not fit is a CheckpointError."),
        (
            "extension",
            "undeclared",
            "groups_are",
            "declares what `before_act` adds or changes. It does not declare 'policy'",
        ),
        ("extension", "writes", "stays_as_it_is", "`before_act` wrote into its arguments: [0].policy differs"),
        ("extension", "rewards", "stays_as_it_is", "`shape_reward` wrote into its arguments:"),
        ("extension", "final", "final_observations", "`extend_final_obs` moves on no state of the extension."),
        ("extension", "reset", "reset_forgets", "Group 'fake_steps' of one that ended still depended on its past"),
        ("extension", "reads", "collecting", "8 steps read 8: look for `.item()`"),
        ("extension", "untrained", "registers_is_trained", "Linear 1.weight, Linear 1.bias; step its own optimizer"),
        ("extension", "state", "where_it_stopped", "put what is missing into `state_dict`, or, what this process"),
        (
            "extension",
            "local",
            "where_it_stopped",
            "A run with the extension goes on as if it had never been stopped. Saved",
        ),
        (
            "extension",
            "remembers",
            "new_episodes",
            "lets the extension forget as `reset(None)` does. What `before_act`",
        ),
        ("extension", "metrics", "metrics_are", "A metric is named `section/name`. 'bias' has no section."),
    ],
)
def test_contract_says_which_promise_is_broken(sentence, kind, fault, test, said):
    assert said in sentence(kind, fault, test)


def test_contract_says_that_an_algorithm_without_a_learner_is_not_watched(registry):
    component = {"name": "bad", "fault": "unwatched", **OPTIONS["algorithm"]}
    case = make_case(CONTRACTS["algorithm"], component=component, registry=registry)
    (outcome,) = run_contract(case, "can_watch")
    assert outcome.status == "skipped"
    assert outcome.sentence.startswith("it has no `learner`: where numbers go wrong, a run sees its metrics alone, ")


def test_contract_actions_may_carry_gradients_where_the_rollout_context_enables_them(registry):
    component = {"name": "bad", "fault": "differentiates", **OPTIONS["algorithm"]}
    case = make_case(CONTRACTS["algorithm"], component=component, registry=registry)
    (outcome,) = run_contract(case, "actions_are_those_of_the_env")
    assert outcome.status == "passed", outcome.sentence


def test_contract_config_says_which_option_has_no_meaning(sentence):
    assert sentence("logger", "", "options_mean", name="undocumented") == (
        "Every option of a config says what it means. 'fault' of 'bad_components:UndocumentedConfig' says nothing; "
        "write it with `option(default, doc)`."
    )


def test_contract_without_component_says_how_to_give_one(registry):
    outcomes = run_contract(make_case(LoggerContract, registry=registry), "options_mean")
    assert outcomes[0].sentence == (
        "LoggerContract should have a fixture `component` that returns the logger as it stands in a config, such as "
        '{"name": "mine", "option": 1.0}.'
    )


def test_run_contract_unknown_component_is_a_refusal(registry):
    outcomes = run_contract(make_case(LoggerContract, component={"name": "consol"}, registry=registry), "satisfies")
    assert outcomes[0].is_refusal
    assert "there is no logger 'consol'; did you mean 'console'?" in outcomes[0].sentence
