"""Recurrent networks: LSTM and GRU.

Legend: B rows, S sequences.
"""

from __future__ import annotations

from collections.abc import Mapping

from tensordict import TensorDict
from torch import Tensor, nn

from rslcore.context import Context
from rslcore.normalization import EmpiricalNormalization
from rslcore.observations import concatenate, vector_size
from rslcore.recurrence import Sequences, State
from rslcore.specs import TensorSpec
from rslcore_networks.config import RecurrentConfig
from rslcore_networks.mlp import output_layers
from rslcore_networks.pieces import run_sequences


class Recurrent(nn.Module):
    """A recurrent module on concatenated observation groups, and fully connected layers upon it.

    Args:
        config: The options.
        context: Gives the observation groups and the device.
        num_outputs: Width of the last layer.
        module: Class of the recurrent module.
        parts: Names of the parts of its state.

    Raises:
        ConfigError: The env does not have the groups, or not as 1-D ones.
    """

    def __init__(
        self,
        config: RecurrentConfig,
        context: Context,
        num_outputs: int,
        module: type[nn.LSTM | nn.GRU],
        parts: tuple[str, ...],
    ) -> None:
        super().__init__()
        self.groups = config.groups
        self._parts = parts
        self._state_spec = TensorSpec((config.rnn_num_layers, config.rnn_hidden_dim))
        num_features = vector_size(context, config.groups)
        self.normalizer = EmpiricalNormalization(num_features) if config.normalize else None
        self.rnn = module(num_features, config.rnn_hidden_dim, config.rnn_num_layers)
        self.layers = output_layers(config, config.rnn_hidden_dim, num_outputs)
        self.to(context.device)

    @property
    def output_layer(self) -> nn.Module:
        """The layer that makes the outputs."""
        return self.layers[-1]

    def state_specs(self) -> Mapping[str, TensorSpec]:
        """What is remembered, `[rnn_num_layers, rnn_hidden_dim]` each."""
        return dict.fromkeys(self._parts, self._state_spec)

    def forward(self, obs: TensorDict, state: State, sequences: Sequences | None) -> tuple[Tensor, State]:
        """Observations `[B, ...]` to `[B, num_outputs]`, and the state after the last row of each sequence."""
        rows = concatenate(obs, self.groups)
        if self.normalizer is not None:
            rows = self.normalizer(rows)
        # torch wants the layers first, and a tuple where there are several parts.
        before = tuple(state[part].transpose(0, 1).contiguous() for part in self._parts)
        hidden = before if len(before) > 1 else before[0]
        if sequences is not None and rows.device.type == "cpu":
            features, after = run_sequences(self.rnn, rows, before, sequences)
        else:
            if sequences is None:
                features, hidden = self.rnn(rows.unsqueeze(0), hidden)
                features = features.squeeze(0)
            else:
                packed, hidden = self.rnn(sequences.pack(rows), hidden)
                features = sequences.unpack(packed)
            after = hidden if len(before) > 1 else (hidden,)
        return self.layers(features), {
            part: value.transpose(0, 1) for part, value in zip(self._parts, after, strict=True)
        }

    def update_normalization(self, obs: TensorDict) -> None:
        """Merge observations `[B, ...]` into the running statistics, if there are any."""
        if self.normalizer is not None:
            self.normalizer.update(concatenate(obs, self.groups))


class Lstm(Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber 1997); its state is `hidden` and `cell`."""

    def __init__(self, config: RecurrentConfig, context: Context, num_outputs: int) -> None:
        super().__init__(config, context, num_outputs, nn.LSTM, ("hidden", "cell"))


class Gru(Recurrent):
    """Gated recurrent unit (Cho et al. 2014); its state is `hidden`."""

    def __init__(self, config: RecurrentConfig, context: Context, num_outputs: int) -> None:
        super().__init__(config, context, num_outputs, nn.GRU, ("hidden",))
