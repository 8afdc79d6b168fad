"""The extensions that an algorithm carries, and the loops over their hooks.

A hook that nobody overrides costs an empty loop. Extensions compose: several of them, from several plugins, work in one
run.

Legend: N envs, A actions.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import attrs
from tensordict import TensorDict
from torch import Tensor

from rslcore import protocols
from rslcore.batch import Batch
from rslcore.config import ExtensionComponent
from rslcore.context import Context
from rslcore.distributed import num_ranks, rank
from rslcore.errors import CheckpointError, ConfigError, ExtensionError, Problem, RankError, RslcoreError, listed
from rslcore.extension import Bindings, Extension, Transition
from rslcore.extension_checks import check_group, check_hooks, check_lengths, check_undeclared
from rslcore.hooks import HOOKS, Hooks, code_fault, overrides
from rslcore.modules import ModuleTable
from rslcore.protocols import EnvStep, Policy, Storage
from rslcore.specs import EnvSpec, TensorSpec

_MEMORY_HOOKS = ("local_state_dict", "after_act", "extend_final_obs", "reset")
"""Hooks that an extension which changes observations has no use for, unless it remembers something; the one that says
so best is last."""


class ExtensionList:
    """The extensions of an algorithm, and the loops over their hooks.

    Built in three steps: the extensions first, which may add observation groups (`extend`), then the policy and the
    storage of the algorithm, then `bind`.

    Args:
        components: From the algorithm's config.
        context: The algorithm's.
        calls: The hooks that the algorithm calls; all by default.

    Raises:
        ConfigError: An extension has a hook that the algorithm never calls.
        ExtensionError: An extension has a method that is nearly called as a hook, or a hook of other arguments.
    """

    def __init__(
        self, components: Sequence[ExtensionComponent], context: Context, calls: Collection[str] = HOOKS
    ) -> None:
        self._context = context
        self.extensions: list[Extension] = [
            context.build(component, f"extensions[{index}]") for index, component in enumerate(components)
        ]
        self._names: list[str] = []
        for component in components:
            count = sum(name.partition("#")[0] == component.name for name in self._names)
            self._names.append(f"{component.name}#{count + 1}" if count else component.name)
        for name, extension in zip(self._names, self.extensions, strict=True):
            check_hooks(name, extension)
        self._sources = [
            f"extension '{name}' of {context.registry.find('extension', component.name).source}"
            for name, component in zip(self._names, components, strict=True)
        ]
        self.hooks = Hooks(self.extensions, self._names, self._sources)
        self._refuse_hooks_but(calls)
        self._added: dict[str, tuple[str, TensorSpec]] = {}  # observation groups, by whom and of what shape
        self._groups_checked = False  # whether the first observations were looked at for groups that nobody declares
        self._owners: dict[str, str] = {}  # of losses, by the name under which they are logged

    def _refuse_hooks_but(self, calls: Collection[str]) -> None:
        problems: list[Problem] = []
        for index, (name, extension) in enumerate(zip(self._names, self.extensions, strict=True)):
            never = [f"`{hook}`" for hook in HOOKS if hook not in calls and overrides(extension, hook)]
            if never:
                algorithm = self._context.config.algorithm.name
                message = f"'{name}' works through {', '.join(never)}, which '{algorithm}' never calls; leave it out"
                problems += self._context.error(f"extensions[{index}]", message).problems
        if problems:
            raise ConfigError(problems)

    def extend(self, spec: EnvSpec) -> EnvSpec:
        """The env's spec with the observation groups that extensions add.

        Raises:
            PluginFaultError: The code of an extension raises.
        """
        groups = dict(spec.observations)
        for index, extension in enumerate(self.extensions):
            with self._blamed(index, "observation_groups"):
                added = extension.observation_groups()
            groups.update(added)
            self._added.update({group: (self._names[index], each) for group, each in added.items()})
        return attrs.evolve(spec, observations=groups)

    def bind(self, policy: Policy, modules: ModuleTable, storage: Storage) -> None:
        """Let each extension register its modules, then declare its columns, which may be named after it.

        Raises:
            ConfigError: An extension takes a name that another one has taken.
            PluginFaultError: Its code raises something else.
        """
        groups = self.extend(self._context.env_spec).observations
        for index, extension in enumerate(self.extensions):
            try:
                with self._blamed(index, "bind"):
                    extension.bind(Bindings(policy, modules, storage, groups, self._names[index]))
                with self._blamed(index, "fields"):
                    storage.add_fields(extension.fields())
            except ExtensionError as error:  # a name that another extension has taken
                raise self._context.error(f"extensions[{index}]", str(error)) from error

    @contextlib.contextmanager
    def _blamed(self, index: int, hook: str) -> Iterator[None]:
        """What an extension's code raises here is its own fault, not that of the algorithm that is being built."""
        try:
            yield
        except RslcoreError:
            raise
        except Exception as error:
            raise code_fault(self._sources[index], hook, error) from error

    def observe(self, obs: TensorDict) -> TensorDict:
        """Observations to act on, with what extensions add; once for each that the env gives."""
        seen = obs
        for before_act in self.hooks.before_act:
            seen = before_act(seen)
        for group, (name, spec) in self._added.items():
            check_group(name, group, spec, seen)
        if not self._groups_checked:
            self._groups_checked = True
            check_undeclared(obs, seen, self._added)
        return seen

    def act(self, obs: TensorDict, choose: Callable[[TensorDict], Tensor]) -> Tensor:
        """The actions `[N, A]` that `choose` takes for observations with what extensions add; the hooks around it."""
        seen = self.observe(obs)
        actions = choose(seen)
        for after_act in self.hooks.after_act:
            after_act(seen, actions)
        return actions

    def peek(self, obs: TensorDict) -> TensorDict:
        """The same for observations that nobody acts on, or not yet: the last ones of episodes and of a rollout."""
        for extend_final_obs in self.hooks.extend_final_obs:
            obs = extend_final_obs(obs)
        return obs

    def memories(self) -> dict[str, str]:
        """Extensions that change observations, maybe by what they remember of an episode, and the hook that says so."""
        return {
            name: hook
            for name, extension in zip(self._names, self.extensions, strict=True)
            if overrides(extension, "before_act")
            for hook in _MEMORY_HOOKS
            if getattr(type(extension), hook) is not getattr(protocols.Extension, hook)
        }

    def reset(self, dones: Tensor | None = None) -> None:
        """Tell extensions that episodes of the envs in `dones [N]`, or of all, have ended."""
        for reset in self.hooks.reset:
            reset(dones)

    def train_mode(self, mode: bool) -> None:
        """Tell extensions whether the algorithm trains or only acts."""
        for train_mode in self.hooks.train_mode:
            train_mode(mode)

    def transition(self, obs: TensorDict, actions: Tensor, step: EnvStep) -> Transition:
        """What hooks are given of a step; `obs` are those that `observe` made."""
        return Transition(obs, actions, step, self.peek)

    def draw(self, batches: Iterator[Batch], num_updates: int, batch_size: int) -> Iterator[Batch]:
        """Minibatches with what samplers draw for each, and augmented.

        Raises:
            RankError: There are fewer than `num_updates`, and other ranks wait for each.
        """
        samplers: dict[str, Iterator[Any]] = {}
        for hook in self.hooks.samplers:
            for name, iterator in hook(num_updates, batch_size).items():
                if name in samplers:
                    raise ExtensionError(f"two extensions have a sampler '{name}'; one must choose another name")
                samplers[name] = iterator
        num_batches = 0
        for batch in batches:
            num_batches += 1
            for name, iterator in samplers.items():
                try:
                    batch.samples[name] = next(iterator)
                except StopIteration:
                    raise ExtensionError(f"the sampler '{name}' gave fewer than the {num_updates} items") from None
            for augment in self.hooks.augment:
                batch = augment(batch)
            if self.hooks.augment:
                check_lengths(batch)
            yield batch
        if num_batches < num_updates and num_ranks() > 1:
            raise RankError(
                f"rank {rank()} has transitions for {num_batches} of {num_updates} minibatches only, and others wait "
                "for it; take more envs or steps, or fewer minibatches"
            )

    def losses(
        self, batch: Batch, outputs: Mapping[str, Any], taken: Collection[str] = ()
    ) -> dict[str, tuple[Tensor, float]]:
        """All extra losses and their weights; a name that another one has, or that is `taken`, gets a number."""
        named: dict[str, tuple[Tensor, float]] = {}
        for losses in self.hooks.losses:
            for name, loss in losses(batch, outputs).items():
                count = sum(key.partition("#")[0] == name for key in named) + (name in taken)
                logged = f"{name}#{count + 1}" if count else name
                named[logged] = loss
                self._owners[logged] = losses.extension  # type: ignore[attr-defined]
        return named

    @property
    def reads_outputs(self) -> bool:
        """Whether an extension looks at what the algorithm computes for a minibatch."""
        return bool(self.hooks.losses or self.hooks.after_backward or self.hooks.after_minibatch)

    @property
    def are_row_wise(self) -> bool:
        """Whether a part of a minibatch is enough for the hooks of all that look at one."""
        looking = ("losses", "after_backward", "after_minibatch")
        return all(each.is_row_wise for each in self.extensions if any(overrides(each, hook) for hook in looking))

    def owner_of_loss(self, name: str) -> str | None:
        """The extension that a loss comes from, by the name under which it is logged; None for the algorithm's own."""
        return self._owners.get(name)

    def state_dict(self) -> dict[str, Any]:
        """The state of each extension by name; a second one of a name has a number."""
        return {name: extension.state_dict() for name, extension in zip(self._names, self.extensions, strict=True)}

    def local_state_dict(self) -> dict[str, Any]:
        """What this process alone has of each extension, by name."""
        return {name: each.local_state_dict() for name, each in zip(self._names, self.extensions, strict=True)}

    def load_local_state_dict(self, state: Mapping[str, Any], same_episodes: bool) -> None:
        """The inverse of `local_state_dict`; see `Extension.load_local_state_dict`."""
        for name, extension in zip(self._names, self.extensions, strict=True):
            extension.load_local_state_dict(state[name], same_episodes)

    def check_state(self, state: Mapping[str, Any]) -> None:
        """Raises CheckpointError if a state was made with other extensions."""
        if set(self._names) != state.keys():
            raise CheckpointError(
                f"the checkpoint was made with the extensions {listed(state)}, this config has {listed(self._names)}"
            )

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`."""
        for name, extension in zip(self._names, self.extensions, strict=True):
            extension.load_state_dict(state[name])
