"""Whole runs: rslcore's runners beside rsl_rl's, and rslcore's PPO inside of rsl_rl's runner.

Both draw the same actions and permutations from one seed, so that from the same weights they learn the same.
"""

from __future__ import annotations

import copy
import warnings

import pytest
import rsl_rl.runners
import stand_ins
import torch
from agents import AGENTS, FIVE, GAUSSIAN, RECURRENT, RND, STUDENT

import rslcore_rsl_rl

OURS_INSIDE = "rslcore_rsl_rl:PPO"
STEPS = 16


def adapted(cfg, **algorithm):
    """A dict with more steps, so that episodes end by their limit too, and other options of the algorithm."""
    return {**cfg, "num_steps_per_env": STEPS, "algorithm": {**cfg["algorithm"], **algorithm}}


CASES = {
    "mlp": adapted(FIVE),
    "lstm": adapted(RECURRENT),
    "rnd": adapted(RND),
    "fixed": adapted(FIVE, schedule="fixed", normalize_advantage_per_mini_batch=True),
    "beta": {
        **adapted(FIVE, entropy_coef=0.0),
        "actor": {**FIVE["actor"], "distribution_cfg": {"class_name": "BetaDistribution"}},
    },
    "heteroscedastic": {
        **adapted(FIVE),
        "actor": {
            **FIVE["actor"],
            "distribution_cfg": {**GAUSSIAN, "class_name": "HeteroscedasticGaussianDistribution"},
        },
    },
}


@pytest.fixture(params=CASES.values(), ids=CASES)
def cfg(request):
    return copy.deepcopy(request.param)


def make(library, cfg, log_dir=None, kind="OnPolicyRunner"):
    env = stand_ins.isaac_lab(4, "cpu", 1)
    env.unwrapped.step_dt = 0.5  # by which the weight of novelty is multiplied
    return getattr(library, kind)(env, copy.deepcopy(cfg), log_dir and str(log_dir), "cpu")


def inside(cfg):
    """The same dict with our PPO."""
    return cfg | {"algorithm": {**cfg["algorithm"], "class_name": OURS_INSIDE}}


def follow(algorithm):
    """Keep the losses of each update, around which the generator is seeded: rsl_rl draws actions in it for nothing."""
    losses, update = [], algorithm.update

    def seeded_update(*arguments):
        torch.manual_seed(100 + len(losses))
        losses.append(update(*arguments))
        torch.manual_seed(200 + len(losses))
        return losses[-1]

    algorithm.update = seeded_update
    return losses


def without_counts(saved):
    return {key: value for key, value in saved.items() if key not in ("iter", "infos")}


def close(one, other, tolerance=1e-5):
    """Whether what two runners would save is the same but for rounding, in every tensor."""
    one, other = without_counts(one), without_counts(other)
    assert one.keys() == other.keys()
    for name in one:
        if name.endswith("optimizer_state_dict"):
            continue
        assert list(one[name]) == list(other[name])
        for key, tensor in one[name].items():
            apart = (tensor.double() - other[name][key].double()).norm() / other[name][key].double().norm().clamp(0.1)
            assert apart <= tolerance, (name, key, apart)


def start_alike(theirs, ours):
    """Give both the same weights, those of rsl_rl's."""
    ours.alg.load(copy.deepcopy(theirs.alg.save()) | {"iter": 0, "infos": None}, None, True)


def learn_alike(*runners, iterations=4):
    for runner in runners:
        torch.manual_seed(5)
        runner.learn(iterations)


def test_runners_learn_the_same(cfg):
    theirs, ours = make(rsl_rl.runners, cfg), make(rslcore_rsl_rl, cfg)
    start_alike(theirs, ours)
    ours.current_learning_iteration = -1
    losses, _ = follow(theirs.alg), follow(ours.alg.core)
    learn_alike(theirs, ours)
    close(ours.alg.save(), theirs.alg.save())
    assert ours.alg.learning_rate == pytest.approx(theirs.alg.learning_rate)
    for name, loss in losses[-1].items():
        if (name, cfg) == ("entropy", CASES["beta"]):
            continue  # here it is that of the stretched action, a constant more
        assert ours._session.metrics[f"Loss/{name}"] == pytest.approx(loss, rel=1e-3, abs=1e-5)
    assert ours.current_learning_iteration == theirs.current_learning_iteration == 3


