"""Running an algorithm in an env by hand, as a runner does, and comparing what it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.config import AlgorithmComponent
from rslcore.context import Context
from rslcore.protocols import Algorithm, Env
from rslcore.seeding import seed_everything


@attrs.define
class Drive:
    """An algorithm in an env of its own.

    Attributes:
        algorithm: Acts and learns.
        env: Stepped.
        num_steps: T.
        obs: What the env gave last.
        iteration: Iterations done.
    """

    algorithm: Algorithm
    env: Env
    num_steps: int
    obs: TensorDict
    iteration: int = 0

    def collect(self) -> list[Tensor]:
        """One rollout; the actions of each step."""
        actions = []
        self.algorithm.start_iteration(self.iteration, 100)
        with self.algorithm.rollout_context():
            for _ in range(self.num_steps):
                actions.append(self.algorithm.act(self.obs))
                step = self.env.step(actions[-1])
                self.algorithm.process_env_step(step)
                self.obs = step.obs
        return actions

    def iterate(self, count: int = 1) -> list[dict[str, Tensor]]:
        """Rollouts and updates; the metrics of each."""
        metrics = []
        for _ in range(count):
            self.collect()
            metrics.append(self.algorithm.update(self.obs))
            self.iteration += 1
        return metrics


def make_env(context: Context) -> Env:
    """The run's env once more."""
    env: Env = attrs.evolve(context, env=None, spec=None).build(context.config.env, "env")
    return env


def drive(context: Context, component: AlgorithmComponent | None = None, seed: int = 1) -> Drive:
    """Build the algorithm of a run in an env of its own, seeded, in training mode.

    Args:
        context: Of the run.
        component: Another algorithm than the run's.
        seed: Of everything but the env, whose is that of the context.
    """
    config = context.config
    env = make_env(context)
    seed_everything(seed)
    algorithm: Algorithm = attrs.evolve(context, env=env, spec=env.spec).build(
        component or config.algorithm, "algorithm", policy=config.policy, storage=config.storage
    )
    obs = env.reset()
    algorithm.train_mode()
    return Drive(algorithm, env, context.num_steps_per_env, obs)


def forgets_only_the_done(
    act: Callable[[TensorDict], Any], reset: Callable[[Tensor | None], None], observations: list[TensorDict]
) -> tuple[Any, Any, Any]:
    """What is done at the last of several observations: with all remembered, after env 0 was done, and with none."""
    *before, last = observations
    results = []
    for ended in ("none", "first", "all"):
        reset(None)
        for obs in before:
            act(obs)
        if ended == "first":
            dones = torch.zeros(len(last), dtype=torch.bool, device=last.device)
            dones[0] = True
            reset(dones)
        elif ended == "all":
            reset(None)
        torch.manual_seed(0)  # acting may draw
        results.append(act(last))
    return results[0], results[1], results[2]
