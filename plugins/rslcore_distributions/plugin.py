"""Declares the distributions `gaussian` and `categorical`."""

from __future__ import annotations

from rslcore.registry import Registrar, hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry: Registrar) -> None:
    """Register the distributions."""
    registry.add_distribution(
        "gaussian",
        factory="rslcore_distributions.gaussian:Gaussian",
        config="rslcore_distributions.config:GaussianConfig",
        summary="Independent normal distributions whose standard deviation is learned, the same in every state.",
    )
    registry.add_distribution(
        "categorical",
        factory="rslcore_distributions.categorical:Categorical",
        config="rslcore_distributions.config:CategoricalConfig",
        summary="One choice out of several.",
    )
