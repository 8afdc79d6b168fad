"""Tiny Gymnasium envs whose every number is known."""

from __future__ import annotations

import gymnasium
import numpy
from gymnasium import spaces


class Count(gymnasium.Env):
    """Observes `[number of the episode, steps of the episode]`; the reward is the step's number.

    Action 1 ends the episode in a terminal state, or else the step `last` does; a time limit, if any, is Gymnasium's.
    """

    observation_space = spaces.Box(-1.0, 1e6, (2,), numpy.float64)
    action_space = spaces.Discrete(2)

    def __init__(self, last=None):
        self.episode, self.last = -1, last

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode += 1
        self.steps = 0
        return self._observe(), {}

    def step(self, action):
        self.steps += 1
        return self._observe(), float(self.steps), self._is_over(action), False, {}

    def state_dict(self):
        return {"episode": self.episode, "steps": self.steps}

    def load_state_dict(self, state):
        self.episode, self.steps = state["episode"], state["steps"]

    def _is_over(self, action):
        return bool(action == 1) if self.last is None else self.steps == self.last

    def _observe(self):
        return numpy.array([self.episode, self.steps], dtype=numpy.float64)


class Spaces(gymnasium.Env):
    """Takes any spaces; remembers the last action, observes samples."""

    def __init__(self, observation_space=None, action_space=None):
        self.observation_space = observation_space or spaces.Box(-1.0, 1.0, (2,))
        self.action_space = action_space or spaces.Discrete(2)
        self.last_action = None

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(action), f"{action!r} is not in {self.action_space}"
        self.last_action = action
        return self.observation_space.sample(), 1.0, False, False, {}

    def state_dict(self):
        return {name: generator.bit_generator.state for name, generator in self._generators().items()}

    def load_state_dict(self, state):
        for name, generator in self._generators().items():
            generator.bit_generator.state = state[name]

    def _generators(self):
        space = self.observation_space
        parts = space.spaces if isinstance(space, spaces.Dict) else {"": space}
        return {name: part.np_random for name, part in parts.items()}


class Camera(Spaces):
    """Observes an image of bytes, a float one, and numbers."""

    def __init__(self):
        image = spaces.Box(0, 255, (1, 6, 6), numpy.uint8)
        depth = spaces.Box(0.0, 1.0, (1, 6, 6))
        super().__init__(spaces.Dict(camera=image, depth=depth, policy=spaces.Box(-1.0, 1.0, (2,))))


