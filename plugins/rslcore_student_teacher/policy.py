"""Student and teacher.

Legend: N envs, B rows, A actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tensordict import TensorDict
from torch import Tensor, nn

from rslcore.context import Context
from rslcore.errors import ConfigError, RslcoreError, listed
from rslcore.evaluation import InferencePolicy, load_policy
from rslcore.heads import build_stochastic_network
from rslcore.protocols import Distribution
from rslcore.recurrence import Sequences, State, run_network, state_specs
from rslcore.specs import ActionSpec, TensorSpec
from rslcore_student_teacher.config import StudentTeacherConfig


class StudentTeacher(nn.Module):
    """A student, composed of a network and a distribution by name, and a teacher that another run has trained.

    The teacher is saved with the student, so that a run goes on where the teacher's folder is not at hand.

    Args:
        config: The options.
        context: Builds network and distribution; says whether a checkpoint is about to be loaded.

    Raises:
        ConfigError: There is no such teacher, or it takes other observations or actions than the env has.
    """

    def __init__(self, config: StudentTeacherConfig, context: Context) -> None:
        super().__init__()
        student = config.student
        self.student, self._distribution = build_stochastic_network(
            context, student.network, student.distribution, "student"
        )
        self._config, self._context = config, context
        self._teacher: InferencePolicy | None = None
        self._teacher_state: Mapping[str, Any] = {}
        if not context.restoring:
            self._teacher = find_teacher(config, context)
            self._teacher_state = self._teacher.state_dict()

    @property
    def distribution(self) -> Distribution:
        """What the student's parameters are parameters of."""
        return self._distribution

    def state_specs(self) -> Mapping[str, Mapping[str, TensorSpec]]:
        """What the student remembers; the teacher remembers by itself."""
        return {"student": state_specs(self.student)}

    def student_params(
        self, obs: TensorDict, state: State, sequences: Sequences | None = None
    ) -> tuple[Mapping[str, Tensor], State]:
        """Distribution parameters of observations `[B, ...]`, and the student's state after them."""
        outputs, state = run_network(self.student, obs, state, sequences)
        return self._distribution.params(outputs), state

    def act_inference(self, obs: TensorDict, states: Mapping[str, State]) -> tuple[Tensor, Mapping[str, State]]:
        """What the student does without exploring, `[B, A]`, and its state after it."""
        params, state = self.student_params(obs, states["student"])
        return self._distribution.deterministic(params), {"student": state}

    def teacher_actions(self, obs: TensorDict) -> Tensor:
        """What the teacher does, `[N, A]`, for observations `[N, ...]`."""
        assert self._teacher is not None, "a student that only acts has no teacher"
        return self._teacher(obs)

    def reset_teacher(self, dones: Tensor | None = None) -> None:
        """Let the teacher forget the episodes of the envs in `dones [N]`, or all."""
        if self._teacher is not None:
            self._teacher.reset(dones)

    def teacher_local_state_dict(self) -> dict[str, Any]:
        """What the teacher remembers."""
        return {} if self._teacher is None else self._teacher.local_state_dict()

    def load_teacher_local_state_dict(self, state: Mapping[str, Any], same_episodes: bool) -> None:
        """The inverse of `teacher_local_state_dict`; of new episodes it remembers nothing."""
        if self._teacher is not None:
            self._teacher.load_local_state_dict(state, same_episodes)

    def parameter_groups(self) -> Mapping[str, list[nn.Parameter]]:
        """The student's parameters, the distribution's among them."""
        return {"student": list(self.parameters())}

    def update_normalization(self, obs: TensorDict) -> None:
        """Merge observations `[B, ...]` into the student's running statistics."""
        self.student.update_normalization(obs)

    def get_extra_state(self) -> Mapping[str, Any]:
        """The teacher, for the policy's `state_dict`."""
        return self._teacher_state

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """The inverse of `get_extra_state`; a run that goes on gets its teacher, acting alone needs none.

        Raises:
            ConfigError: The teacher does not fit the installed plugins, or the env.
        """
        teacher = None
        if self._context.env is not None and state:
            teacher = InferencePolicy.from_state(state, self._context.device, self._context.registry)
            check_teacher(teacher, self._context, self._config.teacher.run)
        self._teacher, self._teacher_state = teacher, state


def find_teacher(config: StudentTeacherConfig, context: Context) -> InferencePolicy:
    """Load the teacher and see whether it fits the env.

    Raises:
        ConfigError: It cannot be loaded, or takes other observations or actions than the env has.
    """
    run, checkpoint = config.teacher.run, config.teacher.checkpoint
    try:
        teacher = load_policy(run, checkpoint=checkpoint, device=str(context.device), registry=context.registry)
    except RslcoreError as error:
        raise context.error("teacher.run", f"the teacher cannot be loaded: {error}") from error
    check_teacher(teacher, context, run)
    return teacher


def check_teacher(teacher: InferencePolicy, context: Context, run: str) -> None:
    """Raises ConfigError if a teacher needs other observations or takes other actions than the env has."""
    # The env's own groups: those that extensions of this run add or replace are the student's.
    ours, theirs = (context.env_spec if context.env is None else context.env.spec), teacher.spec
    problems = []
    for group in teacher.groups:
        spec = theirs.observations[group]
        if group not in ours.observations:
            problems.append(f"it sees '{group}', which the env does not have ({listed(ours.observations)})")
        elif ours.observations[group] != spec:
            given = ours.observations[group]
            problems.append(f"it sees '{group}' as {_shown_group(spec)}, the env gives {_shown_group(given)}")
    if theirs.actions != ours.actions:
        problems.append(
            f"its actions are {_shown_actions(theirs.actions)}, the env takes {_shown_actions(ours.actions)}"
        )
    if problems:
        raise ConfigError(
            [context.error("teacher.run", f"the teacher '{run}' does not fit: {text}").problems[0] for text in problems]
        )


def _shown_group(spec: TensorSpec) -> str:
    return f"{list(spec.shape)} {spec.dtype}"


def _shown_actions(actions: ActionSpec) -> str:
    bounds = "" if actions.is_discrete else f" in {list(actions.low)} to {list(actions.high)}"
    return f"{actions}{bounds}"
