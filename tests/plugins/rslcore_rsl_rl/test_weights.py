"""Names and shapes of tensors, here and in rsl_rl."""

from __future__ import annotations

import re

import pytest
import torch

from rslcore.errors import CheckpointError
from rslcore_rsl_rl.weights import (
    Place,
    in_order,
    is_derived,
    is_parameter,
    places,
    rnd_places,
    rsl_rl_name,
    to_ours,
    to_rsl_rl,
)

GAUSSIAN = {"name": "gaussian", "std_type": "scalar"}


def actor_critic(**distribution):
    return {"name": "rslcore/actor_critic", "actor": {"distribution": GAUSSIAN | distribution}}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("layers.2.weight", "mlp.2.weight"),
        ("rnn.weight_hh_l1", "rnn.rnn.weight_hh_l1"),
        ("encoders.camera.3.running_mean", "cnns.camera.3.running_mean"),
        ("normalizer.variance", "obs_normalizer._var"),
        ("normalizer.count", "obs_normalizer.count"),
        ("predictor.0.bias", "predictor.0.bias"),
        ("state_normalizer.mean", "state_normalizer._mean"),
        ("reward_scale.statistics.variance", "reward_normalizer.emp_norm._var"),
    ],
)
def test_rsl_rl_name(ours, theirs):
    assert rsl_rl_name(ours) == theirs


def test_rsl_rl_name_of_what_it_does_not_have():
    with pytest.raises(KeyError):
        rsl_rl_name("attention.0.weight")


def test_places_of_an_actor_critic():
    keys = ["actor.normalizer.mean", "actor.layers.0.weight", "_distribution.std_parameter", "critic.layers.0.bias"]
    assert places(keys, actor_critic()) == {
        "actor.normalizer.mean": Place("actor", "obs_normalizer._mean"),
        "actor.layers.0.weight": Place("actor", "mlp.0.weight"),
        "_distribution.std_parameter": Place("actor", "distribution.std_param"),
        "critic.layers.0.bias": Place("critic", "mlp.0.bias"),
    }
    found = places(["_distribution.std_parameter"], actor_critic(std_type="log"))
    assert str(found["_distribution.std_parameter"]) == "actor.distribution.log_std_param"


def test_places_of_a_student_leave_the_teacher_out():
    policy = {"name": "student_teacher", "student": {"distribution": GAUSSIAN}}
    assert places(["student.layers.0.weight", "_extra_state"], policy) == {
        "student.layers.0.weight": Place("student", "mlp.0.weight")
    }


def test_places_that_rsl_rl_does_not_have():
    message = "rsl_rl has no place for '_distribution.table', 'actor.attention.weight', 'encoder.0.weight' of this "
    message += "policy; of ours it has the networks 'mlp', 'lstm', 'gru', 'cnn'"
    keys = ["encoder.0.weight", "actor.layers.0.weight", "actor.attention.weight", "_distribution.table"]
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        places(keys, actor_critic())
    message = "rsl_rl has nothing like the policy 'q_network'; of ours it has 'actor_critic', 'student_teacher'"
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        places(keys, {"name": "q_network"})


def test_rnd_places():
    assert str(rnd_places(["target.2.bias"])["target.2.bias"]) == "rnd.target.2.bias"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mlp.0.weight", True),
        ("distribution.std_param", True),
        ("cnns.camera.0.weight", True),
        ("std", True),
        ("obs_normalizer._mean", False),
        ("actor_obs_normalizer.count", False),
        ("reward_normalizer.emp_norm._std", False),
        ("cnns.camera.1.running_var", False),
        ("cnns.camera.1.num_batches_tracked", False),
    ],
)
def test_is_parameter(name, expected):
    assert is_parameter(name) == expected


def test_is_derived():
    assert is_derived("obs_normalizer._std")
    assert not is_derived("obs_normalizer._var")
    assert not is_derived("rnn._std")


def test_in_order_is_that_of_rsl_rl():
    names = ["rnn.rnn.weight_ih_l0", "mlp.0.weight", "mlp.0.bias", "distribution.std_param", "obs_normalizer._mean"]
    assert [*in_order(dict.fromkeys(names, torch.ones(1)))] == [names[4], names[3], names[1], names[2], names[0]]


def test_statistics_there_and_back():
    variance, count = torch.tensor([4.0, 9.0]), torch.tensor(12.0, dtype=torch.float64)
    there = to_rsl_rl("obs_normalizer._var", variance) | to_rsl_rl("obs_normalizer.count", count)
    torch.testing.assert_close(
        there,
        {
            "obs_normalizer._var": torch.tensor([[4.0, 9.0]]),
            "obs_normalizer._std": torch.tensor([[2.0, 3.0]]),
            "obs_normalizer.count": torch.tensor(12),
        },
    )
    assert torch.equal(to_ours(there["obs_normalizer._var"], torch.zeros(2)), variance)
    assert torch.equal(to_ours(there["obs_normalizer.count"], torch.zeros((), dtype=torch.float64)), count)


def test_statistics_of_a_reward_are_one_number():
    assert to_rsl_rl("reward_normalizer.emp_norm._mean", torch.ones(1))["reward_normalizer.emp_norm._mean"].shape == (
        1,
    )


def test_to_ours_takes_no_other_shape():
    assert to_ours(torch.ones(2, 3), torch.zeros(3, 2)) is None
    assert to_ours(torch.ones(6), torch.zeros(2, 3)) is None


def test_what_is_taken_is_a_copy_and_what_is_given_a_view():
    ours = torch.zeros(2)
    to_ours(ours, torch.zeros(2)).add_(1.0)
    assert not ours.any()
    assert to_rsl_rl("mlp.0.bias", ours)["mlp.0.bias"].data_ptr() == ours.data_ptr()