def test_our_ppo_inside_of_their_runner_learns_the_same(cfg):
    theirs, ours = make(rsl_rl.runners, cfg), make(rsl_rl.runners, inside(cfg))
    assert type(ours.alg) is rslcore_rsl_rl.PPO
    start_alike(theirs, ours)
    theirs.env.get_observations()  # ours has asked once more, and noise is drawn each time
    expected, found = follow(theirs.alg), follow(ours.alg)
    learn_alike(theirs, ours)
    close(ours.alg.save(), theirs.alg.save())
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for name in one.keys() - ({"entropy"} if cfg == CASES["beta"] else set()):
            assert one[name] == pytest.approx(other[name], rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("name", ["mlp", "lstm", "rnd"])
def test_our_ppo_inside_of_their_runner_saves_and_loads(name, tmp_path):
    cfg = CASES[name]
    runner = make(rsl_rl.runners, inside(cfg), tmp_path)
    runner.learn(3)
    assert sorted(path.name for path in tmp_path.glob("*.pt")) == ["model_0.pt", "model_2.pt"]
    for library, other_cfg in ((rsl_rl.runners, inside(cfg)), (rsl_rl.runners, cfg), (rslcore_rsl_rl, cfg)):
        other = make(library, other_cfg)
        other.load(str(tmp_path / "model_2.pt"))
        assert other.current_learning_iteration == 2
        close(other.alg.save(), runner.alg.save(), tolerance=0.0)
        obs = runner.env.get_observations()
        runner.alg.get_policy().reset()
        torch.testing.assert_close(other.get_inference_policy("cpu")(obs), runner.get_inference_policy("cpu")(obs))
        other.learn(1)
    with warnings.catch_warnings(action="ignore"):  # of torch.jit
        runner.export_policy_to_jit(str(tmp_path))
    assert (tmp_path / "policy.pt").exists()


@pytest.mark.parametrize("name", ["mlp", "lstm", "rnd", "beta", "heteroscedastic"])
def test_checkpoints_go_both_ways_and_both_go_on_alike(name, tmp_path):
    cfg = CASES[name]
    ours = make(rslcore_rsl_rl, cfg, tmp_path / "ours")
    ours.learn(3)
    theirs = make(rsl_rl.runners, cfg)
    assert theirs.load(str(tmp_path / "ours" / "model_2.pt")) is None
    assert theirs.current_learning_iteration == 2
    close(ours.alg.save(), theirs.alg.save(), tolerance=0.0)
    theirs.save(str(tmp_path / "theirs.pt"), infos={"a": 1})
    back = make(rslcore_rsl_rl, cfg)
    assert back.load(str(tmp_path / "theirs.pt")) == {"a": 1}
    assert back.current_learning_iteration == 2
    follow(theirs.alg)
    follow(back.alg.core)
    learn_alike(theirs, back, iterations=2)
    close(back.alg.save(), theirs.alg.save())


@pytest.mark.parametrize("student", [STUDENT["student"], {**RECURRENT["actor"], "obs_normalization": True}])
def test_students_learn_the_same_from_the_same_teacher(student, tmp_path):
    teacher = make(rsl_rl.runners, CASES["mlp"], tmp_path / "teacher")
    teacher.learn(1)
    cfg = adapted(STUDENT) | {"student": student}
    cfg["teacher"]["distribution_cfg"]["init_std"] = 0.8
    runners = []
    for library in (rsl_rl.runners, rslcore_rsl_rl):
        runner = make(library, cfg, tmp_path / library.__name__, "DistillationRunner")
        runner.load(str(tmp_path / "teacher" / "model_0.pt"))
        runners.append(runner)
    theirs, ours = runners
    ours.alg.load(copy.deepcopy(theirs.alg.save()) | {"iter": 0, "infos": None}, None, True)
    learn_alike(theirs, ours, iterations=3)
    close(ours.alg.save(), theirs.alg.save())
    files = {library: tmp_path / library.__name__ / "model_2.pt" for library in (rsl_rl.runners, rslcore_rsl_rl)}
    for library, other in ((rsl_rl.runners, rslcore_rsl_rl), (rslcore_rsl_rl, rsl_rl.runners)):
        runner = make(library, cfg, kind="DistillationRunner")
        runner.load(str(files[other]))
        assert runner.alg.teacher_loaded
        close(runner.alg.save(), ours.alg.save())
        runner.learn(1)


@pytest.mark.parametrize("family", ["isaac_lab", "mjlab"])
def test_subclass_of_either_runner_reads_what_the_other_wrote(family, tmp_path):
    cfg = copy.deepcopy(AGENTS[family])
    for section in ("actor", "critic"):
        cfg[section] = {key: value for key, value in cfg[section].items() if value is not None}
    env = stand_ins.FAMILIES[family](4, "cpu", 1)
    ours = rslcore_rsl_rl.OnPolicyRunner(env, cfg, str(tmp_path), "cpu")
    ours.learn(1)
    theirs = rsl_rl.runners.OnPolicyRunner(env, copy.deepcopy(cfg), None, "cpu")
    theirs.load(str(tmp_path / "model_0.pt"), load_cfg={"actor": True}, strict=True, map_location="cpu")
    obs = env.get_observations()
    torch.testing.assert_close(theirs.get_inference_policy()(obs), ours.get_inference_policy()(obs))
