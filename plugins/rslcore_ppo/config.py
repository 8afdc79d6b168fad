"""Options of PPO."""

from __future__ import annotations

from typing import Literal

from rslcore.config import Execution, ExtensionComponent, OptimizerName, Precision, Range, Shuffle, config, option
from rslcore.errors import ConfigError

MIN_LEARNING_RATE, MAX_LEARNING_RATE = 1e-5, 1e-2
"""Bounds of the adaptive learning rate."""


@config
class PpoConfig:
    """Proximal policy optimization.

    A minibatch has `num_envs * num_steps_per_env / num_mini_batches` rows; an iteration makes
    `num_learning_epochs * num_mini_batches` optimizer steps.
    """

    num_learning_epochs: int = option(5, "Passes over the rollout in an update.", Range(1, 10_000))
    num_mini_batches: int = option(
        4, "Minibatches in a pass; must divide num_envs * num_steps_per_env.", Range(1, 10_000_000)
    )
    clip_param: float = option(
        0.2, "Clip range of the probability ratio, and of the change of a value.", Range(0.0, open_low=True)
    )
    gamma: float = option(0.99, "Discount of a step.", Range(0.0, 1.0))
    lam: float = option(0.95, "GAE's lambda: 0 trusts the critic, 1 the returns.", Range(0.0, 1.0))
    value_loss_coef: float = option(1.0, "Weight of the value loss.", Range(0.0))
    entropy_coef: float = option(0.01, "Weight of the entropy bonus.", Range(0.0))
    learning_rate: float = option(
        1e-3, "The optimizer's learning rate; where an adaptive one begins.", Range(0.0, open_low=True)
    )
    optimizer: OptimizerName = option("adam", "What steps the parameters.")
    schedule: Literal["adaptive", "fixed"] = option(
        "adaptive",
        "`adaptive` steers the learning rate by the KL divergence of each minibatch from the rollout's policy, which "
        "suits few epochs and minibatches; `fixed` leaves it.",
    )
    desired_kl: float = option(
        0.01, "KL divergence, in nats, that the adaptive learning rate aims at.", Range(0.0, open_low=True)
    )
    max_grad_norm: float = option(
        1.0,
        "2-norm to which the gradients of actor and critic are clipped, each on its own.",
        Range(0.0, open_low=True),
    )
    use_clipped_value_loss: bool = option(
        True, "Whether a value may move by at most clip_param, in units of return, before its loss stops pulling."
    )
    normalize_advantage: Literal["rollout", "minibatch", "none"] = option(
        "rollout", "Over what advantages are brought to mean 0 and standard deviation 1."
    )
    shuffle: Shuffle = option(
        "rollout",
        "When the rows of a rollout, or the envs of a recurrent policy, are permuted before they are cut in "
        "minibatches: once for all epochs; anew in every epoch; or never (`none`, rsl_rl's way with recurrent "
        "policies).",
    )
    bootstrap: Literal["final_observation", "last_value"] = option(
        "final_observation",
        "What the future of a truncated episode is worth: the value of its true final observation, or, rsl_rl's way, "
        "that of the observation before its last step.",
    )
    precision: Precision = option(
        "fp32",
        "Number format of the networks' matrix products in an update. `bf16` is faster on hardware that has it, and "
        "`tf32` on GPUs; the rollout stays in full precision, so that the first ratio is 1 but for their rounding.",
    )
    execution: Execution = option(
        "auto",
        "How policy, losses and optimizer are run: `eager`, as they are written; `compile`, by torch.compile; "
        "`cuda_graph`, compiled and replayed as a graph, on a GPU. `auto` compiles where a run is long enough to gain "
        "by it, and goes on without where that fails. The numbers are the same but for rounding.",
    )
    micro_batch_size: int | None = option(
        None,
        "Rows of a minibatch of which gradients are made at a time, and added up; the step is the same but for "
        "rounding. null: what fits the cache of a CPU, and whole minibatches on a GPU. Recurrent policies, and "
        "extensions whose losses are about a whole minibatch, learn from whole ones anyway.",
        Range(1),
    )
    extensions: tuple[ExtensionComponent, ...] = option((), "What plugins add to the algorithm, in this order.")

    def __attrs_post_init__(self) -> None:
        if self.schedule == "adaptive" and not MIN_LEARNING_RATE <= self.learning_rate <= MAX_LEARNING_RATE:
            raise ConfigError.at(
                "learning_rate",
                f"{self.learning_rate} is outside [{MIN_LEARNING_RATE}, {MAX_LEARNING_RATE}], in which the adaptive "
                "schedule keeps it; choose one inside, or `schedule: fixed`",
            )
