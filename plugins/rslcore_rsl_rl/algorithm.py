"""rslcore's algorithms with the methods of rsl_rl's, for its runner and for scripts.

In a script of rsl_rl 5.x, `algorithm.class_name = "rslcore_rsl_rl:PPO"` lets rsl_rl's own runner train with them.

Legend: N envs, A actions.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self, cast

import torch
from torch import Tensor, nn

from rslcore.config import unstructure
from rslcore.metrics import to_floats
from rslcore_rsl_rl.building import Built, build
from rslcore_rsl_rl.checkpoints import algorithm_state, default_parts, from_dict, rsl_rl_state
from rslcore_rsl_rl.files import RslRlFile
from rslcore_rsl_rl.model import InferenceModel
from rslcore_rsl_rl.old_policy import OldPolicy
from rslcore_rsl_rl.teacher import teacher_config, teacher_state
from rslcore_rsl_rl.vec_env import VecEnvAdapter

_log = logging.getLogger(__name__)

_LOSS = "Loss/"


class RslRlAlgorithm:
    """What both algorithms have in common.

    Args:
        built: From `build`.

    Attributes:
        core: rslcore's algorithm itself.
        intrinsic_rewards: What the extension `rnd` added to the rewards of the latest step, `[N]`; None without it.
    """

    rsl_rl_name: ClassVar[str]
    """What rsl_rl calls it."""
    _acting: ClassVar[str] = "actor"

    def __init__(self, built: Built) -> None:
        self.core = cast(Any, built.algorithm)
        self.intrinsic_rewards: Tensor | None = None
        self._built = built
        self._iteration = 0
        self._num_steps = 0
        self._last_obs: Any = None
        self._policy = InferenceModel(self.core.policy, built.context)

    @classmethod
    def construct_algorithm(cls, obs: Any, env: Any, cfg: Mapping[str, Any], device: str) -> Self:
        """What rsl_rl's runner calls to build its algorithm.

        Args:
            obs: Not used; the env is asked.
            env: With rsl_rl's interface.
            cfg: The runner's dict. Of rsl_rl's own keys `rnd_cfg` is added where it is missing.
            device: Where is learned.
        """
        cfg["algorithm"].setdefault("rnd_cfg", None)  # which runners before 5.5 read without asking
        own = {**cfg, "algorithm": {**cfg["algorithm"], "class_name": cls.rsl_rl_name}}
        adapter = VecEnvAdapter(env, torch.device(device))
        algorithm = cls(build(own, adapter, torch.device(device)))
        algorithm.train_mode()
        return algorithm

    # Learning, as rsl_rl's runner does it

    def act(self, obs: Any) -> Tensor:
        """Sample actions `[N, A]` for observation groups `[N, ...]`."""
        with _collecting():
            if self._num_steps == 0:
                self.core.start_iteration(self._iteration, max(self._built.config.iterations, self._iteration + 1))
            actions: Tensor = self.core.act(self._built.env.to_observations(obs))
            self._note_params()
            return actions

    def _note_params(self) -> None:
        """Let the model know of what the latest actions were drawn, for its `output_std`."""

    def process_env_step(self, obs: Any, rewards: Tensor, dones: Tensor, extras: dict[str, Any]) -> None:
        """Take in what the env made of the last actions."""
        with _collecting():
            step = self._built.env.to_step(obs, rewards, dones, extras)
            self.core.process_env_step(step)
            if self.rnd is not None:
                self.intrinsic_rewards = self.core.storage.column("rewards")[self._num_steps] - step.rewards
            self._num_steps += 1

    def compute_returns(self, obs: Any) -> None:
        """Note the observations that the rollout has led to; returns are computed by `update`."""
        with _collecting():
            self._last_obs = self._built.env.to_observations(obs)

    def update(self) -> dict[str, float]:
        """Learn from the rollout; returns the mean losses by name, without `Loss/`."""
        metrics = to_floats(self.core.update(self._last_obs))
        self._iteration += 1
        self._num_steps, self._last_obs = 0, None
        losses = {name.removeprefix(_LOSS): value for name, value in metrics.items() if name.startswith(_LOSS)}
        losses.pop("learning_rate", None)  # the runner logs it itself
        return losses

    def broadcast_parameters(self) -> None:
        """Nothing: all ranks have begun with the parameters of the first one."""

    # What runners and scripts ask for

    @property
    def learning_rate(self) -> float:
        """The latest one."""
        return float(self.core.learning_rate)

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self.core.learning_rate.fill_(value)

    @property
    def rnd(self) -> Any:
        """The extension `rnd`, which has a `weight`; None without it."""
        config = self._built.config.algorithm.config
        names = [component.name for component in getattr(config, "extensions", ())]
        return self.core.extensions.extensions[names.index("rnd")] if "rnd" in names else None

    @property
    def storage(self) -> Any:
        """Where the rollout is kept."""
        return self.core.storage

    def get_policy(self) -> InferenceModel:
        """What acts, with the methods of rsl_rl's models."""
        return self._policy

    @property
    def policy(self) -> OldPolicy:
        """What rsl_rl 2 and 3 called `policy`."""
        return OldPolicy(self._policy, self._acting)

    @property
    def actor_critic(self) -> OldPolicy:
        """The same as rsl_rl 1 called it."""
        return self.policy

    def train_mode(self) -> None:
        """Put all that is trained in training mode."""
        self._policy.train()
        self.core.train_mode()

    def eval_mode(self) -> None:
        """Put all that is trained in evaluation mode."""
        self._policy.eval()
        self.core.eval_mode()

    def save(self) -> dict[str, Any]:
        """What rsl_rl 5.x would save of its algorithm, which it can load."""
        return rsl_rl_state(self.core.state_dict(), unstructure(self._built.config), self._iteration)

    def load(self, loaded_dict: Mapping[str, Any], load_cfg: Mapping[str, bool] | None, strict: bool = True) -> bool:
        """Load what `save` of this or of rsl_rl's class gave.

        Args:
            loaded_dict: As rsl_rl saves it, of any version.
            load_cfg: What of it is loaded, by `actor`, `critic`, `student`, `teacher`, `optimizer`, `iteration` and
                `rnd`; all by default, and of what PPO has trained the teacher alone, where there is a student.
            strict: Whether tensors that are missing or left over are an error; of another shape they always are.

        Returns:
            Whether the iteration is to be loaded too.

        Raises:
            CheckpointError: It does not fit; every tensor that does not is listed.
        """
        file, config = from_dict(loaded_dict, "the checkpoint"), unstructure(self._built.config)
        parts = default_parts(file, config) if load_cfg is None else {part for part in load_cfg if load_cfg[part]}
        teacher = self._teacher_of(file) if "teacher" in parts else None
        state, notes = algorithm_state(file, self.core.state_dict(), config, parts, teacher=teacher, strict=strict)
        for note in notes:
            _log.warning("rslcore_rsl_rl: %s", note)
        self.core.load_state_dict(state)
        return "iteration" in parts

    def _teacher_of(self, file: RslRlFile) -> dict[str, Any] | None:
        """The teacher that a checkpoint holds, for a policy that has one."""
        return None


