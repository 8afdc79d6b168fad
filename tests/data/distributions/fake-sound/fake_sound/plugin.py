"""A plugin with nothing to mend."""

from rslcore.registry import hookimpl

PLUGIN_API = 1


@hookimpl
def rslcore_register(registry):
    registry.add_logger(
        "fake_counter",
        factory="fake_sound.counter:Counter",
        config="fake_sound.config:CounterConfig",
        summary="Counts iterations.",
    )
    registry.add_env(
        "fake_needy",
        factory="rslcore.testing.fakes.env:FakeEnv",
        config="fake_sound.config:NeedyConfig",
        summary="An env whose config says too little by itself.",
    )
