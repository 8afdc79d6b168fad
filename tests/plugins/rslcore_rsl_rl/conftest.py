"""What several tests here begin with."""

from __future__ import annotations

import pytest
import stand_ins
import torch
from agents import FIVE

from rslcore_rsl_rl import OnPolicyRunner


@pytest.fixture
def make():
    """A runner with an env of some project's kind, on a CPU, seeded."""

    def build(cfg=FIVE, log_dir=None, family="isaac_lab", runner=OnPolicyRunner, num_envs=4, **options):
        torch.manual_seed(1)
        return runner(stand_ins.FAMILIES[family](num_envs, "cpu", 1, **options), cfg, log_dir, "cpu")

    return build
