"""Does not import."""


class Config(undefined_name):  # noqa: F821
    """Options."""
