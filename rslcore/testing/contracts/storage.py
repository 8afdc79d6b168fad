"""What a storage promises: that all are written alike.

Legend: N envs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import torch

from rslcore.context import Context
from rslcore.errors import ExtensionError
from rslcore.specs import TensorSpec
from rslcore.testing.contracts.base import Contract, Options
from rslcore.testing.filled import Filled
from rslcore.testing.module_checks import expect_no_reads


class StorageContract(Contract):
    """Of all storages: how they are written."""

    kind: ClassVar[str] = "storage"

    @pytest.fixture
    def storage(self, component: Options) -> Options:
        """The component."""
        return component

    def _fill(self, storage: Any, context: Context, num_steps: int) -> Filled:
        return Filled(storage, context, num_steps)

    def test_a_name_is_declared_once(self, build: Callable[..., Any]) -> None:
        """A second column of a name is an ExtensionError."""
        storage = build()
        storage.add_fields({"extra": TensorSpec((2,))})
        for name in ("extra", "dones"):
            self._expect_error(
                lambda name=name: storage.add_fields({name: TensorSpec((2,))}),  # type: ignore[misc]
                f"Declaring the column '{name}' a second time",
            )

    def test_writing_reads_nothing_and_changes_nothing(self, build: Callable[..., Any], context: Context) -> None:
        """Rows are copied, on the device."""
        filled = self._fill(build(), context, 1)
        filled.check_untouched()
        storage = self._fill(build(), context, 0)
        steps = iter(range(context.num_steps_per_env))
        expect_no_reads(lambda: storage.write_step(next(steps)), "Writing a step")

    def test_what_does_not_fit_is_refused(self, build: Callable[..., Any], context: Context) -> None:
        """Rows of another shape are not spread over the column, and no column appears by itself."""
        num_envs = context.env_spec.num_envs
        storage = self._fill(build(), context, 1).storage
        for shape in ((num_envs + 1, 2), (num_envs, 1), (num_envs,)):
            rows = torch.zeros(shape, device=context.device)
            self._expect_error(
                lambda rows=rows: storage.write("extra", rows),  # type: ignore[misc]
                f"Writing rows {list(shape)} to a column [T, {num_envs}, 2]",
            )
        rows = torch.zeros(num_envs, device=context.device)
        self._expect_error(lambda: storage.write("nothing", rows), "Writing to a column that nobody has declared")

    def _expect_error(self, call: Callable[[], object], what: str) -> None:
        try:
            call()
        except ExtensionError:
            return
        except Exception as error:
            pytest.fail(f"{what} is an ExtensionError, with words for its author. It was {error!r}.", pytrace=False)
        pytest.fail(f"{what} is an ExtensionError. It went unnoticed; compare with the specs.", pytrace=False)
