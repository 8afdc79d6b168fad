"""Makes a Gymnasium vector env, with errors that say what to do."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode, VectorEnv

from rslcore.context import Context
from rslcore.errors import ConfigError, EnvError, MissingExtraError, nearest
from rslcore_gymnasium.config import GymnasiumConfig
from rslcore_gymnasium.state import StateWrapper

LIMITS = {
    "async": (4096, "each has a process of its own; give 4096 at most, or vectorization: sync"),
    "sync": (16_384, "they are stepped one after the other; give 16384 at most, or an env with a vectorised version"),
}
"""Envs that may be made one by one, at most, and why; a mistake beyond would take the machine down."""


def make_vector_env(config: GymnasiumConfig, context: Context) -> VectorEnv:
    """Make the vector env of a config.

    Sync and async ones reset in the same step, so that the last observation of an episode is known; an env's own
    vectorised version resets as it does.

    Raises:
        ConfigError: There is no such env, or too many of them would be made one by one.
        MissingExtraError: A package that the env needs is not installed.
        EnvError: Its constructor fails, for one because it does not take the arguments.
    """
    spec = _find_spec(config, context)
    mode: str = config.vectorization
    if mode == "auto":
        mode = "sync" if spec.vector_entry_point is None else "vector_entry_point"
    limit, reason = LIMITS.get(mode, (config.num_envs, ""))
    if config.num_envs > limit:
        raise context.error("num_envs", f"{config.num_envs} envs cannot be {mode}: {reason}")
    own = mode == "vector_entry_point"
    same_step = {} if own else {"autoreset_mode": AutoresetMode.SAME_STEP}
    try:
        with _interrupts_ignored() if mode == "async" else contextlib.nullcontext():
            envs = gymnasium.make_vec(
                config.id,
                num_envs=config.num_envs,
                vectorization_mode=mode,
                vector_kwargs=same_step,
                wrappers=() if own else (functools.partial(_set_apart, os.getpid()), StateWrapper),
                **config.kwargs,
            )
    except (gymnasium.error.DependencyNotInstalled, ModuleNotFoundError) as error:
        raise _missing(config, error) from error
    except Exception as error:  # the constructor is the user's code
        reason = f"{type(error).__name__}: {error}"
        raise EnvError(f"env.id: '{config.id}' cannot be made with {dict(config.kwargs)}: {reason}") from error
    if envs.metadata.get("autoreset_mode") not in (AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP):
        envs.close()
        raise context.error("vectorization", f"'{config.id}' does not reset by itself in its own version; write sync")
    return envs


def _find_spec(config: GymnasiumConfig, context: Context) -> EnvSpec:
    module, _, name = config.id.rpartition(":")
    try:
        if module:
            importlib.import_module(module)
        return gymnasium.spec(name)
    except ModuleNotFoundError as error:
        hint = "install the package that brings the env, or put its folder on PYTHONPATH"
        raise context.error("id", f"'{config.id}': {error}; {hint}") from error
    except gymnasium.error.Error as error:
        raise _unknown_id(config, context, error) from error
    except Exception as error:  # the module is the user's code
        reason = f"{type(error).__name__}: {error}"
        raise EnvError(f"env.id: '{config.id}': module '{module}' does not import: {reason}") from error


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Let worker processes that start in here ignore Ctrl-C, which a terminal sends to them too.

    The run ends by its own handler, after the iteration, and needs its envs until then.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set signal handlers
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _set_apart(owner: int, env: gymnasium.Env[Any, Any]) -> Any:
    """Put the worker process that makes an env in a process group of its own.

    torchrun sends its signals to the whole group of each process that it has started. A run that is asked to stop by
    SIGTERM needs its envs until the iteration is finished.
    """
    if os.getpid() != owner:  # the owner makes an env too, to look at its spaces
        os.setpgid(0, 0)
    return env


def _unknown_id(config: GymnasiumConfig, context: Context, error: Exception) -> ConfigError:
    near = nearest(config.id, gymnasium.registry)
    return context.error("id", f"Gymnasium knows no env '{config.id}'{near} ({str(error).rstrip('.')})")


def _missing(config: GymnasiumConfig, error: Exception) -> MissingExtraError:
    reason = " ".join(str(error).split())
    is_mujoco = "mujoco" in reason.lower()
    hint = "type `pip install 'rslcore[mujoco]'`" if is_mujoco else "install the package that it names"
    return MissingExtraError(f"env.id: '{config.id}' needs a package that is not installed; {hint} ({reason})")
