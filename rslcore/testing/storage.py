"""What a storage promises: that all are written alike.

Legend: N envs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import torch

from rslcore.context import Context
from rslcore.specs import TensorSpec
from rslcore.testing.contract import Contract, Options
from rslcore.testing.modules import expect_no_reads
from rslcore.testing.values import expect
from rslcore.testing.writing import Filled


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
        """A second column of a name is a ValueError."""
        storage = build()
        storage.add_fields({"extra": TensorSpec((2,))})
        for name in ("extra", "dones"):
            with pytest.raises(ValueError) as caught:  # noqa: PT011 - any text that names it
                storage.add_fields({name: TensorSpec((2,))})
            expect(
                name in str(caught.value),
                f"A column that is declared already is a ValueError that names it. '{caught.value}' does not name "
                f"'{name}'.",
            )

    def test_writing_reads_nothing_and_changes_nothing(self, build: Callable[..., Any], context: Context) -> None:
        """Rows are copied, on the device."""
        filled = self._fill(build(), context, 1)
        filled.check_untouched()
        storage = self._fill(build(), context, 0)
        steps = iter(range(context.num_steps_per_env))
        expect_no_reads(lambda: storage.write_step(next(steps)), "Writing a step")

    def test_another_shape_is_refused(self, build: Callable[..., Any], context: Context) -> None:
        """Rows of a wrong shape are an error, not spread over the column."""
        filled = self._fill(build(), context, 1)
        wrong = torch.zeros(context.env_spec.num_envs + 1, 2, device=context.device)
        with pytest.raises(Exception):  # noqa: B017, PT011 - which one is the storage's choice
            filled.storage.write("extra", wrong)
