"""What the contracts of all kinds share: the fixtures that surround a component, and the checks of its config.

Every failure is a sentence: what is promised, what was seen, what to do.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import attrs
import pytest
import torch
import yaml

from rslcore import protocols
from rslcore.config import ExperimentConfig, structure, unstructure
from rslcore.config.describe import find_undocumented
from rslcore.context import Context
from rslcore.errors import ConfigError, listed
from rslcore.registry import KINDS, Entry, Registry
from rslcore.seeding import seed_everything
from rslcore.specs import EnvSpec
from rslcore.testing.defaults import COMPONENT_CLASSES, COMPONENTS
from rslcore.testing.inputs import make_context
from rslcore.testing.registry import installed_registry
from rslcore.testing.values import expect

UNKNOWN = "rslcore_no_such_option"

Options = Mapping[str, Any]
"""A component as it stands in a config: `{"name": ..., option: value}`."""


@functools.cache
def _installed() -> Registry:
    return installed_registry()


class Contract:
    """Base of the contracts. A subclass gives the fixture `component`; all others have defaults.

    Overriding `env` gives a component the observation groups and actions that it needs, for one:

        @pytest.fixture
        def env(self):
            return {"name": "fake", "groups": {"policy": [3], "camera": [1, 8, 8]}, "actions": "discrete"}
    """

    kind: ClassVar[str]

    # What surrounds the component

    @pytest.fixture
    def component(self) -> Options:
        """The component, as it stands in a config."""
        pytest.fail(
            f"{type(self).__name__} should have a fixture `component` that returns the {self.kind} as it stands in a "
            'config, such as {"name": "mine", "option": 1.0}.',
            pytrace=False,
        )

    @pytest.fixture
    def registry(self) -> Registry:
        """Where components are found: the installed plugins and the fakes."""
        return _installed()

    @pytest.fixture
    def env(self) -> Options:
        """The env: the fake one, with continuous actions and the groups `policy` and `privileged`."""
        return COMPONENTS["env"]

    @pytest.fixture
    def runner(self) -> Options:
        """The loop."""
        return COMPONENTS["runner"]

    @pytest.fixture
    def storage(self) -> Options:
        """Where the algorithm keeps what was collected."""
        return COMPONENTS["storage"]

    @pytest.fixture
    def algorithm(self) -> Options:
        """What learns."""
        return COMPONENTS["algorithm"]

    @pytest.fixture
    def network(self, env_spec: EnvSpec) -> Options:
        """The networks of the policy: they read the group `policy`, or all 1-D groups of an env without one."""
        flat = [name for name, group in env_spec.observations.items() if len(group.shape) == 1]
        groups = ["policy"] if "policy" in flat else flat
        return {**COMPONENTS["network"], "groups": groups}

    @pytest.fixture
    def distribution(self, env_spec: EnvSpec) -> Options:
        """What actions are drawn from: what suits the env's actions."""
        choices = len(env_spec.actions.num_choices)
        return {"name": "gaussian" if choices == 0 else "categorical" if choices == 1 else "multi_categorical"}

    @pytest.fixture
    def policy(self, network: Options, distribution: Options) -> Options:
        """The networks that learn."""
        actor = {"network": network, "distribution": distribution}
        return {"name": "actor_critic", "actor": actor, "critic": {"network": network}}

    @pytest.fixture
    def loggers(self) -> list[Options]:
        """Who receives the metrics of a run."""
        return []

    # What is made of it

    @pytest.fixture
    def env_spec(self, env: Options, registry: Registry) -> EnvSpec:
        """What the env says of itself."""
        network = {"name": "mlp"}
        actor = {"network": network, "distribution": {"name": "gaussian"}}
        # Envs are built before anything else is, so that the rest of this config is of no account.
        provisional = {
            "env": env,
            "runner": {"name": "on_policy"},
            "policy": {"name": "actor_critic", "actor": actor, "critic": {"network": network}},
            "algorithm": {"name": "ppo"},
            "storage": {"name": "rollout"},
        }
        context = make_context(structure({**provisional, "device": "cpu"}, ExperimentConfig, registry), registry)
        assert context.env is not None
        context.env.close()
        return context.env_spec

    @pytest.fixture
    def experiment(
        self,
        env: Options,
        runner: Options,
        policy: Options,
        algorithm: Options,
        storage: Options,
        loggers: list[Options],
    ) -> dict[str, Any]:
        """The config of a small run that the component takes part in, as plain data."""
        return {
            "experiment": "contract",
            "device": "cpu",
            "iterations": 2,
            "env": env,
            "runner": runner,
            "policy": policy,
            "algorithm": algorithm,
            "storage": storage,
            "loggers": loggers,
        }

    @pytest.fixture
    def config(self, experiment: dict[str, Any], registry: Registry) -> ExperimentConfig:
        """The same, structured."""
        return structure(experiment, ExperimentConfig, registry)

    @pytest.fixture
    def context(self, config: ExperimentConfig, registry: Registry) -> Iterator[Context]:
        """The context that the component is built in, with the env; everything is seeded."""
        seed_everything(config.seed)
        context = make_context(config, registry)
        assert context.env is not None
        with contextlib.closing(context.env):
            yield context

    @pytest.fixture
    def entry(self, component: Options, registry: Registry) -> Entry:
        """What the plugin registered."""
        return registry.find(self.kind, component["name"])

    @pytest.fixture
    def parts(self, context: Context) -> dict[str, Any]:
        """What the component's factory takes beside config and context."""
        return {}

    @pytest.fixture
    def build(
        self, component: Options, context: Context, parts: dict[str, Any], registry: Registry
    ) -> Callable[..., Any]:
        """Builds the component anew, with the run's seed, or the one given; further arguments replace the context's."""

        def make(seed: int = 1, **changes: Any) -> Any:
            torch.manual_seed(seed)
            surroundings = attrs.evolve(context, **changes)
            return surroundings.build(self._structured(component, registry), self.kind, **parts)

        return make

    def _structured(self, component: Options, registry: Registry) -> Any:
        return structure(component, COMPONENT_CLASSES[self.kind], registry)

    # The config

    def test_config_says_what_options_mean(self, entry: Entry, registry: Registry) -> None:
        """For `rslcore describe`."""
        silent = find_undocumented(registry.config_class(self.kind, entry.full_name))
        expect(
            not silent,
            f"Every option of a config says what it means. {listed(silent)} of '{entry.config}' says nothing; write it "
            "with `option(default, doc)`.",
        )

    def test_config_comes_back_from_yaml_as_it_was(self, component: Options, registry: Registry) -> None:
        """What is written into a run's folder is read back equal."""
        before = self._structured(component, registry)
        text = yaml.safe_dump(unstructure(before))
        after = self._structured(yaml.safe_load(text), registry)
        expect(
            before == after,
            f"A config that was written as YAML is read back to an equal one. {before} came back as {after}; compare "
            "what the class does in `__attrs_post_init__` and its `__eq__`.",
        )

    def test_config_refuses_an_unknown_option(self, component: Options, registry: Registry) -> None:
        """A misspelled option is an error with its path."""
        with pytest.raises(ConfigError) as caught:
            self._structured({**component, UNKNOWN: 1}, registry)
        paths = [problem.path for problem in caught.value.problems]
        expect(
            UNKNOWN in paths,
            f"An unknown option is a ConfigError at its path. '{UNKNOWN}' gave problems at {listed(paths)}; use the "
            "decorator `@config` of rslcore.config.",
        )

    def test_component_satisfies_its_protocol(self, build: Callable[..., Any]) -> None:
        """It has every method that its kind promises."""
        built = build()
        missing = [name for name in self._promised(built) if not _has(built, name)]
        expect(
            not missing,
            f"A {self.kind} has the methods of `rslcore.protocols.{KINDS[self.kind].protocol}`. "
            f"{type(built).__name__} does not have {listed(missing)}; write what is missing.",
        )

    def _promised(self, built: Any) -> list[str]:
        return promised(getattr(protocols, KINDS[self.kind].protocol))


def promised(protocol: type) -> list[str]:
    """The methods and attributes of a protocol."""
    return [
        name
        for cls in protocol.__mro__
        if getattr(cls, "_is_protocol", False) and cls.__name__ not in ("Protocol", "Generic")
        for name in vars(cls)
        if not name.startswith("_")
    ]


def _has(built: Any, name: str) -> bool:
    # Looked up on the class first: asking a property of an unfinished component for its value may fail.
    return inspect.getattr_static(built, name, None) is not None or hasattr(built, name)
