"""Builds and runs the algorithm of a case in rslcore."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import torch
from parity.case import MLP, Case
from parity.rollouts import Rollout
from torch import Tensor

from rslcore.config import ExperimentConfig, structure, unstructure
from rslcore.context import Context
from rslcore.evaluation import InferencePolicy
from rslcore.protocols import EnvStep
from rslcore.registry import default_registry
from rslcore.specs import ActionSpec, EnvSpec, TensorSpec
from rslcore.training import build_algorithm

TEACHER_RUN = "is not read"
"""A teacher is built beside the student."""

DEFAULTS = {"schedule": "fixed", "bootstrap": "last_value"}
"""PPO's options where a case says nothing: the future of a truncated episode is valued as rsl_rl does."""


@attrs.frozen
class ScriptedEnv:
    """Only its spec is asked for; a rollout is played from a script."""

    spec: EnvSpec


def make_context(case: Case, config: dict[str, Any]) -> Context:
    """The surroundings of a case's algorithm."""
    registry = default_registry()
    env = ScriptedEnv(
        EnvSpec(
            case.num_envs,
            {name: TensorSpec(shape) for name, shape in case.observations.items()},
            ActionSpec(case.num_actions, low=(-1.0,) * case.num_actions, high=(1.0,) * case.num_actions),
            keeps_final_obs=False,
        )
    )
    common = {
        "env": {"name": "gymnasium", "id": "CartPole-v1", "num_envs": case.num_envs},  # never built
        "runner": {"name": "on_policy", "num_steps_per_env": case.num_steps},
        "storage": {"name": "rollout"},
        "experiment": "parity",
        "iterations": 1,
    }
    structured = structure({**common, **config}, ExperimentConfig, registry)
    return Context(registry, structured, torch.device("cpu"), 0, case.num_steps, spec=env.spec, env=env)


def config_of(algorithm: Any) -> dict[str, Any]:
    """The config that an algorithm was built with, as plain data."""
    plain: dict[str, Any] = unstructure(algorithm.extensions._context.config)
    return plain


def build_ppo(case: Case) -> Any:
    """PPO with an actor-critic policy, in training mode."""
    return build_trained(make_context(case, ppo_config(case)))


def ppo_config(case: Case) -> dict[str, Any]:
    """Policy and algorithm of PPO."""
    return {
        "policy": {
            "name": "actor_critic",
            "actor": {"network": case.actor, "distribution": case.distribution},
            "critic": {"network": case.critic},
            "share_encoders": case.share_encoders,
        },
        "algorithm": {
            "name": "ppo",
            "shuffle": "none" if case.is_recurrent else "rollout",
            **DEFAULTS,
            **case.algorithm,
        },
    }


def build_trained(context: Context) -> Any:
    """The algorithm of a context, in training mode."""
    algorithm: Any = build_algorithm(context)
    algorithm.train_mode()
    return algorithm


def build_teacher(case: Case) -> Any:
    """An algorithm whose actor is the teacher of a case."""
    assert case.teacher is not None
    return build_ppo(attrs.evolve(case, actor=case.teacher, critic=MLP, algorithm={}))


def build_distillation(case: Case, trained: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Distillation of the actor of an algorithm, in training mode."""
    context = make_context(case, distillation_config(case))
    trained.eval_mode()
    policy = InferencePolicy(trained, context)
    monkeypatch.setattr("rslcore_student_teacher.policy.find_teacher", lambda config, context: policy)
    return build_trained(context)


def distillation_config(case: Case) -> dict[str, Any]:
    """Policy and algorithm of distillation."""
    return {
        "policy": {
            "name": "student_teacher",
            "student": {"network": case.actor, "distribution": case.distribution},
            "teacher": {"run": TEACHER_RUN},
        },
        "algorithm": {"name": "distillation", **case.algorithm},
    }


def collect(algorithm: Any, rollout: Rollout) -> list[Tensor]:
    """Act through a rollout; the actions of each step."""
    actions = []
    with algorithm.rollout_context():
        for t, obs in enumerate(rollout.obs[:-1]):
            actions.append(algorithm.act(obs))
            step = EnvStep(rollout.obs[t + 1], rollout.rewards[t], rollout.terminated[t], rollout.truncated[t])
            algorithm.process_env_step(step)
    return actions
