"""Functions that mirror, for the extension `symmetry`, right ones and wrong ones."""

from __future__ import annotations

import torch

NOT_A_FUNCTION = 3


def pendulum(env, obs, actions):
    """A pendulum seen from behind: `[cos, sin, speed]` to `[cos, -sin, -speed]`, and the opposite torque."""
    return copies(obs, actions, [torch.tensor([1.0, -1.0, -1.0])], [-1.0])


def cartpole(env, obs, actions):
    """A cart seen from behind: all numbers negated, and the other push."""
    if obs is not None:
        obs = torch.cat([obs, obs.apply(torch.neg)])
    if actions is not None:
        actions = torch.cat([actions, 1 - actions])
    return obs, actions


def same(env, obs, actions):
    """Every row is its own mirror image."""
    return copies(obs, actions, [1.0], [1.0])


def four(env, obs, actions):
    """Three mirrored copies, of which each is another."""
    return copies(obs, actions, FACTORS, [-1.0, 0.5, 2.0])


FACTORS = (-1.0, 0.5, torch.tensor([2.0, -1.0, 3.0]))


def copies(obs, actions, obs_factors, action_factors):
    if obs is not None:
        mirrored = []
        for factor in obs_factors:
            mirrored.append(obs.clone())
            mirrored[-1]["policy"] = obs["policy"] * factor
        obs = torch.cat([obs, *mirrored])
    if actions is not None:
        actions = torch.cat([actions, *(actions * factor for factor in action_factors)])
    return obs, actions


# Wrong ones


def fails(env, obs, actions):
    raise KeyError("joint")


def fails_without_actions(env, obs, actions):
    return obs, actions.neg()


def no_pair(env, obs, actions):
    return obs


def no_tensors(env, obs, actions):
    return None if obs is None else dict(obs), actions


def once(env, obs, actions):
    return obs, actions


def uneven(env, obs, actions):
    obs, actions = pendulum(env, obs, actions)
    return obs, None if actions is None else actions[:-1]


def leaves_out(env, obs, actions):
    obs, actions = pendulum(env, obs, actions)
    return None if obs is None else obs.exclude("policy"), actions


def flat(env, obs, actions):
    obs, actions = pendulum(env, obs, actions)
    if obs is not None:
        obs.batch_size = []
    return obs, actions


def short_obs(env, obs, actions):
    return obs, None if actions is None else torch.cat([actions, -actions])


def narrow_actions(env, obs, actions):
    obs, actions = pendulum(env, obs, actions)
    return obs, None if actions is None else actions.expand(-1, 2)


def other_type(env, obs, actions):
    obs, actions = pendulum(env, obs, actions)
    return obs, None if actions is None else actions.double()


def mirrored_first(env, obs, actions):
    obs, actions = pendulum(env, obs, actions)
    return None if obs is None else obs.flip(0), actions


def only_together(env, obs, actions):
    """Does nothing to actions that come alone, as the mirror loss gives them."""
    mirrored, mirrored_actions = pendulum(env, obs, actions)
    return mirrored, actions if obs is None else mirrored_actions


def no_obs_alone(env, obs, actions):
    mirrored, mirrored_actions = pendulum(env, obs, actions)
    return None if actions is None else mirrored, mirrored_actions


def fails_on_many(env, obs, actions):
    """Mirrors a few rows, as when it is tried out, and fails on more."""
    if len(obs if obs is not None else actions) > 8:
        raise ValueError("too many rows")
    return pendulum(env, obs, actions)
