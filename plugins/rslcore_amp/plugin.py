"""Declares the extension `amp` and the recipe that uses it."""

from __future__ import annotations

from rslcore.registry import Registrar, hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry: Registrar) -> None:
    """Register adversarial motion priors."""
    registry.add_extension(
        "amp",
        factory="rslcore_amp.extension:Amp",
        config="rslcore_amp.config:AmpConfig",
        summary="Adversarial motion priors (Peng et al. 2021): a reward for moving like reference motions.",
    )
    registry.add_recipe(
        "halfcheetah_amp",
        file="rslcore_amp:recipes/halfcheetah_amp.yaml",
        summary="HalfCheetah-v5 learns to run from recorded motions alone, without a task reward.",
    )
