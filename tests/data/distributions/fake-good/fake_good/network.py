"""A network of a third party."""

from torch import nn


class FakeLinear(nn.Module):
    """A single linear layer on the group `policy`."""

    def __init__(self, config, context, num_outputs):
        super().__init__()
        self.gain = config.gain
        self.linear = nn.Linear(context.env_spec.observations["policy"].size, num_outputs)

    def forward(self, obs):
        return self.gain * self.linear(obs["policy"])

    def update_normalization(self, obs):
        pass

    def reset(self, dones=None):
        pass
