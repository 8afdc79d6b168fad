"""What an algorithm promises, on-policy or not.

Legend: N envs, T steps of a rollout, A actions.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest
import torch
from torch import Tensor

from rslcore.config import evolve
from rslcore.context import Context
from rslcore.errors import CheckpointError, ConfigError
from rslcore.evaluation import load_policy
from rslcore.learner import Learner
from rslcore.protocols import LearningAlgorithm
from rslcore.registry import Registry
from rslcore.seeding import seed_everything
from rslcore.specs import TensorSpec
from rslcore.testing.contracts.base import Contract, Options
from rslcore.testing.driving import Drive, drive, forgets_only_the_done
from rslcore.testing.inputs import make_observations
from rslcore.testing.reads import count_host_reads
from rslcore.testing.resuming import expect_begins_anew, expect_goes_on
from rslcore.testing.values import copied, difference, expect, reason, shown
from rslcore.training import train


class AlgorithmContract(Contract):
    """Of algorithms. Override `storage` and `policy` for one that needs others than a rollout and an actor-critic."""

    kind: ClassVar[str] = "algorithm"

    @pytest.fixture
    def algorithm(self, component: Options) -> Options:
        """The component."""
        return component

    @pytest.fixture
    def num_iterations(self) -> int:
        """Iterations after which it has certainly learned something; raise it for one that collects for long first."""
        return 3

    @pytest.fixture
    def host_reads(self) -> int:
        """Reads on the host that an update may make; raise it for those of a rollout that are there by design."""
        return 1

    @pytest.fixture
    def parts(self, context: Context) -> dict[str, Any]:
        """An algorithm builds its policy and its storage."""
        return {"policy": context.config.policy, "storage": context.config.storage}

    @pytest.fixture
    def start(self, context: Context) -> Callable[..., Drive]:
        """Builds the algorithm anew, in an env of its own, with a seed."""
        return lambda seed=1: drive(context, seed=seed)

    def test_actions_are_those_of_the_env(self, start: Callable[..., Drive], context: Context) -> None:
        """While collecting, and without exploring."""
        driven = start()
        spec = context.env_spec.actions
        dtype = torch.int64 if spec.is_discrete else torch.float32
        expected = (context.env_spec.num_envs, spec.num_actions)
        driven.algorithm.start_iteration(0, 10)
        with driven.algorithm.rollout_context():
            before = copied(driven.obs)
            actions = driven.algorithm.act(driven.obs)
            gap = difference(before, copied(driven.obs))
            expect(gap is None, f"`act` leaves the observations as they are. It wrote into them: {gap}; copy first.")
            expect(
                torch.is_grad_enabled() or not actions.requires_grad,
                "Actions for an env carry no gradient, unless `rollout_context` enables gradients. These do; detach "
                "them.",
            )
        for name, taken in (("act", actions), ("act_inference", driven.algorithm.act_inference(driven.obs))):
            expect(
                tuple(taken.shape) == expected and taken.dtype == dtype,
                f"`{name}` gives actions {list(expected)} {str(dtype).removeprefix('torch.')}. It gave {shown(taken)}.",
            )

    def test_a_run_can_watch_what_it_learns(self, start: Callable[..., Drive]) -> None:
        """An attribute `learner` is a `Learner`, in which a run finds gradients and parameters that go wrong."""
        algorithm = start().algorithm
        if not isinstance(algorithm, LearningAlgorithm):
            pytest.skip(
                "it has no `learner`: where numbers go wrong, a run sees its metrics alone, no gradient and no "
                "parameter; keep a `rslcore.learner.Learner` as `learner` if it trains with one"
            )
        expect(
            isinstance(algorithm.learner, Learner),
            f"`learner` of an algorithm is a `Learner`. It is a {type(algorithm.learner).__name__}; give what it holds "
            "another name.",
        )

    def test_steps_are_left_as_they_are(self, start: Callable[..., Drive]) -> None:
        """`process_env_step` writes into nothing that the env gave."""
        driven = start()
        driven.algorithm.start_iteration(0, 10)
        with driven.algorithm.rollout_context():
            for _ in range(driven.num_steps):
                step = driven.env.step(driven.algorithm.act(driven.obs))
                given = {name: getattr(step, name) for name in ("obs", "rewards", "dones", "final_obs", "valid")}
                before = copied(given)
                driven.algorithm.process_env_step(step)
                gap = difference(before, copied(given))
                expect(gap is None, f"A step is read, not written. `process_env_step` changed it: {gap}; copy first.")
                driven.obs = step.obs

    def test_update_learns_and_reports(self, start: Callable[..., Drive], num_iterations: int) -> None:
        """The state changes; the metrics are finite scalars on the device."""
        driven = start()
        before = copied(driven.algorithm.state_dict())
        for metrics in driven.iterate(num_iterations):
            for name, value in metrics.items():
                expect(
                    isinstance(value, Tensor) and value.dim() == 0 and not value.requires_grad,
                    f"`update` returns scalar tensors by name, without a graph. '{name}' is {shown(value)}; take "
                    "`.detach().mean()`.",
                )
                expect(bool(value.isfinite()), f"Metrics are finite. '{name}' is {value.item()}.")
        expect(
            difference(before, copied(driven.algorithm.state_dict())) is not None,
            f"An algorithm learns. After {num_iterations} iterations its state is what it was; raise the fixture "
            "`num_iterations` if it collects for longer first.",
        )

    def test_same_seed_learns_the_same(self, start: Callable[..., Drive]) -> None:
        """Two runs of one seed are equal."""
        expect_same_for_a_seed(start)

    def test_collecting_reads_nothing_on_the_host(self, start: Callable[..., Drive], host_reads: int) -> None:
        """Neither `act` nor `process_env_step`; `update` at most once, or as often as is allowed."""
        expect_few_reads(start(), host_reads)

    def test_acting_remembers_nothing_for_learning(self, start: Callable[..., Drive], context: Context) -> None:
        """`act_inference` is deterministic, draws nothing and changes no state."""
        driven = start()
        driven.iterate()
        driven.algorithm.eval_mode()
        before, generator = copied(driven.algorithm.state_dict()), torch.get_rng_state()
        results = []
        for _ in range(2):
            driven.algorithm.reset()
            results.append(driven.algorithm.act_inference(driven.obs))
        gap = difference(results[0], results[1])
        expect(gap is None, f"`act_inference` is deterministic. After `reset`, the same gave other actions: {gap}.")
        gap = difference(before, copied(driven.algorithm.state_dict()))
        expect(gap is None, f"Acting in evaluation mode changes no state. It did: {gap}.")
        expect(torch.equal(generator, torch.get_rng_state()), "`act_inference` draws no random numbers. It did.")
        driven.algorithm.train_mode()

    def test_reset_forgets_only_the_done(self, start: Callable[..., Drive], context: Context) -> None:
        """`reset(dones)` lets those envs begin anew, and no other."""
        algorithm = start().algorithm
        algorithm.eval_mode()
        obs = [
            make_observations(context.env_spec, context.env_spec.num_envs, context.device, seed) for seed in range(3)
        ]
        remembered, one_forgotten, forgotten = forgets_only_the_done(algorithm.act_inference, algorithm.reset, obs)
        gap = difference(remembered[1:], one_forgotten[1:], tolerance=1e-6)
        expect(gap is None, f"`reset(dones)` forgets only the envs in `dones`. Another one acted differently: {gap}.")
        gap = difference(forgotten[:1], one_forgotten[:1], tolerance=1e-6)
        expect(gap is None, f"`reset(dones)` forgets the envs in `dones`. One still remembered: {gap}.")

    def test_goes_on_where_it_stopped(self, start: Callable[..., Drive]) -> None:
        """With the same episodes, a fresh algorithm with the state does all that the old one does."""
        expect_goes_on(start, "An algorithm")

    def test_goes_on_with_new_episodes(self, start: Callable[..., Drive]) -> None:
        """Of those before, it remembers nothing then."""
        expect_begins_anew(start, "An algorithm")

    def test_state_that_does_not_fit_is_refused(self, start: Callable[..., Drive]) -> None:
        """With a CheckpointError, and nothing is loaded."""
        algorithm = start().algorithm
        state = copied(algorithm.state_dict())
        if not _cut_first_matrix(state):
            return
        before = copied(algorithm.state_dict())
        try:
            algorithm.load_state_dict(state)
        except CheckpointError:
            gap = difference(before, copied(algorithm.state_dict()))
            expect(gap is None, f"A state that does not fit is not loaded in part. It was: {gap}; check it all first.")
        except Exception as error:
            pytest.fail(
                f"A state that does not fit is a CheckpointError. A matrix of another shape gave a "
                f"{type(error).__name__}: {error}; `ModuleTable.check_state` checks shapes.",
                pytrace=False,
            )
        else:
            pytest.fail(
                "A state that does not fit is a CheckpointError. A matrix of another shape was taken.", pytrace=False
            )

    def test_missing_groups_are_a_config_error(self, build: Callable[..., Any], context: Context) -> None:
        """An env without what the policy reads is a mistake of the config."""
        spec = attrs.evolve(context.env_spec, observations={"something_else": TensorSpec((3,))})
        try:
            build(spec=spec)
        except ConfigError:
            return
        except Exception as error:
            pytest.fail(
                f"An env without the groups that are needed is a ConfigError. It was a {reason(error)}.",
                pytrace=False,
            )

    def test_trains_resumes_and_acts(self, context: Context, registry: Registry, tmp_path: Path) -> None:
        """Through the same functions as the command line."""
        result = expect_trains(context, registry, tmp_path)
        policy = load_policy(result, device="cpu", registry=registry)
        obs = make_observations(context.env_spec, 2, context.device)
        actions = policy(obs)
        expect(
            tuple(actions.shape) == (2, context.env_spec.actions.num_actions),
            f"A policy acts for any number of rows. For 2 it gave {shown(actions)}.",
        )


def expect_few_reads(driven: Drive, host_reads: int) -> None:
    """Fail if collecting reads a tensor on the host, or an update more than are allowed."""
    driven.iterate(2)  # torch itself reads a scalar once, when some of its parts are first used
    count = count_host_reads(driven.collect)
    expect(
        count == 0,
        f"Collecting reads no tensor on the host, which would make a GPU wait at every step. {driven.num_steps} steps "
        f"read {count}: look for `.item()`, `float(tensor)`, `if tensor:`, `tensor.cpu()`, `tensor[flags]`.",
    )
    count = count_host_reads(lambda: driven.algorithm.update(driven.obs))
    expect(
        count <= host_reads,
        f"An update reads a tensor on the host {host_reads} times at most, not once a minibatch. It did so {count} "
        "times; keep numbers in tensors, and return them as metrics. For reads of a rollout that are there by design, "
        "raise the fixture `host_reads`.",
    )


def expect_same_for_a_seed(start: Callable[..., Drive]) -> None:
    """Fail unless two runs of one seed learn the same."""
    states = []
    for driven in (start(), start()):
        seed_everything(5)
        driven.iterate(2)
        states.append(copied(driven.algorithm.state_dict()))
    gap = difference(states[0], states[1])
    expect(gap is None, f"Two runs of one seed learn the same. They differ: {gap}; draw from torch's generator.")


def expect_trains(context: Context, registry: Registry, log_root: Path) -> Path:
    """Train a small run and resume it; its folder."""
    result = train(context.config, log_root=log_root, quiet=True, registry=registry)
    infinite = sorted(name for name, value in result.metrics.items() if value != value or abs(value) == float("inf"))
    expect(not infinite, f"Metrics of a run are finite. These are not: {', '.join(infinite)}.")
    longer = evolve(context.config, iterations=context.config.iterations + 1)
    resumed = train(longer, log_root=log_root, resume=result.path, quiet=True, registry=registry)
    expect(
        resumed.iteration == longer.iterations, f"A resumed run goes on to the end. It stopped at {resumed.iteration}."
    )
    return result.path


def _cut_first_matrix(state: Any) -> bool:
    """Cut a row off the first matrix of a state, in place; whether there was one."""
    items = state.items() if isinstance(state, dict) else enumerate(state) if isinstance(state, list) else ()
    for key, value in list(items):
        if isinstance(value, Tensor) and value.dim() >= 2 and value.is_floating_point() and len(value) > 1:
            state[key] = value[1:].clone()
            return True
        if isinstance(value, dict | list) and _cut_first_matrix(value):
            return True
    return False
