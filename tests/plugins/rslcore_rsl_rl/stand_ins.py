"""Envs with the interfaces and the quirks that those of five projects have for rsl_rl; inside of each is a point mass.

Each class is written from the project's contract: what it has and lacks, which tensors and dicts it writes into again,
what it leaves as it was in steps without a reset. Each function makes one, as the factory of a `vec_env`.

Legend: N envs, two actions, K envs that reset.
"""

from __future__ import annotations

import math
from types import SimpleNamespace

import torch
from tensordict import TensorDict


class PointMass:
    """N points in a plane, pushed by actions towards the origin; the reward is the nearer the higher, at most 1.

    An episode ends in a terminal state where the point has gone too far, and by a time limit.
    """

    def __init__(self, num_envs, device, seed, length):
        self.num_envs, self.device, self.length = num_envs, torch.device(device), length
        self.generator = torch.Generator(self.device).manual_seed(seed)
        self.position = torch.zeros(num_envs, 2, device=self.device)
        self.velocity = torch.zeros(num_envs, 2, device=self.device)
        self.reset(torch.arange(num_envs, device=self.device))

    def draw(self, *shape):
        return torch.rand(*shape, device=self.device, generator=self.generator) * 2.0 - 1.0

    def reset(self, env_ids):
        self.position[env_ids] = self.draw(len(env_ids), 2)
        self.velocity[env_ids] = 0.0

    def push(self, actions):
        """The rewards and which points have gone too far, both `[N]`."""
        self.velocity += 0.2 * actions.clamp(-1.0, 1.0) - 0.1 * self.velocity
        self.position += 0.2 * self.velocity
        distance = self.position.square().sum(-1)
        return torch.exp(-2.0 * distance), distance > 4.0

    def observe(self):
        return torch.cat([self.position, self.velocity], -1)


class ActionManager:
    """One term for both actions; Isaac Lab's and mjlab's call the names of what it moves differently."""

    active_terms = ("push",)

    def __init__(self, attribute):
        self.term = SimpleNamespace(**{attribute: ["push_x", "push_y"]})

    def get_term(self, name):
        return self.term


class ManagerBasedEnv:
    """What is inside of the wrappers of Isaac Lab and mjlab; gymnasium's five values, one dict of extras for good."""

    def __init__(self, num_envs, device, seed, groups, length, final_key, final_obs, finite_horizon, log_prefix):
        self.mass = PointMass(num_envs, device, seed, length)
        self.num_envs, self.device, self.max_episode_length = num_envs, device, length
        self.cfg = SimpleNamespace(is_finite_horizon=finite_horizon, seed=seed)
        if final_key == "final_obs":
            self.cfg.compute_final_obs = final_obs
        self.groups, self.final_key, self.final_obs, self.log_prefix = groups, final_key, final_obs, log_prefix
        self.episode_length_buf = torch.zeros(num_envs, dtype=torch.long, device=device)
        self.reward_buf = torch.zeros(num_envs, device=device)
        self.reset_terminated = torch.zeros(num_envs, dtype=torch.bool, device=device)
        self.reset_time_outs = torch.zeros(num_envs, dtype=torch.bool, device=device)
        self.sums = torch.zeros(num_envs, device=device)
        self.action_manager = ActionManager("_joint_names" if final_key == "final_obs" else "target_names")
        self.extras = {}
        self.num_observed = 0
        self.closed = 0

    @property
    def unwrapped(self):
        return self

    def compute_observations(self, env_ids=None):
        """Noise is drawn anew each time, so that asking twice does not give the same."""
        self.num_observed += 1
        seen = self.mass.observe()
        noisy = seen + 0.01 * self.mass.draw(*seen.shape)
        both = noisy, torch.cat([seen, self.sums[:, None]], -1)
        return dict(zip(self.groups, both, strict=False))  # some envs have the first one alone

    def reset(self, seed=None, env_ids=None, options=None):
        self._reset_idx(torch.arange(self.num_envs) if env_ids is None else env_ids)
        return self.compute_observations(), self.extras

    def step(self, actions):
        reward, self.reset_terminated[:] = self.mass.push(actions.to(self.device))
        self.reward_buf[:] = reward
        self.sums += reward
        self.episode_length_buf += 1
        self.reset_time_outs[:] = self.episode_length_buf >= self.max_episode_length
        env_ids = (self.reset_terminated | self.reset_time_outs).nonzero()[:, 0]
        self.extras.pop("terminal", None)
        if len(env_ids):
            self._keep_final(env_ids)
            self._reset_idx(env_ids)
        obs = self.compute_observations()
        return obs, self.reward_buf, self.reset_terminated, self.reset_time_outs, self.extras

    def close(self):
        self.closed += 1

    def _keep_final(self, env_ids):
        if not self.final_obs:
            return
        obs = self.compute_observations()
        if self.final_key == "final_obs":
            self.extras["final_obs"] = obs  # of all envs; it stays there until the next reset
        else:
            rows = {name: group[env_ids] for name, group in obs.items()}
            self.extras["terminal"] = {"env_ids": env_ids, "observations": rows}

    def _reset_idx(self, env_ids):
        self.extras["log"] = {f"{self.log_prefix}/near": self.sums[env_ids].mean(), "Curriculum/level": 3}
        self.mass.reset(env_ids)
        self.sums[env_ids] = 0.0
        self.episode_length_buf[env_ids] = 0


