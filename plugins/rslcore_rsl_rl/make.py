"""Makes the env of `vec_env` by the function that its config names."""

from __future__ import annotations

from rslcore.context import Context
from rslcore.errors import EnvError, RslcoreError
from rslcore_rsl_rl.config import VecEnvConfig
from rslcore_rsl_rl.functions import choose_arguments, find_function
from rslcore_rsl_rl.members import name_of, reason_of
from rslcore_rsl_rl.vec_env import VecEnvAdapter


def make_vec_env(config: VecEnvConfig, context: Context) -> VecEnvAdapter:
    """Call the function, and adapt what it returns.

    Raises:
        ConfigError: There is no such function, it does not take the arguments, or makes another number of envs.
        EnvError: It fails, or what it returns is no env of rsl_rl's kind.
    """
    if config.factory is None:
        raise context.error(
            "factory",
            "no function makes the env: that of a run whose env a script handed over is known to the script alone; "
            "write a function that returns the env, and name it as in env.factory=my_lab.envs:make",
        )
    function = find_function(config.factory, f"{context.path}.factory")
    of_run = {"num_envs": config.num_envs, "device": str(context.device), "seed": context.seed}
    arguments = choose_arguments(function, config.factory, of_run, config.kwargs, f"{context.path}.kwargs")
    try:
        env = function(**arguments)
    except RslcoreError:
        raise
    except Exception as error:  # the function is the user's code
        what = f"'{config.factory}' cannot make the env: {reason_of(error)}"
        raise EnvError(f"{context.path}.factory: {what}") from error
    adapter = VecEnvAdapter(env, context.device, config.final_obs)
    if adapter.spec.num_envs != config.num_envs:
        adapter.close()
        made = (
            f"'{config.factory}' made {adapter.spec.num_envs} envs '{name_of(env)}', the config says {config.num_envs}"
        )
        raise context.error("num_envs", f"{made}; give the same number, or let the function take num_envs")
    return adapter
