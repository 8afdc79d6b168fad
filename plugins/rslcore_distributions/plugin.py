"""Declares the distributions."""

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
        "heteroscedastic_gaussian",
        factory="rslcore_distributions.heteroscedastic_gaussian:HeteroscedasticGaussian",
        config="rslcore_distributions.config:HeteroscedasticGaussianConfig",
        summary="Independent normal distributions whose standard deviation the network gives, state by state.",
    )
    registry.add_distribution(
        "beta",
        factory="rslcore_distributions.beta:Beta",
        config="rslcore_distributions.config:BetaConfig",
        summary="Independent beta distributions, for actions that are bounded.",
    )
    registry.add_distribution(
        "categorical",
        factory="rslcore_distributions.categorical:Categorical",
        config="rslcore_distributions.config:CategoricalConfig",
        summary="One choice out of several.",
    )
    registry.add_distribution(
        "multi_categorical",
        factory="rslcore_distributions.multi_categorical:MultiCategorical",
        config="rslcore_distributions.config:MultiCategoricalConfig",
        summary="Several choices, each out of a number of its own.",
    )