class ManagerBasedWrapper:
    """What the wrappers of Isaac Lab and mjlab have in common. It resets when it is made."""

    def __init__(self, env, clip_actions=None):
        self.env = env
        self.clip_actions = clip_actions
        self.num_envs = env.unwrapped.num_envs
        self.max_episode_length = env.unwrapped.max_episode_length
        self.num_actions = 2
        self.env.reset()

    @property
    def unwrapped(self):
        return self.env.unwrapped

    @property
    def cfg(self):
        return self.unwrapped.cfg

    @property
    def episode_length_buf(self):
        return self.unwrapped.episode_length_buf

    @episode_length_buf.setter
    def episode_length_buf(self, value):
        self.unwrapped.episode_length_buf = value

    def get_observations(self):
        return TensorDict(self.unwrapped.compute_observations(), batch_size=[self.num_envs])

    def step(self, actions):
        obs, rewards, dones, extras = self._step(actions)
        return TensorDict(obs, batch_size=[self.num_envs]), rewards, dones, extras

    def close(self):
        self.env.close()

    def _step(self, actions):
        if self.clip_actions is not None:
            actions = torch.clamp(actions, -self.clip_actions, self.clip_actions)
        obs, rewards, terminated, truncated, extras = self.env.step(actions)
        if not self.cfg.is_finite_horizon:
            extras["time_outs"] = truncated
        return obs, rewards, (terminated | truncated).to(torch.long), extras


class IsaacLabWrapper(ManagerBasedWrapper):
    """Of Isaac Lab with rsl-rl-lib 3 and later; the device is a string. Some versions have no `reset`."""

    def __init__(self, env, clip_actions=None):
        super().__init__(env, clip_actions)
        self.device = str(env.unwrapped.device)


class IsaacLabWrapper2(IsaacLabWrapper):
    """Of Isaac Lab 2.1 and 2.2, with rsl-rl-lib 2: a tensor for the policy, a dict for the others."""

    @property
    def num_obs(self):
        return 4

    def get_observations(self):
        obs = self.unwrapped.compute_observations()
        return obs["policy"], {"observations": obs}

    def step(self, actions):
        obs, rewards, dones, extras = self._step(actions)
        extras["observations"] = obs
        return obs["policy"], rewards, dones, extras


class MjlabWrapper(ManagerBasedWrapper):
    """Of mjlab; the device is a torch.device."""

    def __init__(self, env, clip_actions=None):
        super().__init__(env, clip_actions)
        self.device = torch.device(env.unwrapped.device)

    def reset(self):
        obs, extras = self.env.reset()
        return TensorDict(obs, batch_size=[self.num_envs]), extras


