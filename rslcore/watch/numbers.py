"""The numbers of a rollout: noted on the device at every step, looked at once, at its end.

Of an observation group the sum of each row is kept: a sum is not finite where a number of the row is not, and a sum of
large groups is cheap. Rewards and actions are small enough to be kept as they are.

Legend: N envs, T steps of a rollout, A actions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import attrs
import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.protocols import EnvStep
from rslcore.specs import EnvSpec

ACTION_LIMIT = 1e6
"""Actions beyond this size have exploded: no env has a use for them."""

WIDER = {torch.float16: torch.float32, torch.bfloat16: torch.float32}
"""What sums are made in where a type holds but small ones."""


@attrs.frozen
class Finding:
    """Numbers that went wrong: where first, and in which envs there.

    Attributes:
        step: Of the rollout, counted from 1; 0 for the observations that it began with.
        what: In words.
        value: The first bad number; for an observation group, the sum of its row.
        envs: Indices of the envs at this step.
    """

    step: int
    what: str
    value: float
    envs: tuple[int, ...]


def described(findings: Iterable[Finding], num_steps: int, num_envs: int) -> list[str]:
    """A clause for each finding: what, in which envs, and at which step."""
    clauses = []
    for finding in findings:
        shown = ", ".join(map(str, finding.envs[:5]))
        more = ", ..." if len(finding.envs) > 5 else ""
        who = f"env {shown}" if len(finding.envs) == 1 else f"{len(finding.envs)} envs ({shown}{more})"
        when = f"step {finding.step} of {num_steps}" if finding.step else "the beginning"
        clauses.append(f"{finding.what} {finding.value:g} in {who} of {num_envs} at {when}")
    return clauses


def row_sums(obs: TensorDict, groups: Iterable[str]) -> dict[str, Tensor]:
    """The sum of each row of observation groups, `[N]`, single precision at least, without a graph."""
    sums = {}
    for group in groups:
        rows: Tensor = obs[group].detach()
        if rows.dim() != 2:
            rows = rows.flatten(1) if rows.dim() > 2 else rows.unsqueeze(1)
        sums[group] = rows.sum(1) if rows.dtype is torch.float32 else rows.sum(1, dtype=WIDER.get(rows.dtype))
    return sums


def float_groups(spec: EnvSpec) -> tuple[str, ...]:
    """The observation groups in which a number can be infinite."""
    return tuple(g for g, row in spec.observations.items() if getattr(torch, row.dtype).is_floating_point)


def too_large(actions: Tensor) -> Tensor:
    """Which rows of actions `[N, A]` are not finite or have exploded, `[N]`, bool."""
    return ~(actions.abs().amax(-1) <= ACTION_LIMIT)  # a comparison with NaN is False


class RolloutNumbers:
    """The numbers of one rollout.

    Args:
        spec: The env's.
    """

    def __init__(self, spec: EnvSpec) -> None:
        self.groups = float_groups(spec)
        self._acts_in_numbers = not spec.actions.is_discrete
        self._obs: dict[str, list[Tensor]] = {group: [] for group in self.groups}
        self._final_obs: dict[str, dict[int, Tensor]] = {group: {} for group in self.groups}
        self._rewards: list[Tensor] = []
        self._actions: list[Tensor] = []

    @property
    def num_steps(self) -> int:
        """Steps that were noted."""
        return len(self._rewards)

    def begin(self, sums: Mapping[str, Tensor]) -> None:
        """A new rollout begins with observations of these row sums."""
        for group, kept in self._obs.items():
            kept[:] = [sums[group]]
            self._final_obs[group].clear()
        self._rewards.clear()
        self._actions.clear()

    def note(self, actions: Tensor, step: EnvStep, sums: Mapping[str, Tensor]) -> None:
        """Take in one step; `sums` are those of its observations' rows."""
        if self._acts_in_numbers:
            self._actions.append(actions.detach())
        self._rewards.append(step.rewards.detach())
        for group, kept in self._obs.items():
            kept.append(sums[group])
        if step.final_obs is not None and step.final_obs is not step.obs:
            for group, rows in row_sums(step.final_obs, self.groups).items():
                self._final_obs[group][self.num_steps] = rows

    def find(self) -> list[Finding]:
        """What has gone wrong, the first first: actions come before what an env made of them.

        One read of the device if nothing has.
        """
        if self._are_good():
            return []
        findings = []
        if self._actions:
            actions = torch.stack(self._actions)
            findings += _first("actions are", actions.abs().amax(-1), too_large(actions), 1)
        for group, rows in self._obs.items():
            findings += _first_infinite(f"observation group '{group}' is", dict(enumerate(rows)))
        for group, final in self._final_obs.items():
            findings += _first_infinite(f"group '{group}' of final observations is", final)
        findings += _first_infinite("rewards are", dict(enumerate(self._rewards, 1)))
        return sorted(findings, key=lambda finding: finding.step)

    def _are_good(self) -> bool:
        """Whether all are finite and no action has exploded; False also where their sum is too large to be told."""
        kept = [*self._rewards]
        for group in self.groups:
            kept += [*self._obs[group], *self._final_obs[group].values()]
        if not kept:
            return True
        total = torch.cat(kept).sum()
        if not self._actions:
            return math.isfinite(total.item())
        largest = torch.stack(self._actions).abs().amax()
        total, largest = torch.stack((total.double(), largest.double())).tolist()
        return math.isfinite(total) and largest <= ACTION_LIMIT


def _first_infinite(what: str, rows: Mapping[int, Tensor]) -> list[Finding]:
    """The first step in which a number of rows `{step: [N]}` is not finite; none if all are."""
    for step, numbers in rows.items():
        if found := _first(what, numbers.unsqueeze(0), ~numbers.isfinite().unsqueeze(0), step):
            return found
    return []


def _first(what: str, numbers: Tensor, bad: Tensor, first_step: int) -> list[Finding]:
    """The first step of `numbers [T, N]` in which some are `bad [T, N]`; none if there is none."""
    places = bad.nonzero().tolist()
    if not places:
        return []
    step, env = places[0]
    envs = tuple(env for other, env in places if other == step)
    return [Finding(first_step + step, what, float(numbers[step, env]), envs)]
