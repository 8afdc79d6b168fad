"""A checkpoint of rsl_rl's as a run of rslcore's, which is evaluated, loaded and gone on with like any other."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch

from rslcore.config import ExperimentConfig, configure, dump_yaml, structure, unstructure
from rslcore.context import Context
from rslcore.errors import CheckpointError, ConfigError, RslcoreError, listed
from rslcore.memory import limited_parameters
from rslcore.registry import Registry
from rslcore.run.checkpoint import Checkpoint, save_checkpoint
from rslcore.run.folder import RunFolder
from rslcore.run.provenance import Provenance, dump_history
from rslcore.specs import EnvSpec, TensorSpec
from rslcore.training import build_algorithm, num_steps_per_env
from rslcore_rsl_rl.agent_file import is_of_rslcore, read_agent_file
from rslcore_rsl_rl.checkpoints import algorithm_state, default_parts, read_rsl_rl
from rslcore_rsl_rl.files import RslRlFile
from rslcore_rsl_rl.sizes import spec_of
from rslcore_rsl_rl.teacher import teacher_config, teacher_state
from rslcore_rsl_rl.translation import translate
from rslcore_rsl_rl.weights import bare_name

NO_ENV = {"name": "vec_env"}
"""The env of a run that none is named for: it acts and is exported, and cannot be stepped."""


@attrs.frozen
class Asked:
    """What an env says of itself.

    Attributes:
        spec: None if it cannot be made here.
        step_dt: Seconds of an env step, by which rsl_rl multiplies a weight; None if the env does not say.
        why_not: Why there is no spec, as notes.
    """

    spec: EnvSpec | None = None
    step_dt: float | None = None
    why_not: tuple[str, ...] = ()

    @property
    def observations(self) -> Mapping[str, TensorSpec] | None:
        """The groups, where they are known."""
        return None if self.spec is None else self.spec.observations


@attrs.frozen
class Source:
    """What a run is made from.

    Attributes:
        file: The checkpoint.
        path: Of the config.
        data: The config as it stands there: rsl_rl's `agent.yaml` of any version, or one of ours.
        overrides: `key=value`.
        registry: Of the installed plugins.
    """

    file: RslRlFile
    path: Path
    data: Mapping[str, Any]
    overrides: Sequence[str]
    registry: Registry

    @property
    def is_ours(self) -> bool:
        """Whether the config is one of ours, in which components have names, not classes."""
        return is_of_rslcore(self.data)

    def config(self, env: Asked) -> tuple[ExperimentConfig, tuple[str, ...]]:
        """The run's config, and what was translated.

        Args:
            env: What is known of the env.

        Raises:
            ConfigError: Something in it or in an override is wrong.
        """
        notes: tuple[str, ...] = ()
        plain = dict(self.data)
        where = f"'{self.path}'"
        if not self.is_ours:
            translation = translate(plain, env.observations, step_dt=env.step_dt, registry=self.registry)
            plain, notes = dict(translation.config), (*translation.notes, *translation.to_check)
            where = f"the translation of {where}"
        names_env = any(override.partition("=")[0].partition(".")[0] == "env" for override in self.overrides)
        if "env" not in plain and not names_env:
            plain["env"] = NO_ENV
        return configure(plain, self.overrides, self.registry, where), notes

    def teacher(self, config: ExperimentConfig, observations: Mapping[str, TensorSpec] | None) -> dict[str, Any] | None:
        """The config of the teacher's run, complete; None where there is no student.

        Raises:
            CheckpointError: The config is one of ours, which does not describe the network of a teacher.
        """
        if bare_name(unstructure(config.policy)) != "student_teacher":
            return None
        if self.is_ours:
            raise CheckpointError(
                f"'{self.path}' does not say what the network of the teacher in {self.file.source} is; give the "
                "agent.yaml of rsl_rl that it was trained with"
            )
        plain = {**teacher_config(self.data, observations), "env": unstructure(config.env)}
        complete: dict[str, Any] = unstructure(structure(plain, ExperimentConfig, self.registry))
        return complete


@attrs.frozen
class Imported:
    """A run that was made.

    Attributes:
        path: Its folder.
        iteration: Of its checkpoint.
        config: Its config.
        notes: What was translated, left out, or begins anew.
        can_step: Whether there is an env to step.
    """

    path: Path
    iteration: int
    config: ExperimentConfig
    notes: tuple[str, ...]
    can_step: bool


def import_run(
    checkpoint: Path,
    config: Path,
    overrides: Sequence[str],
    registry: Registry,
    *,
    given: Mapping[str, TensorSpec],
    log_root: Path,
    run_name: str | None = None,
) -> Imported:
    """Make a run of a checkpoint; nothing is left on disk if that fails.

    Args:
        checkpoint: Written by rsl_rl of any version.
        config: Of the run that wrote it: rsl_rl's `agent.yaml`, or a YAML file of ours.
        overrides: `key=value` pairs, as for `load_config`; those of `env` say which environments.
        registry: Of the installed plugins.
        given: Shapes of observation groups, where they do not follow from the file and there is no env.
        log_root: Folder of all runs.
        run_name: Appended to the name of the run's folder.

    Raises:
        RslcoreError: The file or the config cannot be read, they do not fit, or the run cannot be written.
    """
    file = read_rsl_rl(checkpoint)
    data = read_agent_file(config)
    if not isinstance(data, Mapping):
        raise ConfigError.at("", f"'{config}' should be a mapping, as the agent.yaml beside a checkpoint of rsl_rl is")
    source = Source(file, config, data, overrides, registry)
    structured, notes = source.config(Asked())
    asked = _ask_env(structured, registry)
    spec = asked.spec
    if spec is not None:
        structured, notes = source.config(asked)
        if given:
            raise ConfigError.at("", f"the env says the shapes of its groups; leave --obs {listed(given)} out")
    teacher = source.teacher(structured, asked.observations)
    plain = unstructure(structured)
    total_steps = 0 if spec is None else file.iteration * spec.num_envs * num_steps_per_env(structured)
    acted_in = spec if spec is not None else spec_of(file, plain, teacher, given)
    device = torch.device("cpu")
    context = Context(
        registry, structured, device, structured.seed, num_steps_per_env(structured), spec=acted_in, restoring=True
    )
    with limited_parameters(device):
        algorithm = build_algorithm(context)
    parts = default_parts(file, plain)
    imitated = None if teacher is None else teacher_state(file, teacher, context)
    state, more = algorithm_state(file, algorithm.state_dict(), plain, parts, teacher=imitated)
    algorithm.load_state_dict(state)
    made_with = Provenance.of(structured, registry)
    iteration = file.iteration if parts != {"teacher"} else 0
    saved = Checkpoint(
        iteration=iteration,
        config=plain,
        env_spec=acted_in,
        history=(made_with,),
        algorithm=algorithm.state_dict(),
        progress={"total_steps": total_steps, "elapsed": 0.0, "runner": {}, "best": None, "loggers": {}},
        ranks=({},),
    )
    folder = _write(saved, structured, log_root, run_name)
    infos = ("'infos' is left out",) if file.infos else ()
    return Imported(folder.path, iteration, structured, (*notes, *more, *infos, *asked.why_not), spec is not None)


def _ask_env(config: ExperimentConfig, registry: Registry) -> Asked:
    """Make the env for as long as it takes to ask it.

    Raises:
        ConfigError: Something is wrong with its options.
    """
    named = unstructure(config.env)
    if bare_name(named) == NO_ENV["name"] and named["factory"] is None:
        why_not = "no env is named: the run acts and can be exported, but not be evaluated or gone on with"
        return Asked(why_not=(why_not,))
    steps = num_steps_per_env(config)
    context = Context(registry, config, torch.device("cpu"), config.seed, steps, restoring=True)
    try:
        with contextlib.closing(context.build(config.env, "env")) as env:
            return Asked(env.spec, getattr(getattr(env, "unwrapped", None), "step_dt", None))
    except ConfigError:
        raise
    except RslcoreError as error:
        advice = "import it again where it can, to evaluate it"
        why_not = f"the env cannot be made here, so the shapes are those of the file; {advice} ({error})"
        return Asked(why_not=(why_not,))


def _write(checkpoint: Checkpoint, config: ExperimentConfig, log_root: Path, run_name: str | None) -> RunFolder:
    """Write the run's folder, whole or not at all."""
    text = dump_yaml(config)
    folder = RunFolder.create(log_root, config.experiment, run_name)
    try:
        folder.write_plugins(dump_history(checkpoint.history))
        save_checkpoint(folder.checkpoint_path(checkpoint.iteration), checkpoint)
        folder.write_config(text)
    except BaseException:
        shutil.rmtree(folder.path, ignore_errors=True)
        raise
    return folder