class PPO(RslRlAlgorithm):
    """PPO with the methods of rsl_rl's."""

    rsl_rl_name = "PPO"

    def _note_params(self) -> None:
        """Those of the step that was just stored."""
        names = self.core.policy.distribution.param_specs()
        self._policy.params = {name: self.core.storage.column(f"params/{name}")[self._num_steps] for name in names}

    @property
    def actor(self) -> InferenceModel:
        """What acts."""
        return self.get_policy()

    @property
    def critic(self) -> nn.Module:
        """The network of the values."""
        critic: nn.Module = self.core.policy.critic
        return critic


class Distillation(RslRlAlgorithm):
    """Distillation with the methods of rsl_rl's. The teacher is there once a checkpoint is loaded."""

    rsl_rl_name = "Distillation"
    _acting = "student"

    @property
    def teacher_loaded(self) -> bool:
        """Whether there is a teacher."""
        return bool(self.core.policy.get_extra_state())

    def _teacher_of(self, file: RslRlFile) -> dict[str, Any]:
        """The teacher of a distillation's checkpoint, or what PPO has trained."""
        built = self._built
        return teacher_state(file, teacher_config(built.train_cfg, built.env.spec.observations), built.context)


@contextlib.contextmanager
def _collecting() -> Iterator[None]:
    """No gradients; rsl_rl collects in inference mode, whose tensors could not be learned from."""
    with torch.inference_mode(False), torch.no_grad():
        yield
