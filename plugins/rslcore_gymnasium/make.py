"""Makes a Gymnasium vector env, with errors that say what to do."""

from __future__ import annotations

import importlib

import gymnasium
from gymnasium.vector import AutoresetMode, VectorEnv

from rslcore.context import Context
from rslcore.errors import ConfigError, MissingExtraError, nearest
from rslcore_gymnasium.config import GymnasiumConfig


def make_vector_env(config: GymnasiumConfig, context: Context) -> VectorEnv:
    """Make the vector env of a config.

    Sync and async ones reset in the same step, so that the last observation of an episode is known; an env's own
    vectorised version resets as it does.

    Raises:
        ConfigError: There is no such env, or it does not take the arguments.
        MissingExtraError: A package that the env needs is not installed.
    """
    try:
        module, separator, name = config.id.rpartition(":")
        if separator:
            importlib.import_module(module)
        spec = gymnasium.spec(name)
    except ModuleNotFoundError as error:
        raise context.error("id", f"'{config.id}': {error}; install the package that brings the env") from error
    except gymnasium.error.Error as error:
        raise _unknown_id(config, context, error) from error
    mode: str = config.vectorization
    if mode == "auto":
        mode = "sync" if spec.vector_entry_point is None else "vector_entry_point"
    same_step = {} if mode == "vector_entry_point" else {"autoreset_mode": AutoresetMode.SAME_STEP}
    try:
        return gymnasium.make_vec(
            config.id, num_envs=config.num_envs, vectorization_mode=mode, vector_kwargs=same_step, **config.kwargs
        )
    except (gymnasium.error.DependencyNotInstalled, ModuleNotFoundError) as error:
        raise _missing(config, error) from error
    except (TypeError, ValueError, gymnasium.error.Error) as error:
        raise context.error("kwargs", f"'{config.id}' cannot be made with {dict(config.kwargs)}: {error}") from error


def _unknown_id(config: GymnasiumConfig, context: Context, error: Exception) -> ConfigError:
    near = nearest(config.id, gymnasium.registry)
    return context.error("id", f"Gymnasium knows no env '{config.id}'{near} ({str(error).rstrip('.')})")


def _missing(config: GymnasiumConfig, error: Exception) -> MissingExtraError:
    reason = " ".join(str(error).split())
    command = "rslcore[mujoco]" if "mujoco" in reason.lower() else "the package that it names"
    hint = f"type `pip install '{command}'`" if command.startswith("rslcore") else f"install {command}"
    return MissingExtraError(f"env.id: '{config.id}' needs a package that is not installed; {hint} ({reason})")
