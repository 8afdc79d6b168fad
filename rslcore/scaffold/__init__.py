"""Writes new plugins: a whole distribution of a kind, complete and working, as a place to begin."""

from rslcore.scaffold.names import PluginNames, check_names_are_free
from rslcore.scaffold.write import write_plugin

__all__ = ["PluginNames", "check_names_are_free", "write_plugin"]
