"""Extensions of PPO compute what rsl_rl's compute: random network distillation, and symmetry."""

from __future__ import annotations

import pytest
from parity.case import GRU, LSTM, MLP, Case
from parity.comparison import check, default_precision
from parity.rollouts import script_rollouts
from parity.runs import NUM_ROLLOUTS, run_ppo

RND = {
    "name": "rnd",
    "groups": ["policy", "privileged"],
    "num_outputs": 4,
    "predictor_hidden_dims": [10, 8],
    "target_hidden_dims": [7],
    "weight": 0.3,
    "learning_rate": 2e-3,
    "reward_observation": "next",
}
NORMALIZED = RND | {"state_normalization": True, "reward_normalization": True}
SYMMETRY = {
    "name": "symmetry",
    "function": "parity.mirror:left_right",
    "use_data_augmentation": False,
    "use_mirror_loss": False,
    "mirror_loss_coeff": 0.7,
}
AUGMENTED = SYMMETRY | {"use_data_augmentation": True}
PULLED = SYMMETRY | {"use_mirror_loss": True}
BOTH = AUGMENTED | PULLED | {"use_data_augmentation": True}
ADAPTIVE = {"schedule": "adaptive"}

CASES = [
    Case(name="rnd", algorithm={"extensions": [RND]}),
    Case(name="rnd, states normalized", algorithm={"extensions": [RND | {"state_normalization": True}]}),
    Case(name="rnd, rewards normalized", algorithm={"extensions": [RND | {"reward_normalization": True}]}),
    Case(name="rnd, both normalized, adaptive", algorithm=ADAPTIVE | {"extensions": [NORMALIZED]}),
    *(
        Case(name=f"rnd, weight by {schedule['mode']}", algorithm={"extensions": [RND | {"weight_schedule": schedule}]})
        for schedule in (
            {"mode": "constant"},
            {"mode": "step", "final_step": 17, "final_value": 0.05},
            {"mode": "linear", "initial_step": 5, "final_step": 30, "final_value": 0.05},
        )
    ),
    Case(name="symmetry, logged", algorithm={"extensions": [SYMMETRY]}),
    Case(name="symmetry, augmented", algorithm={"extensions": [AUGMENTED]}),
    Case(name="symmetry, mirror loss", algorithm={"extensions": [PULLED]}),
    Case(name="symmetry, both", algorithm={"extensions": [BOTH]}),
    Case(name="symmetry, four ways", algorithm={"extensions": [BOTH | {"function": "parity.mirror:four_ways"}]}),
    Case(
        name="symmetry, both, adaptive, advantages by minibatch, normalized",
        actor=MLP | {"normalize": True},
        algorithm=ADAPTIVE | {"normalize_advantage": "minibatch", "extensions": [BOTH]},
    ),
    Case(
        name="symmetry of a heteroscedastic policy",
        distribution={"name": "heteroscedastic_gaussian", "std_type": "log"},
        algorithm={"extensions": [BOTH]},
    ),
    Case(
        name="symmetry of a beta policy",
        distribution={"name": "beta", "range": [0.0, 1.0]},
        algorithm={"extensions": [PULLED]},
    ),
    Case(name="rnd and symmetry", algorithm={"extensions": [NORMALIZED, BOTH]}),
]


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_extension_agrees(case, precision, record_property):
    with default_precision(precision):
        check(run_ppo(case), record_property)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("network", [LSTM, GRU], ids=lambda network: network["name"])
def test_rnd_of_a_recurrent_policy_agrees_while_no_episode_ends(network, precision, record_property):
    # Where one ends, rsl_rl pads; see test_deviations.
    case = Case(name="", actor=network, algorithm={"extensions": [NORMALIZED]})
    with default_precision(precision):
        rollouts = script_rollouts(case, NUM_ROLLOUTS)
        for rollout in rollouts:
            rollout.terminated[:-1] = rollout.truncated[:-1] = False
        check(run_ppo(case, rollouts), record_property)
