"""PPO as CleanRL writes it: one file, tensors, no classes of its own beside the networks.

Written from the algorithm: observations are normalized step by step, as its wrapper does, values and log-probabilities
are computed while the rollout is collected, and every epoch shuffles anew.

Legend: N envs, T steps, B rows of a minibatch, A actions.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Any

import torch
from free_env import make_registry
from torch import Tensor, nn
from torch.distributions import Categorical, Normal

from rslcore.config import unstructure
from rslcore.context import Context
from rslcore.seeding import seed_everything
from rslcore.specs import EnvSpec
from speed.networks import Normalizer, body
from speed.worker import Turns
from speed.workloads import Workload


class Agent(nn.Module):
    """Actor and critic, without a shared layer."""

    def __init__(self, tree: dict[str, Any], spec: EnvSpec) -> None:
        super().__init__()
        (obs,) = spec.observations.values()
        self.is_discrete = spec.actions.is_discrete
        num_outputs = spec.actions.num_choices[0] if self.is_discrete else spec.actions.num_actions
        self.actor = body(tree["policy"]["actor"]["network"], obs.shape, num_outputs)
        self.critic = body(tree["policy"]["critic"]["network"], obs.shape, 1)
        self.log_std = nn.Parameter(torch.zeros(1, spec.actions.num_actions))

    def forward(self, obs: Tensor, actions: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Actions `[B, A]`, drawn if none are given, their log-probability, the entropy and the value, `[B]` each."""
        output, value = self.actor(obs), self.critic(obs).squeeze(-1)
        if self.is_discrete:
            choice = Categorical(logits=output)
            actions = choice.sample().unsqueeze(-1) if actions is None else actions
            return actions, choice.log_prob(actions.squeeze(-1)), choice.entropy(), value
        normal = Normal(output, self.log_std.expand_as(output).exp())
        actions = normal.sample() if actions is None else actions
        return actions, normal.log_prob(actions).sum(-1), normal.entropy().sum(-1), value


def train(workload: Workload, options: Sequence[str], turns: Turns) -> None:
    """Train until there are no more turns."""
    config = workload.config(turns.device, turns.threads)
    tree, registry = unstructure(config), make_registry()
    ppo, num_steps = tree["algorithm"], tree["runner"]["num_steps_per_env"]
    seed_everything(config.seed)
    device = torch.device(turns.device)
    with contextlib.closing(Context(registry, config, device, config.seed, num_steps).build(config.env, "env")) as env:
        spec: EnvSpec = env.spec
        ((group, obs_spec),) = spec.observations.items()
        size, shape = spec.num_envs, (num_steps, spec.num_envs)
        agent = Agent(tree, spec).to(device)
        optimizer = torch.optim.Adam(agent.parameters(), lr=ppo["learning_rate"], eps=1e-5)
        normalizer = Normalizer(obs_spec.shape, device) if tree["policy"]["actor"]["network"]["normalize"] else None

        all_obs = torch.zeros(*shape, *obs_spec.shape, device=device)
        all_actions = torch.zeros(*shape, spec.actions.num_actions, device=device)
        all_log_probs, all_rewards, all_dones, all_values = (torch.zeros(shape, device=device) for _ in range(4))
        advantages = torch.zeros(shape, device=device)

        def seen(obs: Any) -> Tensor:
            return obs[group] if normalizer is None else normalizer(obs[group])

        obs, done = seen(env.reset()), torch.zeros(size, device=device)
        turns.begin()
        while True:
            for step in range(num_steps):
                all_obs[step], all_dones[step] = obs, done
                with torch.no_grad():
                    actions, all_log_probs[step], _, all_values[step] = agent(obs)
                all_actions[step] = actions
                taken = env.step(actions if agent.is_discrete else actions.clamp(-1.0, 1.0))
                obs, done, all_rewards[step] = seen(taken.obs), taken.dones.float(), taken.rewards
            collected = turns.elapsed()

            with torch.no_grad():
                next_value, next_done, running = agent.critic(obs).squeeze(-1), done, torch.zeros(size, device=device)
                for step in reversed(range(num_steps)):
                    goes_on = 1.0 - next_done
                    error = all_rewards[step] + ppo["gamma"] * next_value * goes_on - all_values[step]
                    running = error + ppo["gamma"] * ppo["lam"] * goes_on * running
                    advantages[step], next_value, next_done = running, all_values[step], all_dones[step]
                returns = advantages + all_values

            rows = [
                tensor.flatten(0, 1)
                for tensor in (all_obs, all_actions, all_log_probs, advantages, returns, all_values)
            ]
            num_rows = num_steps * size
            clipped = []
            for _ in range(ppo["num_learning_epochs"]):
                for index in torch.randperm(num_rows, device=device).chunk(ppo["num_mini_batches"]):
                    clipped.append(_learn(agent, optimizer, ppo, *(tensor[index] for tensor in rows)))
            turns.end(collected)


def _learn(
    agent: Agent,
    optimizer: torch.optim.Optimizer,
    ppo: dict[str, Any],
    obs: Tensor,
    actions: Tensor,
    old_log_prob: Tensor,
    advantages: Tensor,
    returns: Tensor,
    old_values: Tensor,
) -> float:
    """A step from a minibatch; returns the share of rows whose ratio was clipped."""
    clip = ppo["clip_param"]
    _, log_prob, entropy, values = agent(obs, actions)
    log_ratio = log_prob - old_log_prob
    ratio = log_ratio.exp()
    with torch.no_grad():
        kl = ((ratio - 1.0) - log_ratio).mean()
        share = ((ratio - 1.0).abs() > clip).float().mean().item()
    if ppo["schedule"] == "adaptive" and math.isfinite(divergence := kl.item()):
        factor = 1 / 1.5 if divergence > 2 * ppo["desired_kl"] else 1.5 if divergence < ppo["desired_kl"] / 2 else 1.0
        for group in optimizer.param_groups:
            group["lr"] = min(1e-2, max(1e-5, group["lr"] * factor))
    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    surrogate = torch.max(-advantages * ratio, -advantages * ratio.clamp(1.0 - clip, 1.0 + clip)).mean()
    if ppo["use_clipped_value_loss"]:
        near = old_values + (values - old_values).clamp(-clip, clip)
        value_loss = torch.max((values - returns) ** 2, (near - returns) ** 2).mean()
    else:
        value_loss = ((values - returns) ** 2).mean()
    loss = surrogate + ppo["value_loss_coef"] * value_loss - ppo["entropy_coef"] * entropy.mean()
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(agent.parameters(), ppo["max_grad_norm"])
    optimizer.step()
    return share
