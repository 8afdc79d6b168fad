"""Extension: what a plugin adds to an algorithm without editing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rslcore.extension import Bindings


@runtime_checkable
class Extension(Protocol):
    """In practice a subclass of `rslcore.Extension`, whose every hook does nothing until it is overridden."""

    def bind(self, bindings: Bindings) -> None:
        """See the specs and the policy; register modules."""

    def state_dict(self) -> dict[str, Any]:
        """State beside that of registered modules: tensors, plain containers and scalars."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`."""
