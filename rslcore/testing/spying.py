"""Watching an extension at work: its hooks are wrapped where the algorithm builds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import MethodType
from typing import Any

import attrs
from tensordict import TensorDict
from torch import Tensor, nn

from rslcore.extension import Bindings, Extension, Transition
from rslcore.hooks import HOOKS
from rslcore.registry import Registry
from rslcore.testing.values import copied


@attrs.define
class Call:
    """A call of a hook.

    Attributes:
        hook: Its name.
        before: A copy of its arguments, made before the call.
        arguments: The arguments themselves, after it.
        result: What it returned.
    """

    hook: str
    before: Any
    arguments: tuple[Any, ...]
    result: Any


class Spy:
    """What an extension was asked and what it did.

    Attributes:
        extension: The extension, once it is built.
        modules: The modules that it registered, by name.
        calls: All calls of hooks that take part in every step or minibatch.
    """

    def __init__(self) -> None:
        self.extension: Any = None
        self.modules: dict[str, nn.Module] = {}
        self.calls: list[Call] = []

    def of(self, hook: str) -> Iterator[Call]:
        """The calls of a hook."""
        return (call for call in self.calls if call.hook == hook)

    def watch(self, extension: Any) -> Any:
        """Wrap the hooks that an extension overrides."""
        self.extension = extension
        for hook in HOOKS:
            if getattr(type(extension), hook, None) not in (None, getattr(Extension, hook, None)):
                setattr(extension, hook, self._wrapped(hook, getattr(extension, hook)))
        bind = extension.bind

        def bind_and_look(bindings: Bindings) -> None:
            known = {id(entry.module) for entry in bindings.modules}
            bind(bindings)
            new = [entry.module for entry in bindings.modules if id(entry.module) not in known]
            self.modules = {f"{type(module).__name__} {index}": module for index, module in enumerate(new)}

        extension.bind = bind_and_look
        return extension

    def _wrapped(self, hook: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(_: Any, *arguments: Any) -> Any:
            before = [copied(read_only(argument)) for argument in arguments]
            result = method(*arguments)
            self.calls.append(Call(hook, before, arguments, result))
            return result

        return MethodType(call, self.extension)


def read_only(argument: Any) -> Any:
    """What of an argument of a hook must not be written into; batches and storages are there to be changed."""
    if isinstance(argument, Transition):
        step = argument.step
        return {"obs": argument.obs, "actions": argument.actions, "rewards": step.rewards, "next obs": step.obs}
    return argument if isinstance(argument, Tensor | TensorDict) else None


class SpyRegistry(Registry):
    """A registry that watches the extension of one name.

    Args:
        registry: Whose plugins it has.
        name: The extension.
        spy: Gets what is seen.
    """

    def __init__(self, registry: Registry, name: str, spy: Spy) -> None:
        super().__init__(registry.plugins, registry.manager)
        self._name, self._spy = name, spy

    def factory(self, kind: str, name: str) -> Any:
        """What builds a component; the extension is watched from then on."""
        factory = super().factory(kind, name)
        if kind != "extension" or name != self._name:
            return factory
        return lambda config, context: self._spy.watch(factory(config, context))
