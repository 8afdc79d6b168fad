"""Options of random network distillation."""

from __future__ import annotations

from typing import Literal

from rslcore.config import Activation, Range, config, option
from rslcore.errors import ConfigError, Problem


@config
class WeightScheduleConfig:
    """How the weight changes with the env steps of the run; a step of all envs at once counts as one."""

    mode: Literal["constant", "step", "linear"] = option(
        "constant",
        "`constant` leaves the weight; `step` makes it final_value from final_step on; `linear` moves it there between "
        "initial_step and final_step.",
    )
    initial_step: int = option(0, "Env step at which `linear` begins.", Range(0))
    final_step: int | None = option(None, "Env step from which the weight is final_value.", Range(0))
    final_value: float | None = option(None, "Weight at the end of `step` and `linear`.", Range(0.0))

    def __attrs_post_init__(self) -> None:
        if self.mode == "constant":
            unused = [name for name in ("final_step", "final_value") if getattr(self, name) is not None]
            if unused:
                raise ConfigError(
                    [Problem(name, "means nothing to mode 'constant'; write mode: step or linear") for name in unused]
                )
            return
        missing = [name for name in ("final_step", "final_value") if getattr(self, name) is None]
        if missing:
            raise ConfigError([Problem(name, f"is missing; mode '{self.mode}' needs it") for name in missing])
        if self.mode == "linear" and self.final_step is not None and self.final_step <= self.initial_step:
            raise ConfigError.at(
                "final_step", f"{self.final_step} must be greater than initial_step, {self.initial_step}"
            )


@config
class RndConfig:
    """A predictor learns the outputs of a random network; the distance that is left is a reward."""

    groups: tuple[str, ...] = option(
        ("policy",),
        "Observation groups in which novelty is sought, concatenated in this order. They are the env's own: those that "
        "other extensions add are unknown here.",
    )
    num_outputs: int = option(16, "Outputs of both networks.", Range(1, 65_536))
    predictor_hidden_dims: tuple[int, ...] = option(
        (64, 64), "Width of each hidden layer of the predictor.", Range(1, 65_536)
    )
    target_hidden_dims: tuple[int, ...] = option(
        (64, 64), "Width of each hidden layer of the target.", Range(1, 65_536)
    )
    activation: Activation = option("elu", "Between the layers of both, not after the last one.")
    state_normalization: bool = option(
        False, "Whether inputs are brought to mean 0 and standard deviation 1 by what has been observed so far."
    )
    reward_normalization: bool = option(
        False,
        "Whether the distance is divided by the running standard deviation of its discounted sum, before the weight.",
    )
    weight: float = option(0.1, "Factor on the distance before it is added to the reward of an env step.", Range(0.0))
    weight_schedule: WeightScheduleConfig = option(WeightScheduleConfig(), "How the weight changes.")
    learning_rate: float = option(
        1e-3, "Of the predictor's own Adam; it does not follow the KL divergence.", Range(0.0, open_low=True)
    )
    reward_observation: Literal["final", "next"] = option(
        "final",
        "What a step that ends an episode is rewarded for: its true `final` observation, or, rsl_rl's way, the `next` "
        "one that the env gives, the first of the new episode. With `final` the predictor learns from what was "
        "rewarded, with `next` from what was acted on.",
    )
