"""What runners do on several ranks; see `ranks`."""

from __future__ import annotations

from pathlib import Path

import stand_ins
import torch
from agents import FIVE, STUDENT

from rslcore.distributed import rank
from rslcore_rsl_rl import DistillationRunner, OnPolicyRunner


def train(folder, device):
    """A script as it is: each rank has a seed and envs of its own, and the first one saves once more."""
    torch.manual_seed(rank())
    where = "cpu" if device == "cpu" else f"cuda:{rank()}"
    runner = OnPolicyRunner(stand_ins.isaac_lab(4, where, rank()), FIVE, folder, where)
    runner.learn(2)
    if rank() == 0:
        runner.save(str(Path(folder, "by_hand.pt")))
    learned = tensors_of(runner.alg.save())
    runner.load(str(Path(folder, "model_1.pt")))
    loaded = tensors_of(runner.alg.save())
    runner.learn(1)
    said = (runner.cfg["multi_gpu"], runner.is_distributed, runner.logger.disable_logs, runner.logger.tot_timesteps)
    return learned, loaded, tensors_of(runner.alg.save()), said


def distill(folder, device):
    """A student of what `train` has left."""
    where = "cpu" if device == "cpu" else f"cuda:{rank()}"
    runner = DistillationRunner(stand_ins.isaac_lab(4, where, rank()), STUDENT, None, where)
    runner.load(str(Path(folder, "model_1.pt")))
    runner.learn(1)
    return {name: tensor.cpu() for name, tensor in runner.alg.save()["student_state_dict"].items()}


def take_wrong_device():
    """What is said to a script that gives each rank the same GPU."""
    try:
        OnPolicyRunner(stand_ins.isaac_lab(4, "cpu", 1), FIVE, None, "cuda:7")
    except ValueError as error:
        return str(error)
    return ""


def tensors_of(saved):
    return {name: tensor.cpu() for part in ("actor", "critic") for name, tensor in saved[f"{part}_state_dict"].items()}
