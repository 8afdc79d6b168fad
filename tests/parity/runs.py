"""Lets both libraries do the same, and records what each computed, stage by stage, under the same names."""

from __future__ import annotations

from typing import Any

import attrs
import torch
from parity import ours, theirs, weights
from parity.case import Case
from parity.rollouts import Rollout, script_rollouts
from torch import Tensor, nn

NUM_ROLLOUTS = 3

Record = dict[str, Tensor]
"""What one library computed, by stage: `rollout 0/returns`, `rollout 2/weights/actor/mlp.0.weight`."""


@attrs.frozen
class Records:
    """What both computed.

    Attributes:
        ours: By rslcore.
        theirs: By rsl_rl, under the same names.
    """

    ours: Record = attrs.field(factory=dict)
    theirs: Record = attrs.field(factory=dict)

    def add(self, stage: str, one: Tensor, other: Tensor | float) -> None:
        """Keep a copy of what both have now."""
        self.ours[stage] = one.detach().clone()
        self.theirs[stage] = torch.as_tensor(other).detach().clone()


@attrs.frozen
class Pair:
    """A module of ours and its counterpart.

    Attributes:
        tensors: Ours, under their names.
        module: Theirs.
    """

    tensors: dict[str, Tensor]
    module: nn.Module

    def record(self, records: Records, stage: str) -> None:
        """Keep a copy of all tensors."""
        yours = weights.their_tensors(self.module, self.tensors)
        for name, tensor in self.tensors.items():
            records.add(f"{stage}/{name}", tensor, yours[name])


def pairs_of_ppo(one: Any, other: Any) -> dict[str, Pair]:
    """All modules of PPO of both libraries."""
    pairs = {
        "actor": Pair(weights.renamed_tensors(one.policy.actor, one.policy.distribution), other.actor),
        "critic": Pair(weights.renamed_tensors(one.policy.critic), other.critic),
    }
    for extension in one.extensions.extensions:
        if hasattr(extension, "networks"):
            pairs["rnd"] = Pair(weights.renamed_tensors(extension.networks), other.rnd)
    return pairs


def run_ppo(case: Case, rollouts: list[Rollout] | None = None) -> Records:
    """PPO on the same rollouts from the same weights; on `NUM_ROLLOUTS` of them by default."""
    torch.manual_seed(1)
    one, other = ours.build_ppo(case), theirs.build_ppo(case)
    for pair in pairs_of_ppo(one, other).values():
        weights.copy_to_theirs(pair.tensors, pair.module)
    return compare_ppo(one, other, rollouts or script_rollouts(case, NUM_ROLLOUTS))


def compare_ppo(one: Any, other: Any, rollouts: list[Rollout]) -> Records:
    """The same rollouts with PPO of both libraries, which have the same weights."""
    pairs = pairs_of_ppo(one, other)
    records = Records()
    for number, rollout in enumerate(rollouts):
        first_states = {name: dict(state) for name, state in one._states.items()}
        torch.manual_seed(100 + number)
        actions = ours.collect(one, rollout)
        theirs.collect(other, other.actor, rollout, actions)
        # Nothing but the permutation is drawn in an update.
        torch.manual_seed(200 + number)
        metrics = one.update(rollout.obs[-1])
        torch.manual_seed(200 + number)
        losses = other.update()

        _record_rollout(records, f"rollout {number}", one, other)
        for name, state in first_states.items():
            for part, tensor in state.items():
                stage = f"rollout {number}/first state/{name}/{part}"
                records.add(stage, tensor, _their_first_state(other, name, part))
        for name, loss in losses.items():
            records.add(f"rollout {number}/loss/{name}", metrics[f"Loss/{name}"], loss)
        records.add(f"rollout {number}/learning rate", metrics["Loss/learning_rate"], other.learning_rate)
        for name, pair in pairs.items():
            pair.record(records, f"rollout {number}/weights/{name}")
        if "rnd" in pairs:
            _record_rewards(records, f"rollout {number}/rnd", one, other)
    return records


