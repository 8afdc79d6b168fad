"""Bad rows made rows that are no transitions, so that a run can go on with the others. Nothing here reads a tensor.

Legend: N envs, A actions.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.protocols import EnvStep
from rslcore.specs import EnvSpec
from rslcore.watch.numbers import row_sums, too_large


class Cleaner:
    """Takes bad numbers out of steps.

    Observations that are not finite are replaced by the last ones that were, zeros where there are none yet, and a
    reward by 0. The row of a step that gave them is no transition, and neither is one that was acted on such
    observations, or by an action that was none.

    Args:
        spec: The env's.
        groups: Observation groups in which a number can be infinite.
    """

    def __init__(self, spec: EnvSpec, groups: tuple[str, ...]) -> None:
        self._groups = groups
        self._acts_in_numbers = not spec.actions.is_discrete
        self._latest: TensorDict | None = None
        self._acted_on_good: Tensor | None = None  # whether the latest observations were finite, `[N]`
        self.good: list[Tensor] = []  # of each step since the last `clear`, `[N]`

    def begin(self, obs: TensorDict, sums: Mapping[str, Tensor]) -> TensorDict:
        """Observations `[N, ...]` to act on, of episodes that begin, without bad numbers."""
        zeros = obs.apply(torch.zeros_like)
        assert zeros is not None
        self._acted_on_good = _finite(sums, obs)
        self._latest = _choose(self._acted_on_good, obs, zeros)
        return self._latest

    def go_on(self, obs: TensorDict, sums: Mapping[str, Tensor]) -> None:
        """Act next on clean observations `[N, ...]` of a run that is resumed; `sums` are of what the env had given."""
        self._acted_on_good = _finite(sums, obs)
        self._latest = obs

    def clean(self, actions: Tensor, step: EnvStep, sums: Mapping[str, Tensor]) -> EnvStep:
        """A step without bad numbers; `sums` are those of its observations' rows."""
        assert self._latest is not None
        assert self._acted_on_good is not None
        before, good = self._latest, self._acted_on_good
        if self._acts_in_numbers:
            good = good & ~too_large(actions)
        self._acted_on_good = _finite(sums, step.obs)
        self._latest = _choose(self._acted_on_good, step.obs, before)
        final_obs = step.final_obs
        if final_obs is step.obs:
            final_obs = self._latest
        elif final_obs is not None:
            finite = _finite(row_sums(final_obs, self._groups), final_obs)
            final_obs = _choose(finite, final_obs, before)
            good = good & finite
        paid = step.rewards.isfinite()
        good = good & paid & self._acted_on_good
        self.good.append(good)
        return attrs.evolve(
            step,
            obs=self._latest,
            rewards=torch.where(paid, step.rewards, 0.0),
            # The end of an episode stays one, but what it was worth is not known.
            terminated=step.terminated & good,
            truncated=step.truncated | (step.terminated & ~good),
            final_obs=final_obs,
            valid=good if step.valid is None else step.valid & good,
        )

    def restart(self, step: EnvStep, envs: Tensor, obs: TensorDict, sums: Mapping[str, Tensor]) -> EnvStep:
        """A clean step after which `envs [N]`, bool, were reset: their episodes end with it.

        Args:
            step: From `clean`.
            envs: Those that were reset.
            obs: To act on next, `[N, ...]`: of new episodes in these envs.
            sums: Of the rows of `obs`.
        """
        assert self._acted_on_good is not None
        finite = _finite(sums, obs)
        self._acted_on_good = torch.where(envs, finite, self._acted_on_good)
        self._latest = _choose(envs & finite, obs, step.obs)
        valid = step.valid if step.valid is not None else torch.ones_like(envs)
        return attrs.evolve(
            step,
            obs=self._latest,
            terminated=step.terminated & ~envs,
            truncated=step.truncated | envs,
            valid=valid & ~envs,
        )


def _finite(sums: Mapping[str, Tensor], obs: TensorDict) -> Tensor:
    """In which rows all sums are finite, `[N]`, bool."""
    finite = torch.ones(len(obs), dtype=torch.bool, device=obs.device or next(iter(obs.values())).device)
    for rows in sums.values():
        finite = finite & rows.isfinite()
    return finite


def _choose(flags: Tensor, chosen: TensorDict, others: TensorDict) -> TensorDict:
    """Rows of `chosen [N, ...]` where the flag is set, of `others`, without their graph, elsewhere."""

    def mix(rows: Tensor, other: Tensor) -> Tensor:
        return torch.where(flags.view(-1, *(1,) * (rows.dim() - 1)), rows, other.detach())

    mixed = chosen.apply(mix, others)
    assert mixed is not None
    return mixed
