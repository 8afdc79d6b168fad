"""What rsl_rl's users are given to act with: our networks behind the methods and attributes of rsl_rl's models.

Legend: N envs, A actions, D features, L layers and H width of a recurrent network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import torch
from tensordict import TensorDict
from torch import Tensor, nn

from rslcore.context import Context
from rslcore.errors import listed
from rslcore.protocols import Distribution, StudentTeacherPolicy
from rslcore.recurrence import State, detach, forget, run_network, state_specs, zero_state
from rslcore_rsl_rl.exports import OnnxModule, export_to_jit, export_to_onnx, jit_module

__all__ = ["HiddenState", "InferenceModel", "Memory", "export_to_jit", "export_to_onnx"]

HiddenState: TypeAlias = Tensor | tuple[Tensor, ...] | None
"""What a recurrent network remembers as torch and rsl_rl have it, `[L, N, H]`: of an LSTM a pair, of a GRU a tensor."""


class Memory:
    """What rsl_rl calls a model's `rnn`: the recurrent module, and what it remembers.

    Args:
        network: A network of ours.
    """

    def __init__(self, network: Any) -> None:
        self._network = network
        self._specs = state_specs(network)
        self._state: State | None = None

    @property
    def rnn(self) -> nn.Module:
        """The `nn.LSTM` or `nn.GRU`."""
        module: nn.Module = self._network.rnn
        return module

    @property
    def hidden_state(self) -> HiddenState:
        """What is remembered, `[L, N, H]`; None before the first step. May be set."""
        if self._state is None:
            return None
        parts = tuple(self._state[name].transpose(0, 1) for name in self._specs)
        return parts if len(parts) > 1 else parts[0]

    @hidden_state.setter
    def hidden_state(self, hidden_state: HiddenState) -> None:
        if hidden_state is None:
            self._state = None
            return
        parts = hidden_state if isinstance(hidden_state, tuple) else (hidden_state,)
        self._state = {name: part.transpose(0, 1) for name, part in zip(self._specs, parts, strict=True)}

    def reset(self, dones: Tensor | None = None, hidden_state: HiddenState = None) -> None:
        """Forget the episodes of the envs in `dones [N]`, of any type, or all; or remember something else."""
        if dones is None:
            self.hidden_state = hidden_state
        elif self._state is not None:
            device = next(iter(self._state.values())).device
            self._state = forget(self._state, dones.reshape(-1).bool().to(device))

    def before(self, num_rows: int, device: torch.device) -> State:
        """The state to go on from; another number of rows than before begins anew."""
        if self._state is None or any(len(part) != num_rows for part in self._state.values()):
            return zero_state(self._specs, num_rows, device)
        return {name: part.to(device) for name, part in self._state.items()}

    def after(self, state: State) -> None:
        """Remember a state."""
        self._state = detach(state)


class InferenceModel(nn.Module):
    """The actor or the student of a policy, that acts as one of rsl_rl's models does.

    The parameters are those of the live policy, not copies: what is loaded into it or learned by it is seen here, and
    `to` moves it. What is remembered between steps is the model's own.

    Args:
        policy: A `StudentTeacherPolicy` or an `ActorCriticPolicy`, whose networks are attributes of these names.
        context: What it was built with; says of which shapes and types observations are.

    Attributes:
        network: The student's or the actor's.
        distribution: What its outputs are parameters of.
        obs_groups: The 1-D groups that it reads, in the order in which they are concatenated.
        obs_groups_2d: The images.
        obs_dim: D, of the 1-D groups together.
        params: Of the distribution, after a call with `stochastic_output`, `{name: [N, ...]}`. Whoever lets the policy
            act in another way may set them, for `output_std` and its like.
    """

    def __init__(self, policy: Any, context: Context) -> None:
        super().__init__()
        observations = context.env_spec.observations
        network = getattr(policy, "student" if isinstance(policy, StudentTeacherPolicy) else "actor")
        self.network = network
        self.distribution: Distribution = policy.distribution
        images = tuple(getattr(network, "encoders", ()))
        self.obs_groups = [group for group in getattr(network, "groups", observations) if group not in images]
        self.obs_groups_2d = list(images)
        self.observations = {group: observations[group] for group in (*self.obs_groups, *images)}
        self.obs_dim = sum(observations[group].size for group in self.obs_groups)
        self.is_recurrent = bool(state_specs(network))
        if self.is_recurrent:
            self.rnn = Memory(network)
        self.params: Mapping[str, Tensor] | None = None

    def forward(self, obs: TensorDict | Mapping[str, Tensor] | Tensor, stochastic_output: bool = False) -> Tensor:
        """Actions `[N, A]`, or `[A]` for a single row.

        Args:
            obs: Groups `[N, ...]` or `[...]`, of which those that it does not read may be left out; or the 1-D groups
                concatenated, `[N, D]` or `[D]`.
            stochastic_output: Whether actions are drawn, not the best ones.

        Raises:
            ValueError: A group is missing, or a tensor has another shape.
        """
        rows, is_single = self._rows(obs)
        first = next(iter(rows.values()))
        state = self.rnn.before(len(first), first.device) if self.is_recurrent else {}
        outputs, state = run_network(self.network, TensorDict(rows, batch_size=[len(first)]), state, None)
        if self.is_recurrent:
            self.rnn.after(state)
        params = self.distribution.params(outputs)
        if stochastic_output:
            self.params = params
            actions = self.distribution.sample(params)
        else:
            actions = self.distribution.deterministic(params)
        return actions.squeeze(0) if is_single else actions

    def _rows(self, obs: TensorDict | Mapping[str, Tensor] | Tensor) -> tuple[dict[str, Tensor], bool]:
        """The groups `[N, ...]`, and whether they were given as a single row."""
        groups = self.split(obs) if isinstance(obs, Tensor) else obs
        rows, is_single = {}, False
        for name, spec in self.observations.items():
            if name not in groups.keys():  # noqa: SIM118 - a TensorDict is no mapping of its keys
                given = listed(map(str, groups.keys()))
                raise ValueError(f"the policy needs the observation group '{name}', it was given {given}")
            group = groups[name]
            is_single = group.dim() == len(spec.shape)
            rows[name] = group.unsqueeze(0) if is_single else group
            if tuple(rows[name].shape[1:]) != spec.shape:
                expected = ", ".join(map(str, ("N", *spec.shape)))
                raise ValueError(f"observation group '{name}' should be [{expected}], it is {list(group.shape)}")
        return rows, is_single

    def split(self, obs: Tensor) -> dict[str, Tensor]:
        """The 1-D groups of a tensor that holds them one after the other, `[..., D]`.

        Raises:
            ValueError: It has another width, or the policy sees images too.
        """
        if self.obs_groups_2d:
            raise ValueError(f"the policy sees images; give it a mapping with the groups {listed(self.observations)}")
        if obs.dim() not in (1, 2) or obs.shape[-1] != self.obs_dim:
            raise ValueError(f"observations should be [N, {self.obs_dim}], they are {list(obs.shape)}")
        parts = obs.split([self.observations[group].size for group in self.obs_groups], dim=-1)
        return dict(zip(self.obs_groups, parts, strict=True))

    def reset(self, dones: Tensor | None = None, hidden_state: HiddenState = None) -> None:
        """Forget the episodes of the envs in `dones [N]`, or all; or remember something else."""
        if self.is_recurrent:
            self.rnn.reset(dones, hidden_state)

    def get_hidden_state(self) -> HiddenState:
        """What is remembered; None before the first step, and without a memory."""
        return self.rnn.hidden_state if self.is_recurrent else None

    # What scripts look at

    @property
    def mlp(self) -> nn.Sequential:
        """The fully connected layers as torch's own, with the same parameters: torch.jit.script takes them."""
        return nn.Sequential(*(_as_linear(layer) if isinstance(layer, nn.Linear) else layer for layer in self._layers))

    @property
    def obs_normalizer(self) -> nn.Module:
        """What normalizes the 1-D groups, `[N, D]`."""
        normalizer: nn.Module | None = getattr(self.network, "normalizer", None)
        return nn.Identity() if normalizer is None else normalizer

    @property
    def output_mean(self) -> Tensor:
        """The best actions for what was last seen, `[N, A]`."""
        return self.distribution.deterministic(self._latest_params())

    @property
    def output_std(self) -> Tensor:
        """Standard deviations of the actions for what was last seen, `[N, A]`. Raises ValueError if they have none."""
        params = self._latest_params()
        if "std" in params:
            return params["std"]
        if "alpha" not in params:
            raise ValueError(f"actions with the parameters {listed(params)} have no standard deviation")
        alpha, beta, scale = params["alpha"], params["beta"], self.distribution.scale  # type: ignore[attr-defined]
        total = alpha + beta
        std: Tensor = scale * (alpha * beta / (total + 1.0)).sqrt() / total
        return std

    @property
    def output_entropy(self) -> Tensor:
        """Entropy of the actions for what was last seen, `[N]`."""
        return self.distribution.entropy(self._latest_params())

    @property
    def _layers(self) -> nn.Sequential:
        layers: nn.Sequential = self.network.layers
        return layers

    @torch.no_grad()
    def _latest_params(self) -> Mapping[str, Tensor]:
        """Before anything was drawn, those of outputs of 0: of a Gaussian, the standard deviation is right."""
        if self.params is not None:
            return self.params
        device = next(self.parameters()).device
        return self.distribution.params(torch.zeros(1, self.distribution.num_inputs, device=device))

    def as_jit(self) -> nn.Module:
        """A copy for `torch.jit.script`, in the layout of rsl_rl's files; see `rslcore_rsl_rl.exports`."""
        return jit_module(self)

    def as_onnx(self, verbose: bool = False) -> nn.Module:
        """A copy for `torch.onnx.export`, in the layout of rsl_rl's files; see `rslcore_rsl_rl.exports`."""
        return OnnxModule(self, verbose)


def _as_linear(layer: nn.Linear) -> nn.Linear:
    """A plain layer with the parameters of another one."""
    with torch.device("meta"):
        plain = nn.Linear(layer.in_features, layer.out_features, bias=layer.bias is not None)
    plain.weight, plain.bias = layer.weight, layer.bias
    return plain
