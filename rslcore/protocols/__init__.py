"""What each kind of component is: a few methods each, and nothing to inherit from.

Legend for every shape in these modules: N envs, T steps of a rollout, B rows of a minibatch, A actions.
"""

from rslcore.protocols.algorithm import Algorithm, ExportableAlgorithm, LearningAlgorithm
from rslcore.protocols.distribution import Distribution
from rslcore.protocols.env import Env, EnvStep, PartialResetEnv, RandomStartEnv, StatefulEnv
from rslcore.protocols.extension import Extension
from rslcore.protocols.logger import Logger, ModelLogger, StatefulLogger
from rslcore.protocols.network import Network, RecurrentNetwork
from rslcore.protocols.policy import ActorCriticPolicy, Policy, StudentTeacherPolicy
from rslcore.protocols.runner import Runner
from rslcore.protocols.storage import ReplayStorage, RolloutStorage, Storage

__all__ = [
    "ActorCriticPolicy",
    "Algorithm",
    "Distribution",
    "Env",
    "EnvStep",
    "ExportableAlgorithm",
    "Extension",
    "LearningAlgorithm",
    "Logger",
    "ModelLogger",
    "Network",
    "PartialResetEnv",
    "Policy",
    "RandomStartEnv",
    "RecurrentNetwork",
    "ReplayStorage",
    "RolloutStorage",
    "Runner",
    "StatefulEnv",
    "StatefulLogger",
    "Storage",
    "StudentTeacherPolicy",
]
