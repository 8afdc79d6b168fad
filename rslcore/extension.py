"""The base class of extensions, what their hooks are given, and the list of extensions that an algorithm carries.

The list looks once which hooks each extension overrides; a hook that nobody overrides costs an empty loop. Extensions
compose: several of them, from several plugins, work in one run.

Legend: N envs, A actions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import attrs
from tensordict import TensorDict
from torch import Tensor

from rslcore import protocols
from rslcore.batch import Batch
from rslcore.config import ExtensionComponent
from rslcore.context import Context
from rslcore.errors import CheckpointError, ExtensionError, listed
from rslcore.modules import ModuleTable
from rslcore.protocols import EnvStep, Policy, Storage
from rslcore.specs import EnvSpec, TensorSpec


@attrs.frozen
class Bindings:
    """What an extension may see and change of its algorithm.

    Attributes:
        policy: The policy that the algorithm trains, on its device.
        modules: Where the extension registers the modules that it trains.
        storage: Where the columns that it declared are written.
        groups: The observation groups that the policy sees, those that extensions add among them.
        name: The extension's own name in the algorithm, no other one's: `rnd`, and `rnd#2` for the second such.
    """

    policy: Policy
    modules: ModuleTable
    storage: Storage
    groups: Mapping[str, TensorSpec]
    name: str


@attrs.frozen
class Transition:
    """One step of N envs, from the observations that were acted on to what came of it.

    Attributes:
        obs: What the policy saw, `[N, ...]`, with the groups that extensions added.
        actions: What it did, `[N, A]`.
        step: What the env made of it.
    """

    obs: TensorDict
    actions: Tensor
    step: EnvStep

    @property
    def next_obs(self) -> TensorDict:
        """The true observations after the step, `[N, ...]`, as the env gives them: the last ones of ended episodes."""
        return self.step.obs if self.step.final_obs is None else self.step.final_obs


class Extension(protocols.Extension):
    """Base of extensions; override the hooks of `rslcore.protocols.Extension` that you need.

    Args:
        config: An instance of the extension's config class.
        context: The surroundings of the algorithm; `context.env_spec` is that of the env.
    """

    def __init__(self, config: Any, context: Context) -> None:
        self.config = config
        self.context = context


class Hooks:
    """The overridden hooks of a list of extensions: for each name a tuple of bound methods, in order."""

    start_iteration: tuple[Callable[[int, int], None], ...]
    before_act: tuple[Callable[[TensorDict], TensorDict], ...]
    extend_final_obs: tuple[Callable[[TensorDict], TensorDict], ...]
    reset: tuple[Callable[[Tensor | None], None], ...]
    train_mode: tuple[Callable[[bool], None], ...]
    shape_reward: tuple[Callable[[Transition, Tensor], Tensor], ...]
    after_step: tuple[Callable[[Transition], None], ...]
    after_rollout: tuple[Callable[[Storage], None], ...]
    samplers: tuple[Callable[[int, int], Mapping[str, Iterator[Any]]], ...]
    augment: tuple[Callable[[Batch], Batch], ...]
    losses: tuple[Callable[[Batch, Mapping[str, Any]], Mapping[str, tuple[Tensor, float]]], ...]
    after_minibatch: tuple[Callable[[Batch, Mapping[str, Any]], None], ...]
    after_update: tuple[Callable[[Storage], None], ...]
    metrics: tuple[Callable[[], Mapping[str, Tensor]], ...]

    def __init__(self, extensions: Sequence[protocols.Extension]) -> None:
        for hook in Hooks.__annotations__:
            setattr(self, hook, tuple(getattr(extension, hook) for extension in extensions if _has(extension, hook)))


class ExtensionList:
    """The extensions of an algorithm, and the loops over their hooks.

    Built in three steps: the extensions first, which may add observation groups (`extend`), then the policy and the
    storage of the algorithm, then `bind`.

    Args:
        components: From the algorithm's config.
        context: The algorithm's.
    """

    def __init__(self, components: Sequence[ExtensionComponent], context: Context) -> None:
        self._context = context
        self.extensions: list[Extension] = [
            context.build(component, f"extensions[{index}]") for index, component in enumerate(components)
        ]
        self.hooks = Hooks(self.extensions)
        self._names: list[str] = []
        for component in components:
            count = sum(name.partition("#")[0] == component.name for name in self._names)
            self._names.append(f"{component.name}#{count + 1}" if count else component.name)
        self._latest: tuple[TensorDict, TensorDict] | None = None  # what the env gave last, and what was made of it

    def overrides(self, index: int, hook: str) -> bool:
        """Whether an extension does something at a hook."""
        return _has(self.extensions[index], hook)

    def extend(self, spec: EnvSpec) -> EnvSpec:
        """The env's spec with the observation groups that extensions add."""
        groups = dict(spec.observations)
        for extension in self.extensions:
            groups.update(extension.observation_groups())
        return attrs.evolve(spec, observations=groups)

    def bind(self, policy: Policy, modules: ModuleTable, storage: Storage) -> None:
        """Let each extension register its modules, then declare its columns, which may be named after it.

        Raises:
            ConfigError: An extension takes a name that another one has taken.
        """
        groups = self.extend(self._context.env_spec).observations
        for index, extension in enumerate(self.extensions):
            try:
                extension.bind(Bindings(policy, modules, storage, groups, self._names[index]))
                storage.add_fields(extension.fields())
            except ValueError as error:  # a name that another extension has taken
                raise self._context.error(f"extensions[{index}]", str(error)) from error

    def observe(self, obs: TensorDict) -> TensorDict:
        """Observations with what extensions add, once for each that the env gives.

        The last ones of a rollout are asked for twice: for their values, and to act on in the next rollout.
        """
        if self._latest is None or self._latest[0] is not obs:
            seen = obs
            for before_act in self.hooks.before_act:
                seen = before_act(seen)
            self._latest = obs, seen
        return self._latest[1]

    def reset(self, dones: Tensor | None = None) -> None:
        """Tell extensions that episodes of the envs in `dones [N]`, or of all, have ended."""
        self._latest = None  # made with what is forgotten now
        for reset in self.hooks.reset:
            reset(dones)

    def train_mode(self, mode: bool) -> None:
        """Tell extensions whether the algorithm trains or only acts."""
        for train_mode in self.hooks.train_mode:
            train_mode(mode)

    def observe_final(self, final_obs: TensorDict) -> TensorDict:
        """The last observations of ended episodes, with what extensions add."""
        for extend_final_obs in self.hooks.extend_final_obs:
            final_obs = extend_final_obs(final_obs)
        return final_obs

    def draw(self, batches: Iterator[Batch], num_updates: int, batch_size: int) -> Iterator[Batch]:
        """Minibatches with what samplers draw for each, and augmented."""
        samplers: dict[str, Iterator[Any]] = {}
        for hook in self.hooks.samplers:
            for name, iterator in hook(num_updates, batch_size).items():
                if name in samplers:
                    raise ExtensionError(f"two extensions have a sampler '{name}'; one must choose another name")
                samplers[name] = iterator
        for batch in batches:
            for name, iterator in samplers.items():
                try:
                    batch.samples[name] = next(iterator)
                except StopIteration:
                    raise ExtensionError(f"the sampler '{name}' gave fewer than the {num_updates} items") from None
            for augment in self.hooks.augment:
                batch = augment(batch)
            if self.hooks.augment:
                _check_lengths(batch)
            yield batch

    def losses(
        self, batch: Batch, outputs: Mapping[str, Any], taken: Collection[str] = ()
    ) -> dict[str, tuple[Tensor, float]]:
        """All extra losses and their weights; a name that another one has, or that is `taken`, gets a number."""
        named: dict[str, tuple[Tensor, float]] = {}
        for losses in self.hooks.losses:
            for name, loss in losses(batch, outputs).items():
                count = sum(key.partition("#")[0] == name for key in named) + (name in taken)
                named[f"{name}#{count + 1}" if count else name] = loss
        return named

    def state_dict(self) -> dict[str, Any]:
        """The state of each extension by name; a second one of a name has a number."""
        return {name: extension.state_dict() for name, extension in zip(self._names, self.extensions, strict=True)}

    def check_state(self, state: Mapping[str, Any]) -> None:
        """Raises CheckpointError if a state was made with other extensions."""
        if set(self._names) != state.keys():
            raise CheckpointError(
                f"the checkpoint was made with the extensions {listed(state)}, this config has {listed(self._names)}"
            )

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self._latest = None
        for name, extension in zip(self._names, self.extensions, strict=True):
            extension.load_state_dict(state[name])


def _check_lengths(batch: Batch) -> None:
    lengths = {f"column '{name}'": len(column) for name, column in batch.columns.items()}
    if batch.sequences is not None:
        lengths["the sequences (see `Sequences.tile`)"] = len(batch.sequences.of_rows)
    wrong = [f"{name} has {length}" for name, length in lengths.items() if length != len(batch)]
    if wrong:
        raise ExtensionError(f"`augment` returned observations of {len(batch)} rows, but {', '.join(wrong)}")


def _has(extension: protocols.Extension, hook: str) -> bool:
    # What changes observations for acting changes final ones too, through the default body of `extend_final_obs`.
    names = (hook, "before_act") if hook == "extend_final_obs" else (hook,)
    return any(getattr(type(extension), name) is not getattr(protocols.Extension, name) for name in names)
