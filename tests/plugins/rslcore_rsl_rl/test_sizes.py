"""Shapes of observations and actions follow from a checkpoint's tensors, as far as they do."""

from __future__ import annotations

import math
import re

import pytest
import rsl_rl_shapes as shapes
import torch

from rslcore.errors import CheckpointError
from rslcore.specs import TensorSpec
from rslcore_rsl_rl.files import parse
from rslcore_rsl_rl.sizes import read_group, spec_of

GAUSSIAN = {"name": "gaussian"}


def make_config(actor=("policy",), critic=("policy", "privileged"), extensions=(), distribution=GAUSSIAN):
    return {
        "policy": {
            "name": "actor_critic",
            "actor": {"network": {"groups": actor}, "distribution": distribution},
            "critic": {"network": {"groups": critic}},
        },
        "algorithm": {"num_mini_batches": 4, "extensions": extensions},
    }


def sizes_of(payload, config, given=None):
    return spec_of(parse(payload, "model_149.pt"), config, None, given or {}).observations


def refused(payload, config, message, given=None):
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        sizes_of(payload, config, given)


@pytest.mark.parametrize("options", [{}, {"normalize": False}, {"rnn": "lstm"}, {"rnn": "gru", "normalize": False}])
def test_sizes_follow_from_one_another(options):
    spec = spec_of(parse(shapes.five(**options), "it"), make_config(), None, {})
    assert spec.observations == {"policy": TensorSpec((2,)), "privileged": TensorSpec((1,))}
    assert (spec.actions.num_actions, spec.actions.low, spec.actions.high) == (1, (-math.inf,), (math.inf,))
    assert (spec.num_envs, spec.keeps_final_obs) == (4, False)


@pytest.mark.parametrize("name", ["heteroscedastic_gaussian", "rslcore/beta"])
def test_distribution_with_two_numbers_an_action(name):
    payload = shapes.five()
    payload["actor_state_dict"]["mlp.4.weight"] = torch.ones(6, 5)
    spec = spec_of(parse(payload, "it"), make_config(distribution={"name": name}), None, {})
    assert spec.actions.num_actions == 3


def test_teacher_and_rnd_tell_of_their_groups():
    config = {
        "policy": {"name": "student_teacher", "student": {"network": {"groups": ["policy"]}, "distribution": GAUSSIAN}},
        "algorithm": {},
    }
    teacher = {"policy": {"actor": {"network": {"groups": ["policy", "privileged"]}}}}
    spec = spec_of(parse(shapes.student(), "it"), config, teacher, {})
    assert spec.observations == {"policy": TensorSpec((2,)), "privileged": TensorSpec((1,))}
    assert spec.num_envs == 1
    rnd = {"rnd_state_dict": {"predictor.0.weight": torch.ones(2, 7)}}
    sizes = sizes_of(shapes.five() | rnd, make_config(extensions=[{"name": "rnd", "groups": ["state"]}]))
    assert sizes["state"] == TensorSpec((7,))


def test_sizes_that_are_given():
    config = make_config(actor=["a", "b"], critic=["a", "b", "c"])
    given = {"a": TensorSpec((1,))}
    assert sizes_of(shapes.five(), config, given) == dict.fromkeys("abc", TensorSpec((1,)))
    message = """model_149.pt does not tell the shapes of all observation groups:
  'actor' reads 2 numbers of 'a', 'b'; give the size of all but one, as in --obs a=48
  'critic' reads 3 numbers of 'a', 'b', 'c'; give the size of all but one, as in --obs a=48"""
    refused(shapes.five(), config, message)


def test_sizes_that_do_not_go_together():
    message = """model_149.pt does not tell the shapes of all observation groups:
  no network reads the group 'polcy'; did you mean 'policy'?
  'actor' reads 2 numbers, and policy=3 make 3
  'critic' reads 3 numbers, which leaves 0 for 'privileged'"""
    refused(shapes.five(), make_config(), message, {"policy": TensorSpec((3,)), "polcy": TensorSpec((2,))})


def test_images():
    payload = shapes.five(normalize=False)
    del payload["critic_state_dict"]
    payload["actor_state_dict"] |= {
        "cnns.camera.0.weight": torch.ones(8, 3, 3, 3),
        "cnns.camera.2.weight": torch.ones(8, 8, 3, 3),
    }
    config = make_config(actor=["policy", "camera"])
    message = """model_149.pt does not tell the shapes of all observation groups:
  the image 'camera' of 3 channels needs its shape: --obs camera=3xHEIGHTxWIDTH
  'actor' reads 'policy'; give each size, as in --obs policy=48"""
    refused(payload, config, message)
    given = {"camera": TensorSpec((3, 64, 48)), "policy": TensorSpec((5,))}
    assert sizes_of(payload, config, given) == given
    payload["actor_state_dict"]["obs_normalizer._mean"] = torch.ones(1, 5)
    assert sizes_of(payload, config, {"camera": given["camera"]}) == given


def test_file_without_what_acts():
    payload = shapes.five()
    payload["actor_state_dict"] = {"obs_normalizer._mean": torch.ones(1, 2)}
    message = "model_149.pt holds 'actor', 'critic', and no 'actor' with an mlp, which this config acts with"
    refused(payload, make_config(), message)


def test_read_group():
    assert read_group("policy=48") == ("policy", TensorSpec((48,)))
    assert read_group("camera=3x64x48") == ("camera", TensorSpec((3, 64, 48)))


@pytest.mark.parametrize("text", ["policy", "policy=", "=3", "policy=0", "policy=3x", "policy=-1"])
def test_read_group_of_what_is_none(text):
    message = f"'{text}' should be written GROUP=SIZE, as in policy=48, or camera=3x64x64 for an image"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        read_group(text)