class GenesisEnv:
    """As Genesis' Go2Env: no base class, a dict as cfg, float time-outs, bool dones, the same tensors at every step."""

    def __init__(self, num_envs, env_cfg, device="cuda", seed=0):
        self.device = torch.device(device)
        self.cfg = env_cfg
        self.num_envs, self.num_actions = num_envs, 2
        self.max_episode_length = math.ceil(env_cfg["episode_length_s"] / 0.02)
        self.mass = PointMass(num_envs, device, seed, self.max_episode_length)
        self.obs_buf = torch.zeros(num_envs, 4, device=device)
        self.rew_buf = torch.zeros(num_envs, device=device)
        self.reset_buf = torch.ones(num_envs, dtype=torch.bool, device=device)
        self.episode_length_buf = torch.zeros(num_envs, dtype=torch.int32, device=device)
        self.episode_sums = {"near": torch.zeros(num_envs, device=device)}
        self.extras = {}
        self.reset()

    def step(self, actions):
        self.rew_buf[:], self.reset_buf[:] = self.mass.push(actions)
        self.episode_sums["near"] += self.rew_buf
        self.episode_length_buf += 1
        time_outs = self.episode_length_buf > self.max_episode_length
        self.reset_buf |= time_outs
        self.extras["time_outs"] = time_outs.float()
        self._reset_idx(self.reset_buf.nonzero()[:, 0])
        self.obs_buf[:] = self.mass.observe()
        return self.get_observations(), self.rew_buf, self.reset_buf, self.extras

    def get_observations(self):
        return TensorDict({"policy": self.obs_buf}, batch_size=[self.num_envs])

    def reset(self):
        self._reset_idx(torch.arange(self.num_envs, device=self.device))
        self.obs_buf[:] = self.mass.observe()
        return self.get_observations()

    def _reset_idx(self, env_ids):
        if not len(env_ids):
            return
        self.mass.reset(env_ids)
        self.episode_length_buf[env_ids] = 0
        self.extras["episode"] = {
            "rew_near": self.episode_sums["near"][env_ids].mean() / self.cfg["episode_length_s"],
        }
        self.episode_sums["near"][env_ids] = 0.0


class PlaygroundWrapper:
    """As MuJoCo Playground's RSLRLBraxWrapper on a CPU: no cfg, device, or counters; to ask for observations resets."""

    def __init__(self, num_actors, seed, episode_length):
        self.seed = seed
        self.num_envs, self.num_actions = num_actors, 2
        self.max_episode_length = episode_length
        self.mass = None
        self.steps = torch.zeros(num_actors)
        self.num_resets = 0

    def step(self, action):
        assert not action.requires_grad, "tensors with a graph cannot be handed to JAX"
        reward, gone = self.mass.push(torch.clip(action, -1.0, 1.0))
        self.steps = self.steps + 1.0
        is_last = self.steps >= self.max_episode_length
        done = (gone | is_last).float()
        ended = done.bool()
        self.mass.reset(ended.nonzero()[:, 0])
        self.steps = torch.where(ended, 0.0, self.steps)
        obs = self._observe()
        extras = {
            "time_outs": torch.where(is_last, 1.0 - gone.float(), 0.0),
            "observations": {"critic": obs["privileged_state"]},
            "log": {"reward/near": reward.mean().item()},
        }
        return obs, reward, done, extras

    def reset(self):
        self.num_resets += 1
        self.mass = PointMass(self.num_envs, "cpu", self.seed, self.max_episode_length)  # of the same key each time
        self.steps = torch.zeros(self.num_envs)
        return self._observe()

    def get_observations(self):
        return self.reset()

    def _observe(self):
        seen = self.mass.observe()
        groups = {"state": seen, "privileged_state": torch.cat([seen, seen.square()], -1)}
        return TensorDict(groups, batch_size=[self.num_envs])


