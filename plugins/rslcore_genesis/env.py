"""Makes an env over Genesis as an rslcore env: a class of the user's, adapted."""

from __future__ import annotations

from rslcore.context import Context
from rslcore_genesis.cfgs import find_cfgs
from rslcore_genesis.config import GenesisConfig
from rslcore_genesis.simulator import import_genesis, initialise
from rslcore_rsl_rl.config import VecEnvConfig
from rslcore_rsl_rl.make import make_vec_env
from rslcore_rsl_rl.vec_env import VecEnvAdapter


def make_genesis_env(config: GenesisConfig, context: Context) -> VecEnvAdapter:
    """N environments of a class, on the run's device, seeded with the run's seed.

    Raises:
        MissingExtraError: Genesis is not installed.
        DeviceError: Genesis does not run on the device.
        ConfigError: There is no such class or function, or they do not take what they are given.
        EnvError: They fail, or what is made is no env of rsl_rl's kind.
    """
    import_genesis()  # which the modules of the class and the function import
    kwargs = {**find_cfgs(config, context.path), **config.kwargs}
    initialise(context.device, context.seed, config.init, f"{context.path}.init")
    return make_vec_env(VecEnvConfig(factory=config.factory, num_envs=config.num_envs, kwargs=kwargs), context)