def run_distillation(case: Case, monkeypatch: Any) -> Records:
    """Distillation on the same rollouts from the same weights and the same teacher."""
    torch.manual_seed(1)
    trained = ours.build_teacher(case)
    one, other = ours.build_distillation(case, trained, monkeypatch), theirs.build_distillation(case)
    student = weights.renamed_tensors(one.policy.student, one.policy.distribution)
    weights.copy_to_theirs(student, other.student)
    weights.copy_to_theirs(weights.renamed_tensors(trained.policy.actor, trained.policy.distribution), other.teacher)
    return compare_distillation(one, other, script_rollouts(case, NUM_ROLLOUTS))


def compare_distillation(one: Any, other: Any, rollouts: list[Rollout]) -> Records:
    """The same rollouts with distillation in both libraries, which have the same weights and the same teacher."""
    student = Pair(weights.renamed_tensors(one.policy.student, one.policy.distribution), other.student)
    records = Records()
    for number, rollout in enumerate(rollouts):
        first_state = one._state
        if number:
            for part, theirs_of_part in zip(first_state, _parts(other.student.get_hidden_state()), strict=True):
                stage = f"rollout {number}/first state/student/{part}"
                records.add(stage, first_state[part], theirs_of_part.transpose(0, 1))
        actions = ours.collect(one, rollout)
        theirs.collect(other, other.student, rollout, actions)
        metrics, losses = one.update(rollout.obs[-1]), other.update()
        records.add(
            f"rollout {number}/teacher actions", one.storage.column("teacher_actions"), other.storage.privileged_actions
        )
        records.add(f"rollout {number}/loss/behavior", metrics["Loss/behavior"], losses["behavior"])
        student.record(records, f"rollout {number}/weights/student")
    return records


def _record_rollout(records: Records, stage: str, one: Any, other: Any) -> None:
    """What was computed from the rollout alone; storages keep it until the next one is written over it."""
    column, storage = one.storage.column, other.storage
    records.add(f"{stage}/values", column("values"), storage.values.squeeze(-1))
    records.add(f"{stage}/log_prob", column("log_prob"), storage.actions_log_prob.squeeze(-1))
    records.add(f"{stage}/returns", column("returns"), storage.returns.squeeze(-1))
    records.add(f"{stage}/advantages", column("advantages"), storage.advantages.squeeze(-1))
    for name, param in zip(one.policy.distribution.param_specs(), storage.distribution_params, strict=True):
        records.add(f"{stage}/params/{name}", column(f"params/{name}"), param)


def _record_rewards(records: Records, stage: str, one: Any, other: Any) -> None:
    """What was rewarded: the rewards without the bootstrap that rsl_rl adds to them, and the sums that scale them."""
    (rnd,) = (extension for extension in one.extensions.extensions if hasattr(extension, "networks"))
    records.add(f"{stage}/weight", torch.tensor(rnd._weight), other.rnd.weight)
    if rnd.networks.reward_scale is not None:
        records.add(f"{stage}/sums", rnd.networks.reward_scale.sums, other.rnd.reward_normalizer.disc_avg.avg)
    truncated = one.storage.column("truncated")
    rewards, theirs_rewards = one.storage.column("rewards"), other.storage.rewards.squeeze(-1)
    records.add(f"{stage}/rewards", rewards[~truncated], theirs_rewards[~truncated])


def _their_first_state(other: Any, name: str, part: str) -> Tensor:
    """What a model remembered before a rollout, `[N, layers, features]`."""
    saved = other.storage.saved_hidden_state_a if name == "actor" else other.storage.saved_hidden_state_c
    return saved[("hidden", "cell").index(part)][0].transpose(0, 1)


def _parts(hidden_state: Any) -> tuple[Tensor, ...]:
    """A model's memory as a tuple, as it is for an LSTM."""
    if hidden_state is None:
        return ()
    return hidden_state if isinstance(hidden_state, tuple) else (hidden_state,)
