"""`module:attribute` strings: checked without importing the module, imported when needed."""

from __future__ import annotations

import importlib
import importlib.util
import re
from pathlib import Path
from typing import Any

from rslcore.errors import PluginError, PluginFaultError, nearest

_TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def find_target_fault(target: str) -> str | None:
    """What is certainly wrong with a target, found without importing its module; None if nothing is.

    The module's source is read, not run: an attribute whose name does not occur in it cannot exist, unless the module
    makes names dynamically (a star import or a module `__getattr__`).
    """
    if not isinstance(target, str):
        return f"{target!r} should be a string 'module:attribute', so that listing imports nothing"
    if not _TARGET.fullmatch(target):
        return f"'{target}' is not of the form 'module:attribute'"
    module, attribute = target.split(":")
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError as error:  # of a package that it lies in
        return f"'{target}': there is no module '{error.name}'"
    except ImportError as error:
        return f"'{target}': {error}"
    if spec is None:
        return f"'{target}': there is no module '{module}'"
    if spec.origin is None or not spec.origin.endswith(".py"):
        return None
    source = Path(spec.origin).read_text(encoding="utf-8", errors="replace")
    words = set(re.findall(r"\w+", source))
    if attribute in words or "__getattr__" in words or "import *" in source:
        return None
    return f"'{target}': module '{module}' has no '{attribute}'{nearest(attribute, words)}"


def import_target(target: str) -> Any:
    """Import what a target names.

    Raises:
        PluginError: The module does not import, or has no such attribute.
        PluginFaultError: Its code raises.
    """
    module_name, attribute = target.split(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise PluginError(f"'{target}' does not import: {error}") from error
    except Exception as error:
        raise PluginFaultError(f"'{target}' does not import: {type(error).__name__}: {error}") from error
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise PluginError(
            f"'{target}': module '{module_name}' has no '{attribute}'{nearest(attribute, vars(module))}"
        ) from None
