"""What must become of a mutated config: it is taken as it stands, or there is one clear error."""

from __future__ import annotations

import contextlib
import faulthandler
import re
import signal
import sys
from collections.abc import Mapping

import attrs
from hypothesis import HealthCheck, Phase, settings
from omegaconf import OmegaConf

from rslcore.config import (
    ExperimentConfig,
    dump_yaml,
    evolve,
    load_config,
    missing_requirements,
    recipe_text,
    structure,
    unstructure,
)
from rslcore.context import Context
from rslcore.device import resolve_device
from rslcore.errors import ConfigError, PluginFaultError, RslcoreError
from rslcore.registry import default_registry
from rslcore.training import train


def tried(examples):
    """Settings of a test that tries as many mutations, the same ones each time.

    There is nothing to shrink: a mutation is made by one generator.
    """
    return settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def outcome(make, source=""):
    """The config that `make` gives, or the error; anything else fails, and so does an error that is not clear."""
    try:
        config = make()
    except RslcoreError as error:
        check_error(error, source)
        return error
    assert isinstance(config, ExperimentConfig)
    return config


def check_error(error, source=""):
    """Fail unless an error is one message that a user can read: short, printable, and with a place."""
    text = str(error)
    assert not isinstance(error, PluginFaultError), text
    assert text.strip(), "an empty message"
    assert "Traceback" not in text, text
    assert "the fault is in its code" not in text, text
    assert len(text) < 12_000, f"{len(text)} characters: {text[:500]}"
    assert all(letter.isprintable() or letter == "\n" for letter in text), repr(text)
    assert source in text, f"{text!r} does not name the file"
    if isinstance(error, ConfigError):
        assert error.problems
        for problem in error.problems:
            assert problem.path or source or str(problem).startswith(("the override ", "the config ", "'")), text
            assert problem.message[:1] not in ("", " "), text


def is_held(asked, held):
    """Whether a config holds what plain data asks for; it may have more, the defaults."""
    if isinstance(asked, Mapping):
        if not isinstance(held, Mapping):
            return False
        # A whole number may be a name, as of a group of observations.
        names = {key: str(key) if type(key) is int and key not in held else key for key in asked}
        return all(name in held and is_held(asked[key], held[name]) for key, name in names.items())
    if isinstance(asked, list | tuple):
        return isinstance(held, list | tuple) and len(asked) == len(held) and all(map(is_held, asked, held))
    if isinstance(asked, bool) or not isinstance(asked, int | float):
        return type(asked) is type(held) and asked == held
    same_kind = isinstance(held, int | float) and not isinstance(held, bool)
    return same_kind and (asked == held or (asked != asked and held != held))


def check_taken(config, asked, folder):
    """Fail unless a config is what was asked for, and its YAML reads back as the same."""
    held = unstructure(config)
    assert is_held(asked, held), f"{asked} became {held}"
    try:
        text = dump_yaml(config)
    except RslcoreError as error:
        check_error(error)
        return
    if missing_requirements(config.plugins.require, default_registry()):
        return  # which only files are asked for
    file = folder / "again.yaml"
    file.write_text(text, encoding="utf-8")
    again = unstructure(load_config(file))
    assert is_held(held, again), f"{held} was written and read as {again}"


def structured(tree):
    """The outcome of plain data."""
    return outcome(lambda: structure(tree, ExperimentConfig, default_registry()))


def loaded(text, folder):
    """The outcome of a file, and what plain YAML makes of it; None where that cannot tell."""
    file = folder / "mutated.yaml"
    try:
        file.write_bytes(text.encode())
    except UnicodeEncodeError:
        file.write_bytes(text.encode(errors="surrogatepass"))
    result = outcome(lambda: load_config(file), "mutated.yaml")
    if not isinstance(result, ExperimentConfig) or "${" in text:
        return result, None
    return result, read(text)


def read(text):
    """The data of a YAML text, interpolations as they stand."""
    return OmegaConf.to_container(OmegaConf.create(text))


def expected(recipe, made):
    """What a recipe says with overrides set; None where that cannot be told here, as with interpolations."""
    tree = read(recipe_text(recipe, made, default_registry()))
    for override in made:
        key, _, text = override.partition("=")
        if "${" in override:
            return None
        value = OmegaConf.to_container(OmegaConf.from_dotlist([f"value={text}"]))["value"]
        path = [int(part) if re.fullmatch(r"-?\d+", part) else part for part in re.split(r"[.\[\]]+", key) if part]
        parent = tree
        for part in path[:-1]:
            parent = parent[part] if isinstance(parent, list) else parent.setdefault(part, {})
        parent[path[-1]] = value
    return tree


@contextlib.contextmanager
def watched(seconds, what):
    """Fail if the block takes more seconds of the processor, and end with all stacks if it waits for something.

    How long it takes by the clock says nothing where the machine is busy with other things.
    """

    def ring(number, frame):
        raise AssertionError(f"not done after {seconds} s: {what}")

    previous = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    faulthandler.dump_traceback_later(20 * seconds, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGPROF, previous)


def whole(recipe, *changes):
    """A recipe as plain data, complete with every default."""
    return unstructure(load_config(recipe, changes))


