"""Declares networks that load and are all at fault."""

from rslcore.registry import hookimpl

PLUGIN_API = 1

CONFIGS = {
    "no_config_class": "fake_faulty.config:Plain",
    "mutable": "fake_faulty.config:Mutable",
    "torch_fields": "fake_faulty.config:TorchFields",
    "unreadable": "fake_faulty.config:Unreadable",
    "faulty_check": "fake_faulty.config:FaultyCheck",
    "broken_module": "fake_faulty.broken:Config",
}

FACTORIES = {"raises": "Raises", "signature": "Signature", "no_callable": "no_callable", "inner_type_error": "Inner"}


@hookimpl
def rslcore_register(registry):
    for name, config in CONFIGS.items():
        registry.add_network(name, factory="fake_faulty.network:Raises", config=config, summary="Fake.")
    for name, factory in FACTORIES.items():
        registry.add_network(
            name, factory=f"fake_faulty.network:{factory}", config="fake_faulty.config:Empty", summary="Fake."
        )
