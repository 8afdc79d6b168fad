"""Factories, each with another fault."""


class Raises:
    """Fails while it is built."""

    def __init__(self, config, context, num_outputs):
        {}["layers"]


class Signature:
    """Does not take what a network is given."""

    def __init__(self, config, context):
        pass


class Inner:
    """Calls something of its own in a wrong way."""

    def __init__(self, config, context, num_outputs):
        len()


no_callable = 3
