"""Tasks of hands and arms."""

ALL_ENVS = ("PointMassByHand",)