class Spring(gymnasium.Env):
    """A mass on a spring, `[position, velocity]`, let go at 1; the action is a force. Nothing in it is random."""

    observation_space = spaces.Box(-numpy.inf, numpy.inf, (2,), numpy.float64)
    action_space = spaces.Box(-1.0, 1.0, (1,), numpy.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state = numpy.array([1.0, 0.0])
        return self.state.copy(), {}

    def step(self, action):
        position, velocity = self.state
        velocity += 0.2 * (float(action[0]) - position)
        self.state = numpy.array([position + 0.2 * velocity, velocity])
        return self.state.copy(), -float(self.state @ self.state), False, False, {}

    def state_dict(self):
        return {"state": self.state}

    def load_state_dict(self, state):
        self.state = state["state"]


class Silent(Spring):
    """Cannot say where it is."""

    state_dict = load_state_dict = None


class Faulty(Spring):
    """A spring, one of whose numbers goes wrong in one of the envs.

    Args:
        where: `obs`, `reward`, or `first_obs` for the observation of a reset.
        index: Of the env, counted from 0, where the run's seed is 1.
        step: Of the env's life, counted from 1, at which it goes wrong.
        value: What the number becomes.
        lasting: Whether all numbers of its kind are wrong from then on, until the env is reset from outside.
    """

    def __init__(self, where="obs", index=1, step=5, value="nan", lasting=False):
        self.where, self.index, self.at, self.value, self.lasting = where, index, step, float(value), lasting
        self.my_index = None
        self.life = 0
        self.is_broken = False

    def reset(self, *, seed=None, options=None):
        obs, info = super().reset(seed=seed)
        if self.my_index is None:
            self.my_index = seed - 1
        self.is_broken = False
        if self.where == "first_obs" and self.my_index == self.index and self.life == 0:
            obs[0] = self.value
        return obs, info

    def step(self, action):
        obs, reward, *flags = super().step(numpy.nan_to_num(action))
        self.life += 1
        if self.my_index == self.index and self.life == self.at:
            self.is_broken = True
        if self.is_broken:
            obs[0] = self.value if self.where == "obs" else obs[0]
            reward = self.value if self.where == "reward" else reward
            self.is_broken = self.lasting
        return obs, reward, *flags


class FaultySprings(gymnasium.vector.VectorEnv):
    """The vectorised version, which resets in the step after an episode's end; it may lose envs, too.

    Args:
        num_envs: N.
        max_episode_steps: Of an episode.
        lost_at: The step from which on there is one env less.
        options: Of `Faulty`.
    """

    metadata = {"autoreset_mode": gymnasium.vector.AutoresetMode.NEXT_STEP}  # noqa: RUF012 - as Gymnasium has it

    def __init__(self, num_envs, max_episode_steps=8, lost_at=None, **options):
        self.num_envs = num_envs
        self.single_observation_space, self.single_action_space = Spring.observation_space, Spring.action_space
        self.observation_space = gymnasium.vector.utils.batch_space(self.single_observation_space, num_envs)
        self.action_space = gymnasium.vector.utils.batch_space(self.single_action_space, num_envs)
        self.lost_at, self.limit, self.count = lost_at, max_episode_steps, 0
        self.envs = [Faulty(**options) for _ in range(num_envs)]
        self.steps = [0] * num_envs

    def reset(self, *, seed=None, options=None):
        self.steps = [0] * self.num_envs
        seeds = [None if seed is None else seed + index for index in range(self.num_envs)]
        return numpy.stack([env.reset(seed=seed)[0] for env, seed in zip(self.envs, seeds, strict=True)]), {}

    def step(self, actions):
        self.count += 1
        rows = [self._step(index, action) for index, action in enumerate(actions)]
        kept = len(rows) - (self.lost_at is not None and self.count >= self.lost_at)
        obs, rewards, terminated, truncated = (numpy.array(column[:kept]) for column in zip(*rows, strict=True))
        return obs, rewards, terminated, truncated, {}

    def _step(self, index, action):
        if self.steps[index] == self.limit:
            self.steps[index] = 0
            return self.envs[index].reset()[0], 0.0, False, False
        self.steps[index] += 1
        obs, reward, terminated, _, _ = self.envs[index].step(action)
        return obs, reward, terminated, self.steps[index] == self.limit


class Fails(Spaces):
    """Raises at its first step."""

    def step(self, action):
        raise RuntimeError("the robot is on fire")


class Misshapen(gymnasium.Env):
    """Observes a row that is one too long from a step on."""

    observation_space = spaces.Box(-1.0, 1.0, (3,))
    action_space = spaces.Discrete(2)

    def __init__(self, first_step=2, reward=1.0):
        self.steps, self.first_step, self.reward = 0, first_step, reward

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return numpy.zeros(3, numpy.float32), {}

    def step(self, action):
        self.steps += 1
        return numpy.zeros(3 + (self.steps >= self.first_step), numpy.float32), self.reward, False, False, {}


class Needy(Spaces):
    """Needs a package that is not installed, as Gymnasium's MuJoCo envs do."""

    def __init__(self):
        raise gymnasium.error.DependencyNotInstalled("MuJoCo is not installed")


def register():
    """Make the envs known to Gymnasium; may be called again."""
    if "rslcore_tests/Count-v0" not in gymnasium.registry:
        gymnasium.register("rslcore_tests/Count-v0", entry_point=Count, max_episode_steps=3)
        gymnasium.register("rslcore_tests/CountTo12-v0", entry_point=Count, kwargs={"last": 12})
        gymnasium.register("rslcore_tests/Spaces-v0", entry_point=Spaces, max_episode_steps=5)
        gymnasium.register("rslcore_tests/Spring-v0", entry_point=Spring, max_episode_steps=8)
        gymnasium.register("rslcore_tests/Silent-v0", entry_point=Silent, max_episode_steps=5)
        gymnasium.register("rslcore_tests/Faulty-v0", entry_point=Faulty, max_episode_steps=8, disable_env_checker=True)
        gymnasium.register(
            "rslcore_tests/FaultySprings-v0",
            entry_point=Faulty,
            vector_entry_point=FaultySprings,
            max_episode_steps=8,
        )
        gymnasium.register("rslcore_tests/Camera-v0", entry_point=Camera, max_episode_steps=5)
        gymnasium.register("rslcore_tests/Fails-v0", entry_point=Fails)
        gymnasium.register("rslcore_tests/Misshapen-v0", entry_point=Misshapen, disable_env_checker=True)
        gymnasium.register("rslcore_tests/Needy-v0", entry_point=Needy)
