"""Where the two libraries are meant to differ: what differs, by how much, and that nothing else does."""

from __future__ import annotations

import math
import warnings

import attrs
import torch
from parity import ours, theirs, weights
from parity.case import GRU, IMAGES, LSTM, MLP, Case
from parity.comparison import default_precision, disagreements
from parity.rollouts import script_rollouts
from parity.runs import run_distillation, run_ppo

BOTH = ["policy", "privileged"]


def test_entropy_of_beta_is_that_of_actions():
    # rsl_rl's is that of x in [0, 1]; of an action in [-1, 1] it is log 2 more. It is a constant: weights agree.
    case = Case(name="", distribution={"name": "beta", "range": [-1.0, 1.0]})
    with default_precision("float64"):
        records = run_ppo(case)
        assert disagreements(records) == [f"rollout {number}/loss/entropy" for number in range(3)]
        for name in disagreements(records):
            expected = records.theirs[name] + case.num_actions * math.log(2.0)
            torch.testing.assert_close(records.ours[name], expected)


def test_time_limit_on_a_terminal_state_is_not_bootstrapped():
    # rsl_rl adds the discounted value of the last state to the reward of a step that ends in a terminal state, if the
    # time was up as well.
    case = Case(name="", algorithm={"normalize_advantage": "none", "gamma": 0.9, "lam": 0.8})
    with default_precision("float64"):
        (rollout,) = script_rollouts(case, 1)
        t, n = 5, 0
        rollout.terminated[t, n] = rollout.truncated[t, n] = True
        records = run_ppo(case, [rollout])
        mine, yours = (record["rollout 0/returns"] for record in (records.ours, records.theirs))
        torch.testing.assert_close(mine[t, n], rollout.rewards[t, n])
        values = records.ours["rollout 0/values"]
        torch.testing.assert_close(yours[t, n], rollout.rewards[t, n] + 0.9 * values[t, n])
        # It reaches back to the steps before, and no further than the episode.
        torch.testing.assert_close((yours - mine)[:t, n], 0.9 * values[t, n] * (0.9 * 0.8) ** torch.arange(t, 0, -1))
        assert torch.allclose(yours[:, 1:], mine[:, 1:])
        assert torch.allclose(yours[t + 1 :], mine[t + 1 :])


def test_shared_encoders_are_stepped_once():
    # rsl_rl hands shared encoders to the optimizer twice, with the actor and with the critic, and so steps them twice.
    network = {
        "name": "cnn",
        "hidden_dims": [8],
        "groups": ["policy", "camera"],
        "encoders": {"camera": {"channels": [4]}},
    }
    algorithm = {"optimizer": "sgd", "max_grad_norm": 1e6, "num_mini_batches": 1, "num_learning_epochs": 1}
    case = Case(name="", actor=network, observations=IMAGES, share_encoders=True, algorithm=algorithm)
    case = attrs.evolve(case, critic=network)
    with default_precision("float64"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "optimizer contains a parameter group with duplicate parameters")
        torch.manual_seed(1)
        before = weights.renamed_tensors(ours.build_ppo(case).policy.actor)
        records = run_ppo(case, script_rollouts(case, 1))
    kernel = "cnns.camera.0.weight"
    name = f"rollout 0/weights/actor/{kernel}"
    mine, yours = (record[name] - before[kernel] for record in (records.ours, records.theirs))
    assert mine.abs().max() > 1e-5
    torch.testing.assert_close(yours, 2.0 * mine)
    assert all("/cnns." in name for name in disagreements(records))


def test_recurrent_teacher_keeps_its_memory(monkeypatch):
    # rsl_rl sets the teacher's memory back to the beginning of training at the end of each update.
    case = Case(name="", actor=MLP, teacher=LSTM | {"groups": BOTH}, algorithm={"gradient_length": 4})
    with default_precision("float64"):
        records = run_distillation(case, monkeypatch)
        rollouts = script_rollouts(case, 3)
    assert "rollout 0/teacher actions" not in disagreements(records)
    differs = (records.ours["rollout 1/teacher actions"] - records.theirs["rollout 1/teacher actions"]).abs() > 1e-9
    # Episodes that began in the rollout are remembered alike; those that went on are not.
    dones = rollouts[1].terminated | rollouts[1].truncated
    started = torch.zeros_like(dones)
    started[1:] = dones[:-1].cummax(0).values
    last = rollouts[0].terminated[-1] | rollouts[0].truncated[-1]
    went_on = ~started & ~last
    assert torch.equal(differs.any(-1), went_on)


def test_windows_begin_anew_in_each_epoch(monkeypatch):
    # 12 steps in windows of 8: ours are 8 and 4 long in each of two epochs, four optimizer steps. rsl_rl counts on
    # over the end of an epoch: 8, 4 + 4, and 8, three steps.
    case = Case(name="", actor=GRU, teacher=MLP, algorithm={"gradient_length": 8, "num_learning_epochs": 2})
    one = _optimizer_steps(case, monkeypatch)
    assert one == (4, 3)


def test_last_steps_of_a_rollout_are_learned_from(monkeypatch):
    # 12 steps in windows of 8: the last four are a window too. rsl_rl leaves them out, with a warning.
    case = Case(name="", actor=GRU, teacher=MLP, algorithm={"gradient_length": 8})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The product of 'num_learning_epochs'")
        assert _optimizer_steps(case, monkeypatch) == (2, 1)


def test_rnd_learns_from_no_padding():
    # rsl_rl takes the predictor's loss over padded sequences, as if states of zeros had been observed. The first update
    # differs in nothing but the predictor.
    networks = {"num_outputs": 4, "predictor_hidden_dims": [8], "target_hidden_dims": [8]}
    rnd = {"name": "rnd", "weight": 0.1, "reward_observation": "next", **networks}
    case = Case(name="", actor=GRU, algorithm={"extensions": [rnd]})
    with default_precision("float64"):
        records = run_ppo(case, script_rollouts(case, 1))
        names = disagreements(records)
    assert "rollout 0/loss/rnd" in names
    assert all(name == "rollout 0/loss/rnd" or "/rnd/predictor" in name for name in names)


def _optimizer_steps(case, monkeypatch):
    """How many optimizer steps an update makes, in ours and in theirs."""
    trained = ours.build_teacher(case)
    one, other = ours.build_distillation(case, trained, monkeypatch), theirs.build_distillation(case)
    (rollout,) = script_rollouts(case, 1)
    theirs.collect(other, other.student, rollout, ours.collect(one, rollout))
    one.update(rollout.obs[-1])
    other.update()
    parameter = next(other.student.mlp.parameters())
    return int(one.learner.optimizer.steps), int(other.optimizer.state[parameter]["step"])
