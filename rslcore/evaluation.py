"""From a run on disk to a policy that acts, and to its mean return."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy
import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.config import ExperimentConfig, override_config, structure, unstructure
from rslcore.context import Context
from rslcore.device import limited_threads, resolve_device
from rslcore.distributed import alone
from rslcore.errors import CheckpointError, ConfigError, Problem, listed
from rslcore.playing import returns_and_lengths
from rslcore.registry import Registry, default_registry
from rslcore.run.checkpoint import Checkpoint, checkpoint_config
from rslcore.run.compatibility import check_plugins
from rslcore.run.folder import RunFolder
from rslcore.run.provenance import Provenance
from rslcore.run.recovery import load_checkpoint_of
from rslcore.seeding import seed_everything
from rslcore.specs import EnvSpec
from rslcore.training import build_algorithm, num_steps_per_env

if TYPE_CHECKING:
    import os

    from rslcore.protocols import Algorithm


@attrs.frozen
class Origin:
    """The checkpoint that a policy was loaded from.

    Attributes:
        path: The file.
        iteration: Its iteration.
        made_with: The plugins and versions that wrote it.
    """

    path: Path
    iteration: int
    made_with: Provenance


class InferencePolicy:
    """A trained policy: deterministic, normalizers included.

    Args:
        algorithm: In evaluation mode, with its state loaded.
        context: What the algorithm was built with.
        origin: Where its state is from.

    Attributes:
        spec: Of the env that the policy was trained in: its observation groups and actions.
        device: Where the policy is.
        algorithm: What acts.
        origin: The checkpoint that it was loaded from; None if it was part of another one, or never in one.
    """

    def __init__(self, algorithm: Algorithm, context: Context, origin: Origin | None = None) -> None:
        self.spec = context.env_spec
        self.device = context.device
        self.algorithm = algorithm
        self.origin = origin
        self._config = context.config
        self._made_with = Provenance.of(context.config, context.registry)

    @torch.no_grad()
    def __call__(self, obs: TensorDict | Mapping[str, Any]) -> Tensor:
        """Actions `[N, A]` for observation groups `[N, ...]`, given as a TensorDict or as a mapping of arrays.

        Groups that acting does not need (see `groups`), such as those of a critic, may be left out.

        Raises ValueError if a group is missing or has another shape, TypeError if `obs` is no mapping.

        Continuous actions of a bounded env are in [-1, 1], as the env plugin takes them.
        """
        if not isinstance(obs, TensorDict | Mapping):
            expected = listed(self.groups)
            raise TypeError(f"observations should be a mapping with the groups {expected}, not {type(obs).__name__}")
        groups = {}
        for name in self.groups:
            spec = self.spec.observations[name]
            if name not in obs.keys():  # noqa: SIM118 - a TensorDict is no mapping of its keys
                raise ValueError(
                    f"the policy needs the observation group '{name}', it was given {listed(map(str, obs.keys()))}"
                )
            group = torch.as_tensor(obs[name], device=self.device, dtype=getattr(torch, spec.dtype))
            if tuple(group.shape[1:]) != spec.shape or group.dim() == 0:
                expected = ", ".join(map(str, ("N", *spec.shape)))
                raise ValueError(f"observation group '{name}' should be [{expected}], it is {list(group.shape)}")
            groups[name] = group
        batch = TensorDict(groups, batch_size=[len(next(iter(groups.values())))])
        return self.algorithm.act_inference(batch)

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """The observation groups that acting needs; found by leaving out one after the other."""
        rows = {
            name: torch.zeros(1, *spec.shape, dtype=getattr(torch, spec.dtype), device=self.device)
            for name, spec in self.spec.observations.items()
        }
        needed = []
        for name in rows:
            others = {other: row for other, row in rows.items() if other != name}
            try:
                with torch.no_grad():
                    self.algorithm.act_inference(TensorDict(others, batch_size=[1]))
            except Exception:  # whatever the plugins that read it raise
                needed.append(name)
        self.algorithm.reset()
        return tuple(needed)

    def reset(self, dones: Any = None) -> None:
        """Forget what the policy remembers of the envs in `dones [N]`, given as anything that torch makes flags of.

        Without `dones`, and where the policy is called with another number of rows than before, it forgets all.
        """
        flags = None if dones is None else torch.as_tensor(dones, device=self.device).bool().reshape(-1)
        self.algorithm.reset(flags)

    def local_state_dict(self) -> dict[str, Any]:
        """What the policy remembers of the running episodes."""
        return self.algorithm.local_state_dict()

    def load_local_state_dict(self, state: Mapping[str, Any], same_episodes: bool) -> None:
        """The inverse of `local_state_dict`; without `same_episodes`, what was remembered is left out."""
        self.algorithm.load_local_state_dict(state, same_episodes)

    def state_dict(self) -> dict[str, Any]:
        """The whole policy as plain data and tensors, so that a checkpoint of another run can carry it."""
        return {
            "config": unstructure(self._config),
            "env_spec": self.spec.to_dict(),
            "made_with": self._made_with.to_dict(),
            "algorithm": self.algorithm.state_dict(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], device: torch.device, registry: Registry) -> InferencePolicy:
        """The inverse of `state_dict`.

        Raises:
            CheckpointError: The policy was made with plugins that are not here now.
            ConfigError: The installed plugins do not fit the config that the policy was trained with.
        """
        if "made_with" in state:  # checkpoints of before do not say
            check_plugins(Provenance.from_dict(state["made_with"]), registry, "a policy in the checkpoint")
        config = structure(state["config"], ExperimentConfig, registry, "the config of a policy in the checkpoint")
        spec = EnvSpec.from_dict(state["env_spec"])
        steps = num_steps_per_env(config)
        context = Context(registry, config, device, config.seed, steps, spec=spec, restoring=True)
        return _policy(context, state["algorithm"])


@attrs.frozen
class EvaluationResult:
    """Returns and lengths of whole episodes.

    Attributes:
        checkpoint: The file that was evaluated.
        iteration: Its iteration.
        returns: Undiscounted return of each episode.
        lengths: Number of steps of each episode.
    """

    checkpoint: Path
    iteration: int
    returns: tuple[float, ...]
    lengths: tuple[int, ...]

    def summary(self) -> dict[str, dict[str, float]]:
        """Mean, standard deviation, smallest and largest of `return` and `length`."""
        columns = {"return": self.returns, "length": self.lengths}
        return {
            name: {
                "mean": float(numpy.mean(values)),
                "std": float(numpy.std(values)),
                "min": float(numpy.min(values)),
                "max": float(numpy.max(values)),
            }
            for name, values in columns.items()
        }


def load_policy(
    run: str | os.PathLike[str],
    *,
    checkpoint: str | int = "latest",
    device: str = "cpu",
    registry: Registry | None = None,
) -> InferencePolicy:
    """Load a trained policy; its env need not be installed.

    Args:
        run: The run's folder, a checkpoint in it, or the folder of an experiment, whose latest run is taken.
        checkpoint: `latest`, `best`, an iteration, or a file.
        device: Where the policy acts.
        registry: Where components are looked up; the installed plugins by default.

    Raises:
        RunError: There is no such run or checkpoint.
        CheckpointError: The checkpoint is damaged, or does not fit the installed plugins.
    """
    registry = registry if registry is not None else default_registry()
    loaded, config, path = _load(run, checkpoint, registry)
    steps = num_steps_per_env(config)
    context = Context(
        registry, config, resolve_device(device), config.seed, steps, spec=loaded.env_spec, restoring=True
    )
    return _policy(context, loaded.algorithm, Origin(path, loaded.iteration, loaded.history[-1]))


def evaluate(
    run: str | os.PathLike[str],
    *,
    checkpoint: str | int = "latest",
    episodes: int = 100,
    seed: int | None = None,
    device: str | None = None,
    overrides: Iterable[str] = (),
    registry: Registry | None = None,
) -> EvaluationResult:
    """Run a trained policy, deterministically, for whole episodes.

    Every env plays the same number of episodes, give or take one, so that short episodes are not over-represented.
    Where none ends for very long, as in an env without a time limit, a warning says so.

    Args:
        run: As for `load_policy`.
        checkpoint: As for `load_policy`.
        episodes: Number of episodes, at least 1.
        seed: Of the envs; by default another one than training had.
        device: As in a config; that of the run by default.
        overrides: Of the env, `env.key=value`, where it is to be another one than in training.
        registry: Where components are looked up; the installed plugins by default.

    Raises:
        RslcoreError: As `load_policy`, or the env cannot be made.
    """
    if episodes < 1:
        raise ValueError(f"episodes should be at least 1, it is {episodes}")
    registry = registry if registry is not None else default_registry()
    loaded, config, path = _load(run, checkpoint, registry, "rslcore eval")
    config = _with_env(config, list(overrides), registry)
    seed = config.seed + 10_000 if seed is None else seed
    seed_everything(seed)
    context = Context(
        registry, config, resolve_device(device or config.device), seed, num_steps_per_env(config), restoring=True
    )
    with limited_threads(config.num_threads), contextlib.closing(context.build(config.env, "env")) as env:
        if (env.spec.observations, env.spec.actions) != (loaded.env_spec.observations, loaded.env_spec.actions):
            raise CheckpointError(
                f"'{path}' was trained with observations {loaded.env_spec.observations} and actions "
                f"{loaded.env_spec.actions}; the env now has {env.spec.observations} and {env.spec.actions}"
            )
        # Built without the env, as on a robot, so that nothing which only training needs is asked for.
        policy = _policy(attrs.evolve(context, spec=loaded.env_spec), loaded.algorithm)
        returns, lengths = returns_and_lengths(env, policy, episodes)
    return EvaluationResult(path, loaded.iteration, tuple(returns), tuple(lengths))


def _with_env(config: ExperimentConfig, overrides: list[str], registry: Registry) -> ExperimentConfig:
    """The config with another env; what has been learned fits no other policy or algorithm."""
    if others := [each for each in overrides if each.partition("=")[0].partition(".")[0] != "env"]:
        raise ConfigError(
            [
                Problem(each.partition("=")[0], "is the run's own; only the env may be changed, by env.key=value")
                for each in others
            ]
        )
    return override_config(config, overrides, registry) if overrides else config


def _load(
    run: str | os.PathLike[str], checkpoint: str | int, registry: Registry, command: str | None = None
) -> tuple[Checkpoint, ExperimentConfig, Path]:
    given = Path(run)
    folder = RunFolder.find(given)
    path = (
        given
        if given.is_file() and given.suffix == ".pt" and checkpoint == "latest"
        else folder.checkpoint(str(checkpoint))
    )
    loaded = load_checkpoint_of(folder, path, command)
    config = checkpoint_config(loaded, path, registry)
    return loaded, config, path


def _policy(context: Context, state: Mapping[str, Any], origin: Origin | None = None) -> InferencePolicy:
    with alone():  # acting is nothing that ranks do together: one of them may load a policy by itself
        algorithm = build_algorithm(context)
        algorithm.load_state_dict(state)
        algorithm.eval_mode()
    return InferencePolicy(algorithm, context, origin)
