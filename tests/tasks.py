"""Small tasks to learn, vectorised with NumPy, and thus quick to step: one that needs a memory, and one with images.

    rslcore_tests/CartPolePositions-v0    balance a pole without seeing velocities
    rslcore_tests/CartPolePrivileged-v0   the same; a second observation group holds them, for a teacher or a critic
    rslcore_tests/Catch-v0                catch falling balls, seen in an image

They take one continuous action in [-1, 1], and reset in the same step, with Gymnasium's `final_obs`. Importing the
module registers them.

Legend: N envs, H rows and W columns of an image.
"""

from __future__ import annotations

import gymnasium
import numpy
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space


class VectorTask(VectorEnv):
    """N copies of a task. A subclass says how they start, move on and look.

    Args:
        num_envs: N.
        observation_space: Of a single env, a Box or a Dict of Boxes.
        max_episode_steps: Steps after which an episode is truncated.
    """

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012 - as Gymnasium has it

    def __init__(self, num_envs: int, observation_space: spaces.Space, max_episode_steps: int) -> None:
        self.num_envs = num_envs
        self.single_observation_space = observation_space
        self.single_action_space = spaces.Box(-1.0, 1.0, (1,))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.max_episode_steps = max_episode_steps
        self.steps = numpy.zeros(num_envs, dtype=numpy.int64)

    def reset(self, *, seed=None, options=None):
        """Start N new episodes."""
        super().reset(seed=seed)
        self._restart(numpy.ones(self.num_envs, dtype=numpy.bool_))
        return self._observe(), {}

    def step(self, actions):
        """Apply actions `[N, 1]`; an env whose episode ended is already in its next one."""
        rewards, terminated = self._advance(numpy.clip(actions[:, 0], -1.0, 1.0))
        self.steps += 1
        truncated = self.steps >= self.max_episode_steps
        obs, infos, ended = self._observe(), {}, terminated | truncated
        if ended.any():
            infos = {"final_obs": _rows(obs, ended), "_final_obs": ended}
            self._restart(ended)
            obs = self._observe()
        return obs, rewards, terminated, truncated, infos

    def _restart(self, which):
        self.steps[which] = 0
        self._start(which)

    def _start(self, which):
        """Put the envs in the mask `which [N]` into a first state."""
        raise NotImplementedError

    def _advance(self, actions):
        """Move on by actions `[N]`; return rewards and terminated, both `[N]`."""
        raise NotImplementedError

    def _observe(self):
        """New arrays `[N, ...]`."""
        raise NotImplementedError


def _rows(obs, which):
    """Observations as an object array `[N]`: one row each where the mask is true, None elsewhere."""
    rows = numpy.full(len(which), None, dtype=object)
    for index in numpy.flatnonzero(which):
        is_dict = isinstance(obs, dict)
        rows[index] = {name: group[index] for name, group in obs.items()} if is_dict else obs[index]
    return rows


class CartPolePositions(VectorTask):
    """Gymnasium's CartPole-v1 with hidden velocities; a positive action pushes to the right, any other to the left.

    Observes `[position of the cart, angle of the pole]`. The reward is 1 a step. Pushing back against the angle alone
    makes the pole swing ever further, so that a policy must know from the past how fast it moves: of those that only
    look at the present, linear ones with noise, the best that was found lasts 50 steps.
    """

    gravity, cart_mass, pole_mass, half_length, force, time_step = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
    max_position, max_angle = 2.4, numpy.deg2rad(12.0)

    def __init__(self, num_envs: int = 1, max_episode_steps: int = 500) -> None:
        super().__init__(num_envs, self._space(), max_episode_steps)
        self.state = numpy.zeros((4, num_envs))  # position, its velocity, angle, its velocity

    def _space(self):
        return _unbounded(2)

    def _start(self, which):
        self.state[:, which] = self.np_random.uniform(-0.05, 0.05, (4, which.sum()))

    def _advance(self, actions):
        _, velocity, angle, angular_velocity = self.state
        mass, moment = self.cart_mass + self.pole_mass, self.pole_mass * self.half_length
        sine, cosine = numpy.sin(angle), numpy.cos(angle)
        push = (numpy.where(actions > 0.0, self.force, -self.force) + moment * angular_velocity**2 * sine) / mass
        angular_acceleration = (self.gravity * sine - cosine * push) / (
            self.half_length * (4.0 / 3.0 - self.pole_mass * cosine**2 / mass)
        )
        acceleration = push - moment * angular_acceleration * cosine / mass
        self.state = self.state + self.time_step * numpy.stack(
            [velocity, acceleration, angular_velocity, angular_acceleration]
        )
        fallen = (numpy.abs(self.state[0]) > self.max_position) | (numpy.abs(self.state[2]) > self.max_angle)
        return numpy.ones(self.num_envs), fallen

    def _observe(self):
        return self.state[[0, 2]].T.astype(numpy.float32)


