"""The comparison sees what it should: nothing is left out, and a small change of an option is noticed."""

from __future__ import annotations

import attrs
import pytest
import torch
from parity import ours, theirs, weights
from parity.case import GRU, IMAGES, LSTM, MLP, Case
from parity.comparison import disagreements
from parity.rollouts import script_rollouts
from parity.runs import run_ppo

CNN = {"name": "cnn", "hidden_dims": [8], "groups": ["policy", "camera"], "encoders": {"camera": {"channels": [4]}}}


@pytest.mark.parametrize("network", [MLP | {"normalize": True}, LSTM, GRU | {"rnn_num_layers": 2}])
def test_copy_goes_both_ways(network):
    case = Case(name="", actor=network)
    one, other = ours.build_ppo(case), theirs.build_ppo(case)
    tensors = weights.renamed_tensors(one.policy.actor, one.policy.distribution)
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    weights.copy_to_theirs(tensors, other.actor)
    for tensor in tensors.values():
        tensor.zero_()
    weights.copy_to_ours(other.actor, tensors)
    assert all(torch.equal(tensor, before[name]) for name, tensor in tensors.items())


def test_copy_leaves_no_tensor_out():
    one, other = ours.build_ppo(Case(name="", actor=MLP | {"normalize": True})), theirs.build_ppo(Case(name=""))
    with pytest.raises(KeyError, match=r"obs_normalizer\._mean"):
        weights.copy_to_theirs(weights.renamed_tensors(one.policy.actor), other.actor)
    case = Case(name="", actor=CNN, critic=MLP, observations=IMAGES)
    with pytest.raises(KeyError, match=r"cnns\.camera\.0\.bias"):
        weights.copy_to_theirs(weights.renamed_tensors(one.policy.actor), theirs.build_ppo(case).actor)


def test_rollouts_have_ends_everywhere():
    first, second = script_rollouts(Case(name=""), 2)
    assert torch.equal(first.obs[-1]["policy"], second.obs[0]["policy"])
    dones = first.terminated | first.truncated
    assert not (first.terminated & first.truncated).any()
    assert first.terminated.any()
    assert first.truncated[:-1].any()
    assert all(part.any() for part in (dones[0], dones[1:-1], dones[-1]))
    assert not dones[:, 0].any()


@pytest.mark.parametrize(
    ("option", "value", "seen_in"),
    [
        ("gamma", 0.9899, "returns"),
        ("lam", 0.9499, "returns"),
        ("clip_param", 0.199, "weights/actor/mlp.0.weight"),
        ("entropy_coef", 0.0101, "weights/actor/distribution.std_param"),
        ("value_loss_coef", 1.01, "weights/critic/mlp.0.weight"),
        ("learning_rate", 1.001e-3, "weights/actor/mlp.0.weight"),
        ("max_grad_norm", 0.99, "weights/critic/mlp.0.weight"),
        ("shuffle", "epoch", "weights/actor/mlp.0.weight"),
        ("use_clipped_value_loss", False, "loss/value"),
        ("normalize_advantage", "none", "advantages"),
    ],
)
def test_other_option_on_one_side_is_noticed(option, value, seen_in, monkeypatch):
    # The weights of the critic are trained by SGD, on whose steps the size of a gradient tells.
    case = Case(name="", algorithm={"optimizer": "sgd", "learning_rate": 1e-2})
    build = ours.build_ppo
    changed = attrs.evolve(case, algorithm={**case.algorithm, option: value})
    if option == "learning_rate":
        changed = attrs.evolve(case, algorithm={**case.algorithm, option: 1.001e-2})
    monkeypatch.setattr(ours, "build_ppo", lambda _: build(changed))
    assert f"rollout 2/{seen_in}" in disagreements(run_ppo(case))
