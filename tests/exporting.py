"""Runs on disk for tests of exporting: a checkpoint of a policy that nobody has trained, without an env."""

from __future__ import annotations

import torch

from rslcore.config import ExperimentConfig, structure, unstructure
from rslcore.context import Context
from rslcore.registry import default_registry
from rslcore.run.checkpoint import Checkpoint, save_checkpoint
from rslcore.run.provenance import Provenance
from rslcore.specs import ActionSpec, EnvSpec, TensorSpec
from rslcore.training import build_algorithm

VECTORS = {"policy": TensorSpec((3,)), "privileged": TensorSpec((2,))}
IMAGES = {"policy": TensorSpec((3,)), "camera": TensorSpec((3, 9, 8), "uint8"), "depth": TensorSpec((1, 6, 7))}
HINGES = ActionSpec(2, low=(-1.0, float("-inf")), high=(1.0, float("inf")), names=("hip", "knee"))
CHOICES = ActionSpec(1, num_choices=(4,))

MLP = {"name": "mlp", "hidden_dims": [8], "normalize": True}
TWO_GROUPS = MLP | {"groups": ["privileged", "policy"]}
LSTM = {"name": "lstm", "hidden_dims": [8], "rnn_hidden_dim": 6, "rnn_num_layers": 2, "normalize": True}
GRU = {"name": "gru", "hidden_dims": [8], "rnn_hidden_dim": 5}
CNN = {
    "name": "cnn",
    "groups": ["policy", "camera", "depth"],
    "hidden_dims": [8],
    "normalize": True,
    "encoder": {"channels": [4], "norm": ["batch"], "padding": "zeros"},
    "encoders": {"depth": {"channels": [3], "global_pool": "avg"}},
}
GAUSSIAN = {"name": "gaussian"}


def build(network, distribution=GAUSSIAN, observations=VECTORS, actions=HINGES, registry=None, **options):
    """PPO with an actor, in evaluation mode, and its context."""
    vector = next(name for name, spec in observations.items() if len(spec.shape) == 1)
    policy = {
        "name": "actor_critic",
        "actor": {"network": network, "distribution": distribution},
        "critic": {"network": {"name": "mlp", "groups": [vector], "hidden_dims": [4]}},
    }
    return _build(policy, {"name": "ppo", "num_mini_batches": 2, **options}, observations, actions, registry)


def build_student(network, observations=VECTORS, actions=HINGES):
    """Distillation with a student, in evaluation mode, and its context."""
    student = {"network": network, "distribution": GAUSSIAN}
    policy = {"name": "student_teacher", "student": student, "teacher": {"run": "is not read"}}
    return _build(policy, {"name": "distillation", "gradient_length": 4}, observations, actions)


def _build(policy, algorithm, observations, actions, registry=None):
    registry = registry or default_registry()
    config = {
        "experiment": "exported",
        "iterations": 1,
        "env": {"name": "gymnasium", "id": "CartPole-v1", "num_envs": 4},  # never made
        "runner": {"name": "on_policy", "num_steps_per_env": 4},
        "storage": {"name": "rollout"},
        "policy": policy,
        "algorithm": algorithm,
    }
    structured = structure(config, ExperimentConfig, registry)
    spec = EnvSpec(4, observations, actions)
    context = Context(registry, structured, torch.device("cpu"), 0, 4, spec=spec, restoring=True)
    torch.manual_seed(0)
    built = build_algorithm(context)
    with torch.no_grad():
        for name, buffer in built.policy.named_buffers():
            if name.endswith(("normalizer.mean", "running_mean")):
                buffer.normal_()
            elif name.endswith(("normalizer.variance", "running_var")):
                buffer.uniform_(0.5, 2.0)
    built.eval_mode()
    return built, context


def save(folder, built):
    """Write a checkpoint of what `build` has built; returns the folder."""
    algorithm, context = built
    folder.mkdir(parents=True, exist_ok=True)
    made_with = Provenance.of(context.config, context.registry)
    config = unstructure(context.config)
    state = algorithm.state_dict()
    checkpoint = Checkpoint(7, config, context.env_spec, (made_with,), state, {}, ({},))
    save_checkpoint(folder / "model_7.pt", checkpoint)
    return folder
