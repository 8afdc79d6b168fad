"""Distribution: turns a network's output into a distribution over actions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from rslcore.specs import TensorSpec


@runtime_checkable
class Distribution(Protocol):
    """A `torch.nn.Module` (it may own parameters, such as a standard deviation), otherwise pure functions.

    `params` are the distribution's parameters by name, `{name: [B, ...]}`: what is stored with a rollout, and what the
    other methods take. None of the methods reads a tensor on the host.
    """

    @property
    def num_inputs(self) -> int:
        """Width of the network output that `params` takes."""

    def param_specs(self) -> Mapping[str, TensorSpec]:
        """Shape and type of a row of each parameter, so that a storage can keep them."""

    def action_spec(self) -> TensorSpec:
        """Shape and type of a row of actions."""

    def initialize_outputs(self, layer: nn.Linear) -> None:
        """Set the initial weights of the layer that makes `outputs`, where the distribution wants particular ones.

        A policy calls this for a network that has such a layer, as an attribute `output_layer`.
        """

    def params(self, outputs: Tensor) -> Mapping[str, Tensor]:
        """The parameters for network outputs `[B, num_inputs]`."""

    def sample(self, params: Mapping[str, Tensor]) -> Tensor:
        """Random actions `[B, A]`."""

    def deterministic(self, params: Mapping[str, Tensor]) -> Tensor:
        """The actions to take without exploring, `[B, A]`."""

    def log_prob(self, params: Mapping[str, Tensor], actions: Tensor) -> Tensor:
        """Log-probability, or its density, of actions `[B, A]`, summed over A: `[B]`."""

    def entropy(self, params: Mapping[str, Tensor]) -> Tensor:
        """Entropy in nats, `[B]`."""

    def kl_divergence(self, old: Mapping[str, Tensor], new: Mapping[str, Tensor]) -> Tensor | None:
        """KL(old || new) in nats, `[B]`; None where it has no closed form: an algorithm then estimates it."""

    def metrics(self, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Scalars worth watching, by name, of parameters `[B, ...]`.

        Where actions have standard deviations, `mean_std` is the mean of all `[B, A]`, and `min_std` the smallest over
        A of their means over B. A run whose `min_std` is 1e-5 or less ends: an action is no longer explored.
        """