class LeggedGymEnv:
    """As legged_gym's: five values, observations that are zeros until it is reset, time-outs only where one resets."""

    def __init__(self, num_envs, device, seed, num_privileged_obs=5, length=40):
        self.num_envs, self.num_actions, self.device = num_envs, 2, device
        self.num_obs, self.num_privileged_obs = 4, num_privileged_obs
        self.max_episode_length = math.ceil(length * 0.5) * 2.0  # a float, as numpy.ceil gives
        self.mass = PointMass(num_envs, device, seed, length)
        self.obs_buf = torch.zeros(num_envs, 4, device=device)
        self.privileged_obs_buf = None
        if num_privileged_obs is not None:
            self.privileged_obs_buf = torch.zeros(num_envs, num_privileged_obs, device=device)
        self.rew_buf = torch.zeros(num_envs, device=device)
        self.reset_buf = torch.ones(num_envs, device=device, dtype=torch.long)
        self.episode_length_buf = torch.zeros(num_envs, device=device, dtype=torch.long)
        self.time_out_buf = torch.zeros(num_envs, device=device, dtype=torch.bool)
        self.sums = torch.zeros(num_envs, device=device)
        self.extras = {}

    def get_observations(self):
        return self.obs_buf

    def get_privileged_observations(self):
        return self.privileged_obs_buf

    def reset_idx(self, env_ids):
        if len(env_ids) == 0:
            return
        self.mass.reset(env_ids)
        self.episode_length_buf[env_ids] = 0
        self.reset_buf[env_ids] = 1
        self.extras["episode"] = {"rew_near": torch.mean(self.sums[env_ids]) / self.max_episode_length}
        self.sums[env_ids] = 0.0
        self.extras["time_outs"] = self.time_out_buf.clone()

    def reset(self):
        self.reset_idx(torch.arange(self.num_envs, device=self.device))
        obs, privileged_obs, _, _, _ = self.step(torch.zeros(self.num_envs, self.num_actions, device=self.device))
        return obs, privileged_obs

    def step(self, actions):
        rewards, gone = self.mass.push(actions.to(self.device))
        self.rew_buf[:] = rewards
        self.sums += rewards
        self.episode_length_buf += 1
        self.time_out_buf = self.episode_length_buf > self.max_episode_length
        self.reset_buf[:] = (gone | self.time_out_buf).long()
        self.reset_idx(self.reset_buf.nonzero().flatten())
        self.obs_buf[:] = self.mass.observe()
        if self.privileged_obs_buf is not None:
            self.privileged_obs_buf[:] = torch.cat([self.obs_buf, self.sums[:, None]], -1)
        return self.obs_buf, self.privileged_obs_buf, self.rew_buf, self.reset_buf, self.extras


def isaac_lab(num_envs, device, seed, version=3, final_obs=False, finite_horizon=False, length=40, clip_actions=None):
    """Isaac Lab's wrapper for the rsl-rl-lib of this major version, around a manager-based env."""
    groups = ("policy", "critic")
    env = ManagerBasedEnv(
        num_envs, device, seed, groups, length, "final_obs", final_obs, finite_horizon, "Episode_Reward"
    )
    return (IsaacLabWrapper if version >= 3 else IsaacLabWrapper2)(env, clip_actions)


def isaac_lab_2(num_envs, device, seed, **options):
    """Isaac Lab's wrapper as it was for rsl-rl-lib 2."""
    return isaac_lab(num_envs, device, seed, version=2, **options)


def mjlab(num_envs, device, seed, final_obs=False, length=40, clip_actions=None):
    """mjlab's wrapper; `final_obs` as proposed there, which no setting announces."""
    groups = ("actor", "critic")
    env = ManagerBasedEnv(num_envs, device, seed, groups, length, "terminal", final_obs, False, "Episode_Reward")
    return MjlabWrapper(env, clip_actions)


def genesis(num_envs, device, seed, episode_length_s=0.8):
    """An env of Genesis."""
    return GenesisEnv(num_envs, {"episode_length_s": episode_length_s, "num_actions": 2}, device, seed)


def playground(num_envs, device, seed, episode_length=40):
    """MuJoCo Playground's wrapper; on the CPU, it has no device."""
    return PlaygroundWrapper(num_envs, seed, episode_length)


def legged_gym(num_envs, device, seed, num_privileged_obs=5, length=40):
    """An env of legged_gym or unitree_rl_gym."""
    return LeggedGymEnv(num_envs, device, seed, num_privileged_obs, length)


FAMILIES = {
    "isaac_lab": isaac_lab,
    "isaac_lab_2": isaac_lab_2,
    "mjlab": mjlab,
    "genesis": genesis,
    "playground": playground,
    "legged_gym": legged_gym,
}
"""By project, what makes its env of `(num_envs, device, seed)`."""
