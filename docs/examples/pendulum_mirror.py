"""A pendulum and its mirror image, for the extension `symmetry`."""

import torch


def mirror(env, obs, actions):
    """`[cos, sin, speed]` seen from behind is `[cos, -sin, -speed]`, and the torque is the opposite one."""
    if obs is not None:
        mirrored = obs.clone()
        mirrored["policy"] = obs["policy"] * torch.tensor([1.0, -1.0, -1.0], device=obs.device)
        obs = torch.cat([obs, mirrored])
    if actions is not None:
        actions = torch.cat([actions, -actions])
    return obs, actions
