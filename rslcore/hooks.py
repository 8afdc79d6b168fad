"""The hooks of a list of extensions: which are overridden, and calls of them that name whoever is at fault.

Legend: N envs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs
from tensordict import TensorDict
from torch import Tensor

from rslcore import protocols
from rslcore.batch import Batch
from rslcore.errors import ExtensionError, PluginFaultError, RslcoreError
from rslcore.extension import Transition
from rslcore.extension_checks import RESULT_CHECKS
from rslcore.protocols import RolloutStorage, Storage


class Hooks:
    """The overridden hooks of a list of extensions: for each name a tuple of calls, in order.

    A call that raises, or returns what the hook does not promise, says of which extension it is.

    Args:
        extensions: In the order in which they are called.
        names: Their names in the algorithm.
        sources: What each is called where its own code raises: `extension 'amp' of rslcore-amp 0.3`.
    """

    start_iteration: tuple[Callable[[int, int], None], ...]
    before_act: tuple[Callable[[TensorDict], TensorDict], ...]
    extend_final_obs: tuple[Callable[[TensorDict], TensorDict], ...]
    after_act: tuple[Callable[[TensorDict, Tensor], None], ...]
    reset: tuple[Callable[[Tensor | None], None], ...]
    train_mode: tuple[Callable[[bool], None], ...]
    shape_reward: tuple[Callable[[Transition, Tensor], Tensor], ...]
    after_step: tuple[Callable[[Transition], None], ...]
    after_rollout: tuple[Callable[[RolloutStorage], None], ...]
    after_returns: tuple[Callable[[RolloutStorage, Mapping[str, Any]], None], ...]
    samplers: tuple[Callable[[int, int], Mapping[str, Iterator[Any]]], ...]
    augment: tuple[Callable[[Batch], Batch], ...]
    losses: tuple[Callable[[Batch, Mapping[str, Any]], Mapping[str, tuple[Tensor, float]]], ...]
    after_backward: tuple[Callable[[Batch, Mapping[str, Any]], None], ...]
    after_minibatch: tuple[Callable[[Batch, Mapping[str, Any]], None], ...]
    after_update: tuple[Callable[[Storage], None], ...]
    metrics: tuple[Callable[[], Mapping[str, Tensor]], ...]

    def __init__(self, extensions: Sequence[protocols.Extension], names: Sequence[str], sources: Sequence[str]) -> None:
        for hook in HOOKS:
            calls = (
                HookCall(name, source, hook, getattr(extension, hook))
                for name, source, extension in zip(names, sources, extensions, strict=True)
                if overrides(extension, hook)
            )
            setattr(self, hook, tuple(calls))


HOOKS = tuple(Hooks.__annotations__)
"""Names of the hooks that an algorithm calls, in order, beside those with which it is built, saved and loaded."""


@attrs.frozen
class HookCall:
    """A hook of one extension, to be called as the extension's method is.

    Attributes:
        extension: The extension's name in the algorithm.
        source: What it is called where its own code raises.
        hook: The hook's name.
        method: The extension's bound method.
    """

    extension: str
    source: str
    hook: str
    method: Callable[..., Any]

    def __call__(self, *arguments: Any) -> Any:
        """Call the method.

        Raises:
            ExtensionError: The extension breaks the hook's contract.
            PluginFaultError: Its code raises.
        """
        try:
            result = self.method(*arguments)
            if self.hook in RESULT_CHECKS:
                RESULT_CHECKS[self.hook](result, *arguments)
        except ExtensionError as error:
            raise ExtensionError(f"extension '{self.extension}' in `{self.hook}`: {error}") from error
        except RslcoreError:
            raise
        except Exception as error:
            raise code_fault(self.source, self.hook, error) from error
        return result


def code_fault(source: str, hook: str, error: Exception) -> PluginFaultError:
    """The error to raise, from its cause, where the code of an extension raises in a hook."""
    return PluginFaultError(f"{source} failed in `{hook}`: {type(error).__name__}: {error}")


def overrides(extension: protocols.Extension, hook: str) -> bool:
    """Whether an extension does something at a hook."""
    # What changes observations for acting changes final ones too, through the default body of `extend_final_obs`.
    names = (hook, "before_act") if hook == "extend_final_obs" else (hook,)
    return any(getattr(type(extension), name) is not getattr(protocols.Extension, name) for name in names)
