"""Loggers that do not work."""


class Narrow:
    """Takes no context."""

    def __init__(self, config):
        self.config = config


class Raising:
    """Fails at the first iteration."""

    def __init__(self, config, context):
        self.config = config

    def start(self, session):
        """Nothing is written."""

    def log(self, record):
        raise OSError("no disk")

    def close(self):
        """Nothing is open."""
