"""What is saved of an env of Gymnasium's, so that another one goes on where it stopped.

An env is a chain of layers: wrappers, and the env proper inside of them. Each is saved by the methods `state_dict` and
`load_state_dict` of its own class, or else by the row of its class in `ATTRIBUTES` or `MUJOCO`. Any other layer cannot
be saved: nothing says what it remembers. Neither can a subclass of one that can, since it may remember more.

States hold NumPy arrays and plain values here. No torch is imported, as every process of an async env imports this.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy
from gymnasium.vector import VectorEnv

AnyEnv = gymnasium.Env[Any, Any] | VectorEnv[Any, Any, Any]

CARTPOLE_VECTOR = "gymnasium.envs.classic_control.cartpole:CartPoleVectorEnv"
"""The only vectorised version of an env that Gymnasium brings and that needs no further package."""

ENV_CHECKER = "gymnasium.wrappers.common:PassiveEnvChecker"

_NOTHING: tuple[str, ...] = ()
_NORMALIZE = ("_update_running_mean", "{}.mean", "{}.var", "{}.count")

ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "gymnasium.envs.classic_control.acrobot:AcrobotEnv": ("state",),
    "gymnasium.envs.classic_control.cartpole:CartPoleEnv": ("state", "steps_beyond_terminated"),
    CARTPOLE_VECTOR: ("state", "steps", "prev_done", "low", "high"),
    "gymnasium.envs.classic_control.continuous_mountain_car:Continuous_MountainCarEnv": ("state",),
    "gymnasium.envs.classic_control.mountain_car:MountainCarEnv": ("state",),
    "gymnasium.envs.classic_control.pendulum:PendulumEnv": ("state", "last_u"),
    ENV_CHECKER: _NOTHING,
    "gymnasium.wrappers.common:OrderEnforcing": ("_has_reset",),
    "gymnasium.wrappers.common:TimeLimit": ("_elapsed_steps",),
    "gymnasium.wrappers.stateful_observation:NormalizeObservation": tuple(x.format("obs_rms") for x in _NORMALIZE),
    "gymnasium.wrappers.stateful_observation:TimeAwareObservation": ("timesteps",),
    "gymnasium.wrappers.stateful_reward:NormalizeReward": (
        "discounted_reward",
        *(x.format("return_rms") for x in _NORMALIZE),
    ),
    "gymnasium.wrappers.transform_action:ClipAction": _NOTHING,
    "gymnasium.wrappers.transform_action:DiscretizeAction": _NOTHING,
    "gymnasium.wrappers.transform_action:RescaleAction": _NOTHING,
    "gymnasium.wrappers.transform_observation:DtypeObservation": _NOTHING,
    "gymnasium.wrappers.transform_observation:FilterObservation": _NOTHING,
    "gymnasium.wrappers.transform_observation:FlattenObservation": _NOTHING,
    "gymnasium.wrappers.transform_observation:RescaleObservation": _NOTHING,
    "gymnasium.wrappers.transform_observation:ReshapeObservation": _NOTHING,
    "gymnasium.wrappers.transform_reward:ClipReward": _NOTHING,
}
"""The attributes that are saved, by `module:class`. Those that take a function of the user's are left out."""

MUJOCO = frozenset(
    f"gymnasium.envs.mujoco.{name}"
    for name in (
        "ant_v5:AntEnv",
        "half_cheetah_v5:HalfCheetahEnv",
        "hopper_v5:HopperEnv",
        "humanoid_v5:HumanoidEnv",
        "humanoidstandup_v5:HumanoidStandupEnv",
        "inverted_double_pendulum_v5:InvertedDoublePendulumEnv",
        "inverted_pendulum_v5:InvertedPendulumEnv",
        "pusher_v5:PusherEnv",
        "reacher_v5:ReacherEnv",
        "swimmer_v5:SwimmerEnv",
        "walker2d_v5:Walker2dEnv",
    )
)
"""Envs whose state is that of a MuJoCo simulation, and whose other attributes are set anew by every reset."""

DERIVED = (
    *("xpos", "xipos", "site_xpos", "cinert", "cvel"),
    *("cfrc_ext", "qfrc_actuator", "qfrc_constraint", "ten_length", "ten_velocity"),
)
"""Arrays that MuJoCo derives from its state and that the envs read. They lag behind it by an integration, so that they
would be others if derived anew; Ant and Humanoid take the speed of a step from where a body was and is by them."""


def class_name(env: object) -> str:
    """The class of an env, as the tables have it."""
    return f"{type(env).__module__}:{type(env).__qualname__}"


