"""`Watch`: what a runner's loop asks at every step.

Legend: N envs, T steps of a rollout, A actions.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from tensordict import TensorDict
from torch import Tensor

from rslcore.context import Context
from rslcore.distributed import gather, num_ranks
from rslcore.errors import BadNumbersError, ConfigError, EnvError
from rslcore.protocols import Env, EnvStep, PartialResetEnv
from rslcore.watch.cleaning import Cleaner
from rslcore.watch.evidence import MAX_ENVS, KeptSteps
from rslcore.watch.numbers import Finding, RolloutNumbers, described, row_sums
from rslcore.watch.shapes import StepCheck, obs_problems

if TYPE_CHECKING:
    from rslcore.run.session import RunSession

PATIENCE = 10
"""Rollouts in a row without a single good row after which a run that skips bad ones ends."""


class Watch:
    """Sees that an env gives what its spec says, and that the numbers of a rollout are finite.

    A runner calls it so:

        obs = watch.start(env.reset())
        ...
        with algorithm.rollout_context(), watch.rollout():
            for _ in range(num_steps):
                actions = algorithm.act(obs)
                step = watch.look(actions, env.step(actions))
                algorithm.process_env_step(step)
                obs = step.obs

    and hands the scalars of `metrics` to the session with the others. Shapes, types and devices are looked at without
    reading a tensor. Numbers are noted on the device and read once, in the last `look` of a rollout, which then does
    as the run's `on_bad_numbers` says. Where something else fails within a rollout, and numbers had gone wrong before,
    these are the error.

    Args:
        context: Of the runner: gives the run's config and device.
        env: That is stepped.
        session: Gives the iteration and the run's folder.
        num_steps: T, how often `look` is called in a rollout.

    Raises:
        ConfigError: Envs shall be reset, and this env cannot reset some of its envs.
    """

    def __init__(self, context: Context, env: Env, session: RunSession, num_steps: int) -> None:
        self._mode = context.config.on_bad_numbers
        self._name = context.config.env.name
        if self._mode == "reset" and not isinstance(env, PartialResetEnv):
            raise ConfigError.at(
                "on_bad_numbers", f"env '{self._name}' cannot reset some of its envs alone; write skip, or stop"
            )
        self._env = env
        self._session = session
        self._num_envs = env.spec.num_envs
        self._num_steps = num_steps
        self._device = torch.empty(0, device=context.device).device  # with an index, as tensors have it
        self._numbers = RolloutNumbers(env.spec)
        self._cleaner = Cleaner(env.spec, self._numbers.groups) if self._mode != "stop" else None
        self._kept = session.kept_steps = KeptSteps(env.spec, num_steps)
        self._latest: tuple[TensorDict, dict[str, Tensor]] | None = None  # raw observations and their sums
        self._steps = StepCheck(env.spec, self._device)
        self._has_stepped = False
        self._num_bad_rows = 0
        self._num_barren = 0  # rollouts in a row without a good row

    @torch.no_grad()
    def start(self, obs: TensorDict) -> TensorDict:
        """Look at the first observations `[N, ...]` of a run; return those to act on.

        Raises:
            EnvError: They are not as the spec says.
            ConfigError: Envs shall be reset, and the env says that it cannot reset some of these.
        """
        self._refuse("in its first observations", obs_problems(self._env.spec, self._device, obs))
        sums = row_sums(obs, self._numbers.groups)
        self._latest = obs, sums
        if self._mode == "reset" and isinstance(self._env, PartialResetEnv):
            self._env.reset_envs(torch.zeros(len(obs), dtype=torch.bool, device=self._device))  # it may refuse
        return obs if self._cleaner is None else self._cleaner.begin(obs, sums)

    def local_state_dict(self) -> dict[str, Any]:
        """What this process knows of the latest observations: the sums of their rows as the env gave them.

        Empty in a run that stops at the first bad number, since it has seen none.
        """
        if self._cleaner is None:
            return {}
        assert self._latest is not None, "a watch is started with the first observations"
        return {"sums": dict(self._latest[1])}

    def load_local_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `local_state_dict`, for envs that go on with their episodes; to be called after `start`.

        Args:
            state: As it was saved, maybe by a run with another `on_bad_numbers`.
        """
        if self._cleaner is None or not state:
            return
        assert self._latest is not None, "a watch is started with the first observations"
        obs, _ = self._latest  # those to act on, without the bad numbers that the env gave
        sums = {group: rows.to(self._device) for group, rows in state["sums"].items()}
        self._latest = obs, sums
        self._cleaner.go_on(obs, sums)

    @contextlib.contextmanager
    def rollout(self) -> Iterator[None]:
        """A rollout, from the observations that were seen last.

        Raises:
            RunError: Something fails in it after numbers have gone wrong.
        """
        assert self._latest is not None, "a watch is started with the first observations"
        obs, sums = self._latest
        self._numbers.begin(sums)
        self._kept.begin(obs)
        try:
            yield
        except BadNumbersError:
            raise
        except Exception as error:
            findings: list[Finding] = []
            if self._mode == "stop":
                with contextlib.suppress(RuntimeError):  # a device that has failed gives no numbers
                    findings = self._numbers.find()
            if not findings:
                raise
            # No other rank need have failed, so that nothing is gathered.
            failed = f"the run failed with {type(error).__name__}: {error}"
            raise self._fatal([*self._described(findings), failed], findings, None) from error

    def look(self, actions: Tensor, step: EnvStep) -> EnvStep:
        """Look at a step of the env; return the one to learn from.

        Args:
            actions: What was done, `[N, A]`.
            step: What came of it.

        Raises:
            EnvError: It is not as the spec says.
            RunError: Numbers of the rollout went wrong, and the run shall stop then, or has nothing left to learn from.
        """
        if problems := self._steps.problems(step):
            when = f"at step {self._numbers.num_steps + 1} of iteration {self._session.iteration + 1}"
            self._refuse(when if self._has_stepped else "at its first step", problems)
        self._has_stepped = True
        sums = row_sums(step.obs, self._numbers.groups)
        self._numbers.note(actions, step, sums)
        self._kept.add(actions, step)
        self._latest = step.obs, sums
        if self._cleaner is not None:
            step = self._cleaner.clean(actions, step, sums)
        if self._numbers.num_steps == self._num_steps:
            step = self._judge(step)
        return step

    def metrics(self) -> dict[str, float]:
        """For runs that go on: rows of the last rollout that nothing is learned from since their numbers are bad."""
        return {} if self._cleaner is None else {"Watch/bad_rows": float(self._num_bad_rows)}

    def _refuse(self, when: str, problems: list[str]) -> None:
        if problems:
            lines = "\n  ".join(problems)
            raise EnvError(f"env '{self._name}' does not give what its spec says {when}:\n  {lines}")

    def _judge(self, step: EnvStep) -> EnvStep:
        """The last step of a rollout, once its numbers have been read; every rank does the same."""
        findings = self._numbers.find()
        bad = self._take_bad_rows(step, bool(findings))
        num_bad = int(bad.sum()) if findings else 0
        reports = gather((self._described(findings), num_bad))
        self._num_bad_rows = sum(number for _, number in reports)
        found = [
            clause if num_ranks() == 1 else f"rank {number}: {clause}"
            for number, (clauses, _) in enumerate(reports)
            for clause in clauses
        ]
        if not found:
            self._num_barren = 0
            return step
        origin = next(number for number, (clauses, _) in enumerate(reports) if clauses)
        last = None if self._cleaner is None else self._why_nothing_is_left([number for _, number in reports])
        if self._cleaner is None or last is not None:
            raise self._fatal([*found, *([last] if last else [])], findings, origin)
        done = "nothing is learned from such rows" + (", and their envs are reset" if self._mode == "reset" else "")
        self._session.incidents.warn(
            "rollout", self._session.iteration + 1, found, done, lambda: self._evidence(findings), origin
        )
        return self._reset_envs(step, bad.any(0)) if self._mode == "reset" and findings else step

    def _take_bad_rows(self, step: EnvStep, are_some: bool) -> Tensor:
        """Which rows of the rollout are bad, `[T, N]`, bool; those of a run that stops need not be known."""
        good = [] if self._cleaner is None else self._cleaner.good
        bad = ~torch.stack(good) if are_some and good else torch.zeros_like(step.dones).unsqueeze(0)
        good.clear()
        return bad

    def _why_nothing_is_left(self, num_bad: list[int]) -> str | None:
        """A clause where too many rows are bad to go on, `num_bad` of each rank; None where there are others."""
        nothing_left = [number == self._num_steps * self._num_envs for number in num_bad]
        self._num_barren = self._num_barren + 1 if all(nothing_left) else 0
        if self._num_barren == PATIENCE:
            return f"all rows of {PATIENCE} rollouts were bad"
        if num_ranks() > 1 and any(nothing_left):  # its minibatches would be missed by the others
            return "no row of a rank is left to learn from"
        return None

    def _reset_envs(self, step: EnvStep, envs: Tensor) -> EnvStep:
        """The clean last step of a rollout, after which bad envs `[N]` were reset."""
        assert self._cleaner is not None
        assert isinstance(self._env, PartialResetEnv)
        obs = self._env.reset_envs(envs)
        self._refuse("after a reset of some envs", obs_problems(self._env.spec, self._device, obs))
        sums = row_sums(obs, self._numbers.groups)
        self._latest = obs, sums
        return self._cleaner.restart(step, envs, obs, sums)

    def _described(self, findings: list[Finding]) -> list[str]:
        return described(findings, self._num_steps, self._env.spec.num_envs)

    def _evidence(self, findings: list[Finding]) -> dict[str, Any]:
        """What is saved of the envs that gave bad numbers."""
        return self._kept.state_dict(sorted({env for finding in findings for env in finding.envs})[:MAX_ENVS])

    def _fatal(self, found: list[str], findings: list[Finding], origin: int | None) -> BadNumbersError:
        incidents = self._session.incidents
        return incidents.fatal(self._session.iteration + 1, found, lambda: self._evidence(findings), origin)
