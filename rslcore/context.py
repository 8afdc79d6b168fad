"""What a component is given when it is built, beside its own config."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import attrs

from rslcore.config import Component, ExperimentConfig
from rslcore.errors import ConfigError, PluginFaultError, RslcoreError
from rslcore.memory import is_about_memory, memory_reason
from rslcore.registry import Registry

if TYPE_CHECKING:
    import torch

    from rslcore.protocols import Env
    from rslcore.specs import EnvSpec


@attrs.frozen
class Context:
    """The surroundings of a component, and the way to build the components that it is made of.

    Attributes:
        registry: Where factories are found.
        config: The config of the whole run.
        device: Where tensors and modules go.
        seed: The seed of the envs; env i of N gets seed + i.
        num_steps_per_env: T, the number of env steps in a rollout.
        spec: What the env says of itself; None only while the env itself is being built.
        env: The env; None while it is being built, and where a policy is loaded without its env.
        restoring: Whether the state of a checkpoint is about to be loaded into what is built, so that nothing needs to
            be fetched from elsewhere.
        path: Place of the component in the config, for messages.
    """

    registry: Registry
    config: ExperimentConfig
    device: torch.device
    seed: int
    num_steps_per_env: int
    spec: EnvSpec | None = None
    env: Env | None = None
    restoring: bool = False
    path: str = ""

    @property
    def env_spec(self) -> EnvSpec:
        """The spec, for all components but the env itself."""
        assert self.spec is not None, "only an env is built before there is a spec"
        return self.spec

    def build(self, component: Component, at: str, **parts: Any) -> Any:
        """Build a component that this one is made of.

        Args:
            component: From this component's config.
            at: Its place in this component's config (`actor.network`), for messages.
            parts: What its kind of factory takes beside config and context; see `rslcore.registry.Registrar`.

        Raises:
            RslcoreError: As the factory raises it, or if there is no such component, or no memory for it.
            PluginFaultError: The factory raised something else, or cannot be called in this way.
        """
        factory = self.registry.factory(component.kind, component.name)
        context = attrs.evolve(self, path=self._inside(at))
        try:
            return factory(component.config, context, **parts)
        except RslcoreError:
            raise
        except Exception as error:
            if is_about_memory(error):
                reason = memory_reason(error)
                raise ConfigError.at(
                    context.path, f"needs more memory than there is; give smaller numbers ({reason})"
                ) from error
            what = f"failed when it was built: {type(error).__name__}: {error}"
            if fault := _call_fault(factory, component.config, context, **parts):
                target = self.registry.find(component.kind, component.name).factory
                arguments = ", ".join(("config", "context", *parts))
                what = f"cannot be built: '{target}' is called with ({arguments}): {fault}"
            raise self.fault(component, what) from error

    def build_as(self, protocol: Any, component: Component, at: str, lacks: str, advice: str = "") -> Any:
        """Build a component of which the algorithm asks more than its kind does.

        Args:
            protocol: What it must be, of `rslcore.protocols` or the algorithm's own.
            component: From this component's config.
            at: Its place in this component's config.
            lacks: What a component that is something else lacks, for the message: `keeps no rollout`.
            advice: What to write instead.

        Raises:
            ConfigError: It is something else.
        """
        built = self.build(component, at)
        if not isinstance(built, protocol):
            needs = f"'{component.name}' {lacks}, which algorithm '{self.config.algorithm.name}' needs"
            raise self.error(f"{at}.name", f"{needs}; {advice}" if advice else needs)
        return built

    def fault(self, component: Component, what: str) -> PluginFaultError:
        """The error to raise, from its cause, where the code of another component has raised; `what` happened to it."""
        entry = self.registry.find(component.kind, component.name)
        return PluginFaultError(f"{entry.kind} '{entry.name}' of {entry.source} {what}")

    def error(self, field: str, message: str) -> ConfigError:
        """The error to raise when a field of this component's config does not fit its surroundings."""
        return ConfigError.at(self._inside(field), message)

    def _inside(self, at: str) -> str:
        return f"{self.path}.{at}" if self.path else at


def _call_fault(factory: Any, *arguments: Any, **parts: Any) -> str:
    """Why a factory cannot take these arguments; nothing if it can, or does not say what it takes."""
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):
        return "" if callable(factory) else "it cannot be called"
    try:
        signature.bind(*arguments, **parts)
    except TypeError as error:
        return str(error)
    return ""