def describe(env: AnyEnv) -> list[str] | None:
    """The layers of an env from outside to inside, each with what its state must fit; None if one cannot be saved."""
    layers = [_describe_layer(layer) for layer in _layers(env)]
    known = [layer for layer in layers if layer is not None]
    generator = env.unwrapped._np_random
    has_state = len(known) == len(layers) and (generator is None or isinstance(generator, numpy.random.Generator))
    return known if has_state else None


def save(env: AnyEnv) -> dict[str, Any] | None:
    """All that the next steps depend on: of each layer, and the random generator. None if a layer cannot be saved."""
    names = describe(env)
    if names is None:
        return None
    inner = env.unwrapped
    layers = [_save_layer(layer) for layer in _layers(env)]
    if any(layer is None for layer in layers):
        return None
    generator = None if inner._np_random is None else inner._np_random.bit_generator.state
    return {"names": names, "layers": layers, "generator": generator, "seed": inner._np_random_seed}


def load(env: AnyEnv, state: Mapping[str, Any]) -> None:
    """The inverse of `save`, in an env of the same layers."""
    inner = env.unwrapped
    if state["generator"] is not None:
        # The property makes a generator where there is none yet.
        inner.np_random.bit_generator.state = state["generator"]
    inner._np_random_seed = state["seed"]
    for layer, saved in zip(_layers(env), state["layers"], strict=True):
        _load_layer(layer, saved)


class StateWrapper(gymnasium.Wrapper[Any, Any, Any, Any]):
    """The outermost wrapper of each env, whose methods a vector env reaches by name, in another process too."""

    state_to_load: Mapping[str, Any] | None = None
    """Handed in by `set_attr`, which unlike `call` has something else for each env."""

    def describe_state(self) -> list[str] | None:
        """See `describe`."""
        return describe(self.env)

    def save_state(self) -> dict[str, Any] | None:
        """See `save`."""
        return save(self.env)

    def load_state(self) -> None:
        """See `load`."""
        assert self.state_to_load is not None
        load(self.env, self.state_to_load)
        self.state_to_load = None


def _layers(env: AnyEnv) -> list[Any]:
    layers: list[Any] = [env]
    while isinstance(layers[-1], gymnasium.Wrapper):
        layers.append(layers[-1].env)
    return layers


def _saves_itself(layer: Any) -> bool:
    return callable(getattr(layer, "state_dict", None)) and callable(getattr(layer, "load_state_dict", None))


def _describe_layer(layer: Any) -> str | None:
    name = class_name(layer)
    if _saves_itself(layer) or name in ATTRIBUTES:
        return name
    if name not in MUJOCO or _may_sleep(layer.model):
        return None
    sizes = [_state_size(layer.model), *(getattr(layer.data, derived).size for derived in DERIVED)]
    return f"{name} of {sum(sizes)} numbers"


def _save_layer(layer: Any) -> dict[str, Any] | None:
    if _saves_itself(layer):
        state: dict[str, Any] | None = layer.state_dict()
        return state
    if class_name(layer) in MUJOCO:
        return _save_simulation(layer)
    # Some are there only after the first reset.
    return {path: _get(layer, path) for path in ATTRIBUTES[class_name(layer)]}


def _load_layer(layer: Any, state: Mapping[str, Any]) -> None:
    name = class_name(layer)
    if _saves_itself(layer):
        layer.load_state_dict(state)
    elif name in MUJOCO:
        _load_simulation(layer, state)
    elif name == ENV_CHECKER:
        # It looks at the first calls of an env, which these are not.
        layer.checked_reset = layer.checked_step = layer.checked_data_reuse = True
    else:
        for path in ATTRIBUTES[name]:
            owner, _, attribute = path.rpartition(".")
            setattr(_get(layer, owner) if owner else layer, attribute, state[path])


def _get(layer: Any, path: str) -> Any:
    return functools.reduce(lambda owner, name: getattr(owner, name, None), path.split("."), layer)


def _save_simulation(env: Any) -> dict[str, Any]:
    import mujoco

    state = numpy.empty(_state_size(env.model))
    mujoco.mj_getState(env.model, env.data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
    return {"state": state, **{name: getattr(env.data, name) for name in DERIVED}}


def _load_simulation(env: Any, state: Mapping[str, Any]) -> None:
    import mujoco

    mujoco.mj_setState(env.model, env.data, state["state"], mujoco.mjtState.mjSTATE_INTEGRATION)
    for name in DERIVED:
        getattr(env.data, name)[:] = state[name]


def _state_size(model: Any) -> int:
    import mujoco

    size: int = mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_INTEGRATION)
    return size


def _may_sleep(model: Any) -> bool:
    """Whether bodies may fall asleep, an option of newer MuJoCos; which do is in none of its states."""
    import mujoco

    return bool(model.opt.enableflags & getattr(mujoco.mjtEnableBit, "mjENBL_SLEEP", 0))
