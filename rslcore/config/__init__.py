"""Typed configuration: attrs classes, structured by cattrs, read from YAML with overrides.

A plugin's config module needs three names:

    from rslcore.config import Range, config, option

    @config
    class AmpConfig:
        style_weight: float = option(0.5, "Share of the style reward in the total reward.", Range(0.0, 1.0))
"""

from rslcore.config.choices import Activation, Execution, OptimizerName, Precision, Shuffle
from rslcore.config.components import (
    AlgorithmComponent,
    Component,
    DistributionComponent,
    EnvComponent,
    ExtensionComponent,
    LoggerComponent,
    NetworkComponent,
    PolicyComponent,
    RunnerComponent,
    StorageComponent,
)
from rslcore.config.converter import structure, unstructure
from rslcore.config.experiment import ExperimentConfig, PluginsConfig
from rslcore.config.fields import Range, config, evolve, option
from rslcore.config.files import configure, dump_yaml, load_config, override_config, recipe_text
from rslcore.config.requirements import missing_requirements, required_problems

__all__ = [
    "Activation",
    "AlgorithmComponent",
    "Component",
    "DistributionComponent",
    "EnvComponent",
    "Execution",
    "ExperimentConfig",
    "ExtensionComponent",
    "LoggerComponent",
    "NetworkComponent",
    "OptimizerName",
    "PluginsConfig",
    "PolicyComponent",
    "Precision",
    "Range",
    "RunnerComponent",
    "Shuffle",
    "StorageComponent",
    "config",
    "configure",
    "dump_yaml",
    "evolve",
    "load_config",
    "missing_requirements",
    "option",
    "override_config",
    "recipe_text",
    "required_problems",
    "structure",
    "unstructure",
]