WORK = {"iterations": 2, "num_updates": 9, "num_learning_epochs": 64}
"""How often something is done in a run that is tried. More is legal, needs no more memory, and would take its time."""
MANY = {"num_envs": 64, "num_steps_per_env": 64}
"""More envs and steps are tried as far as the memory of their storage; see `outcome_of_storage`."""
TINY = ("iterations=1", "num_threads=1", "device=cpu", "env.num_envs=2", "runner.num_steps_per_env=4")
SMALL_NETWORKS = ("policy.actor.network.hidden_dims=[4]", "policy.critic.network.hidden_dims=[4]")
PPO = ("algorithm.num_learning_epochs=1", "algorithm.num_mini_batches=2")
MIRROR = "{name: symmetry, function: mirrors:pendulum, use_mirror_loss: true}"
NOVELTY = "{name: rnd, predictor_hidden_dims: [4], target_hidden_dims: [4], num_outputs: 2}"
CATCH = "env={name: gymnasium, id: rslcore_tests/Catch-v0, num_envs: 2}"
IMAGES = "{name: cnn, groups: [image, paddle], hidden_dims: [4], encoder: {channels: [2, 2]}}"


def tiny_bases(folder):
    """Valid configs of every built-in component, whole, of which an iteration is a matter of milliseconds."""
    teacher = load_config("pendulum_teacher", (*TINY, *SMALL_NETWORKS, *PPO, "loggers=[]"))
    run = train(teacher, log_root=folder / "teacher", quiet=True).path
    made = [whole(name, *TINY, *SMALL_NETWORKS, *PPO) for name in ("cartpole", "pendulum", "pendulum_estimator")]
    memory = [f"policy.{part}.network.rnn_hidden_dim=4" for part in ("actor", "critic")]
    made.append(whole("cartpole_memory", *TINY, *SMALL_NETWORKS, *PPO, *memory))
    made.append(whole("halfcheetah_multi_discrete", *TINY, *SMALL_NETWORKS, *PPO))
    made.append(whole("halfcheetah_amp", *TINY, *SMALL_NETWORKS, *PPO, "algorithm.extensions[0].hidden_dims=[4]"))
    made.append(whole("pendulum", *TINY, *SMALL_NETWORKS, *PPO, f"algorithm.extensions=[{NOVELTY}]", "experiment=rnd"))
    images = [f"policy.{part}.network={IMAGES}" for part in ("actor", "critic")]
    made.append(whole("pendulum", *TINY, *SMALL_NETWORKS, *PPO, CATCH, *images, "experiment=images"))
    soft = ["policy.actor.network.hidden_dims=[4]", "policy.critic.hidden_dims=[4]", "algorithm.num_updates=2"]
    soft += ["algorithm.batch_size=8", "algorithm.learning_starts=4", "storage.capacity=100"]
    made.append(whole("halfcheetah_sac", *TINY, *soft))
    made.append(
        whole("pendulum", *TINY, *SMALL_NETWORKS, *PPO, f"algorithm.extensions=[{MIRROR}]", "experiment=mirror")
    )
    student = [
        f"policy.teacher.run={run}",
        "policy.student.network.hidden_dims=[4]",
        "policy.student.network.rnn_hidden_dim=4",
    ]
    made.append(
        whole("pendulum_student", *TINY, *student, "algorithm.num_learning_epochs=1", "algorithm.gradient_length=2")
    )
    return made


def cut(tree, limits=WORK):
    """Accepted plain data with larger numbers under these keys lowered to their limits.

    What is lowered is not tried as it stands: whether a run of 10**18 iterations ends, no test can tell.
    """
    if isinstance(tree, list):
        return [cut(item, limits) for item in tree]
    if not isinstance(tree, dict):
        return tree
    return {key: min(value, limits[key]) if key in limits else cut(value, limits) for key, value in tree.items()}


def has_many(config):
    """Whether a config has more envs or steps than are tried."""
    num_envs, num_steps = config.env.config.num_envs, config.runner.config.num_steps_per_env
    return num_envs > MANY["num_envs"] or num_steps > MANY["num_steps_per_env"]


def outcome_of_storage(config):
    """Make the storage of a config for all its envs and steps, and but one env; None if it fits, else the error."""
    num_envs, num_steps = config.env.config.num_envs, config.runner.config.num_steps_per_env
    try:
        context = Context(default_registry(), config, resolve_device(config.device), config.seed, num_steps)
        one = attrs.evolve(config.env, config=evolve(config.env.config, num_envs=1))
        with contextlib.closing(context.build(one, "env")) as env:
            context = attrs.evolve(context, env=env, spec=attrs.evolve(env.spec, num_envs=num_envs))
            context.build(config.storage, "storage")
    except RslcoreError as error:
        check_error(error)
        return error
    return None


def outcome_of_run(config, folder):
    """Train one config; None if that went well, else the error, which must be a clear one."""
    try:
        result = train(config, log_root=folder / "runs", quiet=True)
    except RslcoreError as error:
        check_error(error)
        return error
    assert result.iteration == config.iterations
    return None
