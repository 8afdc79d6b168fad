"""Checks of `torch.nn.Module`s, which networks, policies and distributions are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from rslcore.errors import ConfigError, listed
from rslcore.testing.reads import count_host_reads
from rslcore.testing.values import copied, difference, expect, expect_plain_state, reason, through_a_file


def expect_module(built: Any, what: str) -> None:
    """Fail unless a component is a module."""
    expect(
        isinstance(built, nn.Module), f"A {what} is a torch.nn.Module; {type(built).__name__} is none, inherit from it."
    )


def expect_gradients(module: nn.Module, loss: torch.Tensor, what: str, of: str) -> None:
    """Fail unless a loss gives every parameter of a module a gradient."""
    module.zero_grad()
    loss.backward()
    missing = [
        name for name, parameter in module.named_parameters() if parameter.requires_grad and parameter.grad is None
    ]
    expect(
        not missing,
        f"Every parameter of a {what} gets a gradient from {of}. {listed(missing)} of {type(module).__name__} got "
        "none: use it, let nothing detach what is made of it, or give it requires_grad=False.",
    )


def expect_round_trip(build: Callable[..., nn.Module], run: Callable[[Any], Any], change: Callable[[Any], Any]) -> None:
    """Fail unless a fresh module with the state of another one does what that one does.

    Args:
        build: Makes a module with a seed.
        run: What the module does.
        change: Moves the module's state on, its statistics for one.
    """
    first, second = build(seed=1), build(seed=2)
    change(first)
    with torch.no_grad():
        for index, parameter in enumerate(first.parameters()):
            parameter.add_(0.01 * (index + 1))
    name = type(first).__name__
    state = first.state_dict()
    expect_plain_state(state, name)
    second.load_state_dict(through_a_file(state))
    first.eval()
    second.eval()
    gap = difference(copied(run(first)), copied(run(second)), tolerance=1e-6)
    expect(
        gap is None,
        f"What a module does depends on its config and its `state_dict` alone. A fresh {name} with the state of "
        f"another one did something else: {gap}; register what it needs with `register_buffer`, or as a parameter "
        "or module.",
    )


def expect_no_reads(call: Callable[[], object], what: str) -> None:
    """Fail if a call reads a scalar on the host."""
    call()  # torch itself reads a scalar once, when some of its parts are first used
    count = count_host_reads(call)
    times = "a tensor" if count == 1 else f"tensors {count} times"
    expect(
        count == 0,
        f"{what} reads no tensor on the host, which would make a GPU wait. It read {times}: look for `.item()`, "
        "`float(tensor)`, `if tensor:` and indices made of flags.",
    )


def expect_unchanged(before: Any, after: Any, what: str) -> None:
    """Fail if what was handed in was written into."""
    gap = difference(before, copied(after))
    expect(gap is None, f"{what} leaves what it is given as it is. It wrote into it: {gap}; work on a copy.")


def expect_config_error(build_and_run: Callable[[], object], kind: str, hint: str) -> None:
    """Fail if a missing observation group is anything but a ConfigError with its path.

    Args:
        build_and_run: Builds a component in an env without the groups that it reads, and runs it.
        kind: Of the component.
        hint: What checks groups.
    """
    try:
        build_and_run()
    except ConfigError as error:
        expect(
            error.problems[0].path.startswith(kind),
            f"An error in the config names its path. '{error}' does not; make it with `context.error(option, text)`.",
        )
    except Exception as error:
        pytest.fail(
            f"A group that the env does not have is a ConfigError when a {kind} is built. It was a {reason(error)}; "
            f"{hint}.",
            pytrace=False,
        )
