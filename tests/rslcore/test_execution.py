"""How functions are run: what `auto` stands for, and what it does where torch cannot compile."""

from __future__ import annotations

import warnings

import attrs
import pytest
import torch
from tensordict import TensorDict

from rslcore.batch import Batch
from rslcore.context import Context
from rslcore.errors import ConfigError, RunError
from rslcore.execution import Executor, Workload, chosen_execution
from rslcore.registry import default_registry

SMALL = Workload(num_updates=20, num_rows=1536, num_parameters=16_000)


@pytest.fixture
def context(small_config):
    """Of an algorithm on the CPU, in a run of as many iterations."""

    def make(iterations=2, device="cpu"):
        config = small_config(f"iterations={iterations}")
        return Context(default_registry(), config, torch.device(device), 1, 8, path="algorithm")

    return make


@pytest.fixture
def broken_compiler():
    """A machine without a C++ compiler, and without what was compiled before."""
    with warnings.catch_warnings(action="ignore"):
        from torch._inductor import config
    torch.compiler.reset()
    with config.patch({"cpp.cxx": ("no-such-compiler",), "force_disable_caches": True}):
        yield
    torch.compiler.reset()


def test_a_workload_takes_its_calls_and_its_products():
    assert SMALL.seconds == pytest.approx(20 * (1e-3 + 6 * 1536 * 16_000 / 1e11))


@pytest.mark.parametrize(("iterations", "mode"), [(10, "eager"), (10_000, "compile")])
def test_auto_compiles_where_a_run_is_long(context, iterations, mode):
    assert chosen_execution("auto", context(iterations), SMALL) == mode


def test_auto_replays_graphs_on_a_gpu(context):
    assert chosen_execution("auto", context(10_000, "cuda"), SMALL) == "cuda_graph"


def test_auto_leaves_as_they_are_what_gains_nothing_and_says_why(context, caplog):
    caplog.set_level("INFO", "rslcore.execution")
    workload = attrs.evolve(SMALL, obstacle="it is of no use")
    assert chosen_execution("auto", context(10_000), workload) == "eager"
    assert chosen_execution("compile", context(10_000), workload) == "compile"
    assert [record.message for record in caplog.records] == ["execution: eager, since it is of no use"]


def test_parts_of_minibatches_and_graphs_do_not_go_together(context):
    in_parts = attrs.evolve(SMALL, in_parts=True)
    assert chosen_execution("auto", context(10_000, "cuda"), in_parts) == "compile"
    message = (
        "^algorithm.micro_batch_size: a CUDA graph writes over the gradients of the part before; "
        "use `execution: compile`$"
    )
    with pytest.raises(ConfigError, match=message):
        chosen_execution("cuda_graph", context(device="cuda"), in_parts)


def test_a_graph_on_a_cpu_is_refused(context):
    message = "^algorithm.execution: 'cuda_graph' needs a GPU, and this run is on 'cpu'; use 'auto'$"
    with pytest.raises(ConfigError, match=message):
        chosen_execution("cuda_graph", context(), SMALL)


def test_a_compiled_function_does_the_same(context):
    rows = torch.linspace(-2.0, 2.0, 100)
    compiled = Executor("compile", context(), SMALL).prepare(softsign, "the activations")
    torch.testing.assert_close(compiled(rows), softsign(rows))


def softsign(rows):
    return rows / (1.0 + rows.abs())


def test_eager_is_the_function_itself(context):
    executor = Executor("eager", context(), SMALL)
    assert executor.prepare(softsign, "the activations") is softsign
    assert executor.prepare_loss(mean_of, "the losses", [4]) is mean_of


def test_auto_goes_on_where_torch_cannot_compile_and_says_so_once(context, broken_compiler, caplog):
    rows = torch.linspace(-2.0, 2.0, 101)
    run = Executor("auto", context(10_000), SMALL).prepare(softsign, "the activations")
    for _ in range(2):
        assert torch.equal(run(rows), softsign(rows))
    said = [record.message for record in caplog.records if record.name == "rslcore.execution"]
    assert len(said) == 1
    assert said[0].startswith("execution: the activations run as written, since torch cannot compile them (")


def test_auto_goes_on_where_only_the_gradient_cannot_be_compiled(context, broken_compiler, caplog):
    rows = torch.linspace(-2.0, 2.0, 103, requires_grad=True)
    run = Executor("auto", context(10_000), SMALL).prepare(doubled, "the doubles")
    (gradient,) = torch.autograd.grad(run(rows).sum(), rows)
    assert torch.equal(gradient, torch.full((103,), 2.0))
    (said,) = [record.message for record in caplog.records if record.name == "rslcore.execution"]
    assert said.startswith("execution: the doubles run as written, since torch cannot compile them (")


def test_compile_ends_the_run_where_torch_cannot(context, broken_compiler):
    run = Executor("compile", context(), SMALL).prepare(softsign, "the activations")
    message = (
        r"^execution: torch cannot compile the activations \(.*\); write `execution: auto`, which goes on without, "
        "or `eager`$"
    )
    with pytest.raises(RunError, match=message):
        run(torch.linspace(-2.0, 2.0, 102))


def test_an_error_of_the_function_is_its_own(context):
    run = Executor("auto", context(10_000), SMALL).prepare(refuse, "the refusals")
    with pytest.raises(ValueError, match="^not these rows$"):
        run(torch.zeros(3))


@torch.library.custom_op("rslcore_tests::doubled", mutates_args=())
def doubled(rows: torch.Tensor) -> torch.Tensor:
    """Nothing in it is for a compiler, but in its gradient there is."""
    return 2.0 * rows


doubled.register_fake(torch.empty_like)
doubled.register_autograd(lambda context, gradient: gradient.mul(2.0))


def refuse(rows):
    raise ValueError("not these rows")


def mean_of(batch):
    return batch["returns"].mean()


def batch_of(num_rows):
    columns = {"returns": torch.arange(float(num_rows))}
    return Batch(columns, TensorDict({"policy": torch.zeros(num_rows, 1)}, [num_rows]), num_rows)


def test_a_loss_is_compiled_for_some_numbers_of_rows_and_runs_for_others(context, caplog):
    seen = []

    def noted(batch):
        if not torch.compiler.is_compiling():
            seen.append(len(batch))
        return mean_of(batch)

    run = Executor("compile", context(), SMALL).prepare_loss(noted, "the losses", [4, 6])
    assert [run(batch_of(size)).item() for size in (4, 6, 8, 10, 4)] == [1.5, 2.5, 3.5, 4.5, 1.5]
    assert seen == [8, 10]
    said = [record.message for record in caplog.records if record.name == "rslcore.execution"]
    assert said == ["execution: the losses also run as written, since numbers of rows change"]
