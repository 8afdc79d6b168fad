"""rslcore: a small core for robot learning, in which every algorithm, policy, storage and runner is a plugin.

import rslcore

config = rslcore.load_config("cartpole", ["seed=2"])
run = rslcore.train(config)
print(rslcore.evaluate(run.path).summary())
policy = rslcore.load_policy(run.path)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rslcore.batch import Batch
    from rslcore.config import ExperimentConfig, load_config
    from rslcore.evaluation import EvaluationResult, InferencePolicy, evaluate, load_policy
    from rslcore.extension import Bindings, Extension, Transition
    from rslcore.training import TrainingResult, train

__version__ = "0.1.0"

# Imported when first used: `rslcore list-plugins` must not wait for torch.
_LAZY = {
    "Batch": "rslcore.batch",
    "Bindings": "rslcore.extension",
    "EvaluationResult": "rslcore.evaluation",
    "ExperimentConfig": "rslcore.config",
    "Extension": "rslcore.extension",
    "InferencePolicy": "rslcore.evaluation",
    "TrainingResult": "rslcore.training",
    "Transition": "rslcore.extension",
    "evaluate": "rslcore.evaluation",
    "load_config": "rslcore.config",
    "load_policy": "rslcore.evaluation",
    "train": "rslcore.training",
}

__all__ = [
    "Batch",
    "Bindings",
    "EvaluationResult",
    "ExperimentConfig",
    "Extension",
    "InferencePolicy",
    "TrainingResult",
    "Transition",
    "__version__",
    "evaluate",
    "load_config",
    "load_policy",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'rslcore' has no attribute '{name}'")
    return getattr(importlib.import_module(_LAZY[name]), name)
