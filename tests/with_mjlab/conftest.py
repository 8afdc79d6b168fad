"""mjlab itself is installed here, and rsl-rl-lib as it pins it."""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what its modules warn of when they are imported is no fault of ours
    import mjlab.tasks  # noqa: F401 - fills the registry
    from mjlab.envs import ManagerBasedRlEnv
    from mjlab.rl import RslRlVecEnvWrapper
    from mjlab.tasks.registry import load_env_cfg, load_rl_cfg

TASK = "Mjlab-Cartpole-Balance"


@pytest.fixture(scope="session")
def env() -> Iterator[Any]:
    """The cartpole, 16 times, in mjlab's wrapper."""
    task_cfg = load_env_cfg(TASK)
    task_cfg.seed, task_cfg.scene.num_envs = 1, 16
    with contextlib.closing(RslRlVecEnvWrapper(ManagerBasedRlEnv(cfg=task_cfg, device="cpu"))) as made:
        yield made


@pytest.fixture
def agent() -> Callable[..., dict[str, Any]]:
    """The task's settings as mjlab's script hands them to a runner, with changes of `algorithm`."""

    def make(**algorithm: Any) -> dict[str, Any]:
        settings = dataclasses.asdict(load_rl_cfg(TASK))
        settings |= {"logger": "tensorboard", "upload_model": False, "num_steps_per_env": 8}
        return settings | {"algorithm": settings["algorithm"] | algorithm}

    return make
