"""Holds another name than the plugin declares."""


class FakeConfig:
    """Options."""


class Misspelled:
    """A network."""
