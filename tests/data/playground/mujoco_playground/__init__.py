"""Stands in for MuJoCo Playground: the names that the plugin asks for, with the meaning they have there."""

from mujoco_playground import manipulation, registry, wrapper_torch

__all__ = ["manipulation", "registry", "wrapper_torch"]