class CartPolePrivileged(CartPolePositions):
    """`CartPolePositions` with two observation groups: `policy`, the positions, and `privileged`, the whole state."""

    def _space(self):
        return spaces.Dict({"policy": _unbounded(2), "privileged": _unbounded(4)})

    def _observe(self):
        return {"policy": super()._observe(), "privileged": self.state.T.astype(numpy.float32)}


class Catch(VectorTask):
    """Balls fall, one after the other, in a wind; a paddle at the bottom catches them.

    Observes `image`, `[1, H, W]`, in which the ball is the only bright spot, and `paddle`, its column in [-1, 1]. An
    action below -1/3 moves the paddle to the left by a column, one above 1/3 to the right. A ball that is caught is
    worth 1, one that is missed -1; the third one missed ends the episode.

    The wind moves a ball to either side now and then, but not in the last two rows, so that one that is followed can
    be caught.

    Args:
        num_envs: N.
        max_episode_steps: Steps after which an episode is truncated; a ball takes H - 1.
        dtype: Of the image: `uint8`, in which the ball is 255, or `float32`, in which it is 1.
        height: H.
        width: W.
        wind: Probability that the wind moves the ball in a step.
    """

    lives = 3

    def __init__(
        self,
        num_envs: int = 1,
        max_episode_steps: int = 180,
        dtype: str = "uint8",
        height: int = 10,
        width: int = 9,
        wind: float = 0.4,
    ) -> None:
        self.brightness = 255 if dtype == "uint8" else 1
        image = spaces.Box(0, self.brightness, (1, height, width), numpy.dtype(dtype).type)
        super().__init__(
            num_envs, spaces.Dict({"image": image, "paddle": spaces.Box(-1.0, 1.0, (1,))}), max_episode_steps
        )
        self.height, self.width, self.wind, self.dtype = height, width, wind, numpy.dtype(dtype)
        self.row, self.column, self.paddle, self.missed = numpy.zeros((4, num_envs), dtype=numpy.int64)

    def _start(self, which):
        self.paddle[which] = self.np_random.integers(self.width, size=which.sum())
        self.missed[which] = 0
        self._drop(which)

    def _drop(self, which):
        """Let new balls fall from the top."""
        self.row[which] = 0
        self.column[which] = self.np_random.integers(self.width, size=which.sum())

    def _advance(self, actions):
        moves = (actions > 1.0 / 3.0).astype(numpy.int64) - (actions < -1.0 / 3.0)
        self.paddle = numpy.clip(self.paddle + moves, 0, self.width - 1)
        self.row += 1
        gusts = self.np_random.random(self.num_envs) < self.wind
        gusts &= self.row < self.height - 2
        drift = gusts * self.np_random.choice([-1, 1], self.num_envs)
        self.column = numpy.clip(self.column + drift, 0, self.width - 1)

        landed = self.row == self.height - 1
        caught = landed & (self.column == self.paddle)
        self.missed += landed & ~caught
        self._drop(landed)
        return caught.astype(numpy.float64) - (landed & ~caught), self.missed == self.lives

    def _observe(self):
        image = numpy.zeros((self.num_envs, 1, self.height, self.width), self.dtype)
        image[numpy.arange(self.num_envs), 0, self.row, self.column] = self.brightness
        paddle = 2.0 * self.paddle[:, None] / (self.width - 1) - 1.0
        return {"image": image, "paddle": paddle.astype(numpy.float32)}


def _unbounded(size):
    return spaces.Box(-numpy.inf, numpy.inf, (size,))


def register():
    """Make the tasks known to Gymnasium; may be called again."""
    for task, steps in ((CartPolePositions, 500), (CartPolePrivileged, 500), (Catch, 180)):
        name = f"rslcore_tests/{task.__name__}-v0"
        if name not in gymnasium.registry:
            gymnasium.register(name, vector_entry_point=task, max_episode_steps=steps)


register()
