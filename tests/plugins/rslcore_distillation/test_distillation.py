"""Distillation on real envs: who acts, what an update does, what is carried on, what is refused."""

from __future__ import annotations

import contextlib
import copy

import attrs
import pytest
import torch

from rslcore.config import ExtensionComponent, config, evolve, load_config
from rslcore.context import Context
from rslcore.errors import ConfigError
from rslcore.evaluation import load_policy
from rslcore.extension import Extension
from rslcore.protocols import Algorithm
from rslcore.recurrence import detach, forget, zero_state
from rslcore.registry import Entry, PluginRow, Registry, Source
from rslcore.seeding import seed_everything
from rslcore.specs import TensorSpec
from rslcore.training import build_algorithm, num_steps_per_env, train
from rslcore_distillation.config import TeacherShareConfig
from rslcore_distillation.distillation import teacher_share

T, N, RATE = 8, 4, 0.1
LINEAR = "{name: mlp, hidden_dims: []}"
LSTM = "{name: lstm, rnn_hidden_dim: 6, rnn_num_layers: 2, hidden_dims: [8], normalize: true}"
SOURCE = Source("tests", "rslcore-tests", "1.0", __name__)


@config
class NoOptions:
    """Of an extension."""


class Recorder(Extension):
    """Counts its calls; adds a group and a loss, and gives the teacher's group as zeros."""

    latest = None

    def __init__(self, config, context):
        super().__init__(config, context)
        self.calls = []
        Recorder.latest = self

    def observation_groups(self):
        return {"clock": TensorSpec((1,))}

    def fields(self):
        return {"height": TensorSpec((1,))}

    def bind(self, bindings):
        self.storage = bindings.storage
        self.dropout = torch.nn.Dropout()
        bindings.modules.register("dropout", self.dropout)

    def start_iteration(self, iteration, total):
        self.calls.append("start_iteration")

    def before_act(self, obs):
        self.calls.append("before_act")
        added = obs.clone(recurse=False)
        added["clock"] = torch.ones(len(obs), 1)
        added["privileged"] = torch.zeros(len(obs), 1)
        return added

    def after_step(self, transition):
        self.calls.append("after_step")
        assert (transition.obs["clock"] == 1.0).all()
        self.storage.write("height", transition.next_obs["policy"][:, :1])

    def after_rollout(self, storage):
        self.calls.append("after_rollout")

    def samplers(self, num_updates, batch_size):
        self.calls.append(f"samplers {num_updates} {batch_size}")
        return {"numbers": iter(range(num_updates))}

    def augment(self, batch):
        assert batch.samples["numbers"] == self.calls.count("augment") % 6
        self.calls.append("augment")
        return batch

    def losses(self, batch, outputs):
        self.calls.append("losses")
        assert set(outputs) == {"params", "actions"}
        assert batch["height"].shape == (len(batch), 1)
        return {"height": (outputs["actions"].square().mean(), 0.5)}

    def after_minibatch(self, batch, outputs):
        self.calls.append("after_minibatch")

    def after_update(self, storage):
        self.calls.append("after_update")

    def metrics(self):
        self.calls.append("metrics")
        return {"Recorder/one": torch.tensor(1.0)}


class Doubled(Extension):
    """Puts every row behind the original ones once more."""

    def augment(self, batch):
        columns = {name: torch.cat([column, column]) for name, column in batch.columns.items()}
        return attrs.evolve(batch, columns=columns, obs=torch.cat([batch.obs, batch.obs]))


class Shaper(Extension):
    """Changes rewards."""

    def shape_reward(self, transition, rewards):
        return rewards + 1.0


@pytest.fixture
def registry():
    base = Registry.discover()
    entries = tuple(
        Entry("extension", cls.__name__.lower(), f"{__name__}:{cls.__name__}", f"{__name__}:NoOptions", "", SOURCE)
        for cls in (Recorder, Doubled, Shaper)
    )
    return Registry([*base.plugins, PluginRow(SOURCE, "ok", "", entries)], base.manager)


def with_extensions(original, *names):
    extensions = tuple(ExtensionComponent(name, NoOptions()) for name in names)
    return evolve(
        original, algorithm=evolve(original.algorithm, config=evolve(original.algorithm.config, extensions=extensions))
    )


@pytest.fixture
def build(registry):
    """Env and algorithm of a config."""
    with contextlib.ExitStack() as stack:

        def make(config):
            seed_everything(config.seed)
            context = Context(registry, config, torch.device("cpu"), config.seed, num_steps_per_env(config))
            env = stack.enter_context(contextlib.closing(context.build(config.env, "env")))
            return env, build_algorithm(attrs.evolve(context, env=env, spec=env.spec))

        yield make


@pytest.fixture(scope="module")
def cartpole_teacher(tmp_path_factory):
    overrides = ["iterations=1", "env.num_envs=4", "runner.num_steps_per_env=8", "loggers=[]"]
    return train(load_config("cartpole", overrides), log_root=tmp_path_factory.mktemp("logs"), quiet=True).path


@pytest.fixture
def cartpole_student(small_config, cartpole_teacher):
    def load(*overrides, student="{name: mlp, hidden_dims: [8]}"):
        return small_config(
            f"policy={{name: student_teacher, student: {{network: {student}, distribution: {{name: categorical}}}}, "
            f"teacher: {{run: {cartpole_teacher}}}}}",
            "algorithm={name: distillation, optimizer: sgd, learning_rate: 0.1, loss_type: log_likelihood}",
            "env.kwargs={max_episode_steps: 3}",  # and a step that only resets
            *overrides,
        )

    return load


def collect(env, algorithm, obs=None):
    """Collect a rollout; return the observations acted on, the steps, and the last observations."""
    if obs is None:
        obs = env.reset()
    seen, steps = [], []
    with algorithm.rollout_context():
        for _ in range(T):
            seen.append(obs)
            steps.append(env.step(algorithm.act(obs)))
            algorithm.process_env_step(steps[-1])
            obs = steps[-1].obs
    return seen, steps, obs


def ended(step):
    return step.dones if step.valid is None else step.dones | ~step.valid


def valid(step):
    return torch.ones(N, dtype=torch.bool) if step.valid is None else step.valid


def parameters_of(algorithm):
    return torch.cat([parameter.detach().flatten() for parameter in algorithm.policy.parameters()])


def test_distillation_is_an_algorithm(build, pendulum_student):
    assert isinstance(build(pendulum_student())[1], Algorithm)


# Who acts


def test_act_stores_observations_and_actions_of_student_and_teacher(build, pendulum_student, pendulum_teachers):
    env, distillation = build(pendulum_student())
    seen, _, _ = collect(env, distillation)
    teacher = load_policy(pendulum_teachers["mlp"])
    storage = distillation.storage
    expected = torch.stack([teacher(obs) for obs in seen])
    torch.testing.assert_close(storage.column("teacher_actions"), expected)
    assert torch.equal(storage.observations()["policy"], torch.cat([obs["policy"] for obs in seen]))
    # The student explores: its deterministic actions, and noise of the standard deviation 0.1.
    with torch.no_grad():
        params, _ = distillation.policy.student_params(storage.observations(), {})
    noise = storage.column("actions").flatten(0, 1) - params["mean"]
    assert 0.0 < noise.abs().max() < 0.5


@pytest.mark.parametrize(
    ("iteration", "share"), [(0, 0.8), (1, 0.65), (2, 0.5), (3, 0.35), (4, 0.2), (5, 0.2), (100, 0.2)]
)
def test_teacher_share_goes_in_a_straight_line(iteration, share):
    config = TeacherShareConfig(initial=0.8, final=0.2, num_iterations=4)
    assert teacher_share(config, iteration) == pytest.approx(share)


def test_teacher_share_says_whose_actions_are_taken(build, pendulum_student):
    share = "algorithm.teacher_share={initial: 1.0, final: 0.0, num_iterations: 2}"
    env, distillation = build(pendulum_student(share))
    obs, shares = None, []
    for iteration in range(3):
        distillation.start_iteration(iteration, 3)
        _, _, obs = collect(env, distillation, obs)
        actions, teacher_actions = (distillation.storage.column(name) for name in ("actions", "teacher_actions"))
        shares.append((actions == teacher_actions).float().mean().item())
        distillation.update(obs)
    assert shares[0] == 1.0
    assert 0.2 < shares[1] < 0.8
    assert shares[2] == 0.0


def test_teacher_share_without_a_schedule_lets_the_student_act(build, pendulum_student):
    env, distillation = build(pendulum_student())
    collect(env, distillation)
    storage = distillation.storage
    assert not (storage.column("actions") == storage.column("teacher_actions")).any()


# What an update does


def by_hand(storage, weight, bias, lengths):
    """SGD on the squared error of a linear student, window after window."""
    obs = storage.observations()["policy"].view(T, N, 2)
    targets = storage.column("teacher_actions")
    first = 0
    for length in lengths:
        x, target = obs[first : first + length].flatten(0, 1), targets[first : first + length].flatten(0, 1)
        error = x @ weight.T + bias - target
        # The loss is the sum over steps of the mean over envs of (a - a*)^2.
        weight = weight - RATE * 2.0 / N * error.T @ x
        bias = bias - RATE * 2.0 / N * error.sum(0)
        first += length
    return weight, bias


@pytest.mark.parametrize(
    ("gradient_length", "lengths"),
    [
        (8, [8]),
        (15, [8]),  # longer than the rollout: the whole of it
        (4, [4, 4]),
        (3, [3, 3, 2]),  # rsl_rl never learns from the last 2 steps
    ],
)
def test_update_of_a_linear_student_by_hand(build, pendulum_student, gradient_length, lengths):
    config = pendulum_student(f"algorithm.gradient_length={gradient_length}", student=LINEAR)
    env, distillation = build(config)
    _, _, obs = collect(env, distillation)
    layer = distillation.policy.student.layers[0]
    expected = by_hand(distillation.storage, layer.weight.detach().clone(), layer.bias.detach().clone(), lengths)
    metrics = distillation.update(obs)
    torch.testing.assert_close(layer.weight.detach(), expected[0])
    torch.testing.assert_close(layer.bias.detach(), expected[1])
    assert set(metrics) == {"Loss/behavior", "Loss/learning_rate", "Policy/teacher_share"}
    assert metrics["Loss/learning_rate"].item() == pytest.approx(RATE)


@pytest.mark.parametrize("loss_type", ["mse", "huber", "log_likelihood"])
def test_update_loss_is_that_of_the_config(build, pendulum_student, loss_type):
    # One window and one epoch: the loss is that before the only step.
    env, distillation = build(pendulum_student(f"algorithm.loss_type={loss_type}"))
    _, _, obs = collect(env, distillation)
    storage = distillation.storage
    with torch.no_grad():
        params, _ = distillation.policy.student_params(storage.observations(), {})
    mean, targets = params["mean"], storage.column("teacher_actions").flatten(0, 1).clone()
    before = [parameter.detach().clone() for parameter in distillation.policy.distribution.parameters()]
    expected = {
        "mse": (mean - targets).square().mean(),
        "huber": torch.nn.functional.huber_loss(mean, targets),
        "log_likelihood": -torch.distributions.Normal(mean, 0.1).log_prob(targets).mean(),
    }[loss_type]
    metrics = distillation.update(obs)
    torch.testing.assert_close(metrics["Loss/behavior"], expected)
    # Errors of deterministic actions say nothing of the standard deviation.
    (old,), (new,) = before, distillation.policy.distribution.parameters()
    assert torch.equal(old, new) == (loss_type != "log_likelihood")


@pytest.mark.parametrize("network", ["mlp", "gru", "lstm"])
def test_update_in_bf16_keeps_losses_and_memory_in_full_precision(build, pendulum_student, network):
    results = []
    for precision in ("fp32", "bf16"):
        student = f"{{name: {network}, hidden_dims: [8]}}"
        env, distillation = build(pendulum_student(f"algorithm.precision={precision}", student=student))
        _, _, obs = collect(env, distillation)
        results.append(distillation.update(obs)["Loss/behavior"])
        assert {part.dtype for part in distillation._state.values()} <= {torch.float32}
        collect(env, distillation, obs)
    assert results[0].dtype == results[1].dtype == torch.float32
    assert results[0].item() == pytest.approx(results[1].item(), rel=0.02)
    assert results[0] != results[1]


def test_update_gradient_is_clipped(build, pendulum_student):
    env, distillation = build(pendulum_student("algorithm.max_grad_norm=0.01"))
    _, _, obs = collect(env, distillation)
    before = parameters_of(distillation)
    distillation.update(obs)
    # SGD's step is the learning rate times the gradient, here of the norm 0.01.
    assert (parameters_of(distillation) - before).norm().item() == pytest.approx(RATE * 0.01, rel=1e-3)


def test_update_normalizes_after_it_over_valid_rows(build, cartpole_student):
    env, distillation = build(cartpole_student(student=LSTM))
    _, steps, obs = collect(env, distillation)
    distillation.update(obs)
    assert distillation.policy.student.normalizer.count == sum(valid(step).sum() for step in steps)


@pytest.mark.parametrize("student", ["{name: mlp, hidden_dims: [8]}", LSTM], ids=["mlp", "lstm"])
@pytest.mark.parametrize("gradient_length", [1, 3])  # with 1, a window has no valid row at all
def test_update_does_not_learn_from_invalid_rows(build, cartpole_student, student, gradient_length):
    overrides = (f"algorithm.gradient_length={gradient_length}", "algorithm.num_learning_epochs=2")
    env, distillation = build(cartpole_student(*overrides, student=student))
    _, steps, obs = collect(env, distillation)
    invalid = ~torch.stack([valid(step) for step in steps])
    assert invalid.all(1).any()
    distillation.storage._obs["policy"][invalid] = torch.nan
    before = parameters_of(distillation)
    metrics = distillation.update(obs)
    assert metrics["Loss/behavior"].isfinite()
    assert parameters_of(distillation).isfinite().all()
    assert not torch.equal(before, parameters_of(distillation))


# What is carried on


class Loop:
    """Distillation of a recurrent student written as a plain loop over steps.

    `cut` steps after a window's beginning, gradients are cut, as they should be at its end.
    """

    def __init__(self, distillation, gradient_length, epochs, cut=None):
        policy = distillation.policy
        self.student, self.distribution = copy.deepcopy(policy.student), policy.distribution
        self.gradient_length, self.epochs, self.cut = gradient_length, epochs, cut or gradient_length
        self.first_state = zero_state(policy.state_specs()["student"], N, torch.device("cpu"))

    def update(self, seen, steps, teacher_actions, error):
        parameters = list(self.student.parameters())
        for _ in range(self.epochs):
            state, loss = self.first_state, 0.0
            for t, (obs, step) in enumerate(zip(seen, steps, strict=True)):
                outputs, state = self.student(obs, state, None)
                rows = valid(step)
                errors = error(self.distribution, self.distribution.params(outputs), teacher_actions[t])
                loss = loss + errors[rows].sum() / N
                state = forget(state, ended(step))
                if (t + 1) % self.cut == 0:
                    state = detach(state)
                if (t + 1) % self.gradient_length == 0 or t + 1 == T:
                    gradients = torch.autograd.grad(loss, parameters)
                    with torch.no_grad():
                        for parameter, gradient in zip(parameters, gradients, strict=True):
                            parameter -= RATE * gradient
                    state, loss = detach(state), 0.0
        self.first_state = state
        rows = torch.cat([obs["policy"][valid(step)] for obs, step in zip(seen, steps, strict=True)])
        self.student.normalizer.update(rows)


def squared(distribution, params, targets):
    return (distribution.deterministic(params) - targets).square().mean(-1)


def likelihood(distribution, params, targets):
    return -distribution.log_prob(params, targets)


@pytest.mark.parametrize("task", ["same_step", "next_step"])
def test_update_of_a_recurrent_student_equals_a_loop_over_steps(build, pendulum_student, cartpole_student, task):
    overrides = ("algorithm.gradient_length=3", "algorithm.num_learning_epochs=2")
    if task == "same_step":
        env, distillation = build(pendulum_student(*overrides, "env.kwargs={max_episode_steps: 5}", student=LSTM))
        error = squared
    else:
        env, distillation = build(cartpole_student(*overrides, "env.kwargs={max_episode_steps: 5}", student=LSTM))
        error = likelihood
    loop = Loop(distillation, 3, 2)
    obs = env.reset()
    env.randomize_episode_steps()  # so that episodes end at different steps
    for _ in range(3):
        seen, steps, obs = collect(env, distillation, obs)
        loop.update(seen, steps, distillation.storage.column("teacher_actions").clone(), error)
        distillation.update(obs)
        for ours, theirs in zip(distillation.policy.student.parameters(), loop.student.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs)
        assert set(distillation._state) == {"hidden", "cell"}
        for part, state in distillation._state.items():
            torch.testing.assert_close(state, loop.first_state[part])
    assert any(state.any() for state in distillation._state.values())


def test_update_gradients_flow_within_a_window_and_not_between_two(build, pendulum_student):
    results = []
    for gradient_length, cut in ((4, 4), (4, 1), (8, 8)):
        env, distillation = build(pendulum_student("algorithm.gradient_length=4", student=LSTM))
        loop = Loop(distillation, gradient_length, 1, cut)
        seen, steps, obs = collect(env, distillation)
        loop.update(seen, steps, distillation.storage.column("teacher_actions").clone(), squared)
        distillation.update(obs)
        pairs = zip(distillation.policy.student.parameters(), loop.student.parameters(), strict=True)
        results.append(all(torch.allclose(ours, theirs, rtol=1e-5, atol=1e-7) for ours, theirs in pairs))
    assert results == [True, False, False]


def test_act_goes_on_from_what_the_student_remembers_after_an_update(build, pendulum_student):
    env, distillation = build(pendulum_student("algorithm.gradient_length=3", student=LSTM))
    _, _, obs = collect(env, distillation)
    while_collecting = distillation._state["hidden"]
    distillation.update(obs)
    assert not torch.equal(while_collecting, distillation._state["hidden"])
    expected = distillation._state
    with distillation.rollout_context():
        _, expected = distillation.policy.student_params(obs, expected)
        distillation.act(obs)
    assert torch.equal(distillation._state["hidden"], expected["hidden"])


def test_recurrent_teacher_remembers_across_updates(build, pendulum_student, pendulum_teachers):
    # rsl_rl sets the teacher back, at every update, to what it remembered when the last rollout began.
    env, distillation = build(pendulum_student("env.kwargs={max_episode_steps: 11}", teacher="gru"))
    reference, forgetful = (load_policy(pendulum_teachers["gru"]) for _ in range(2))
    obs = env.reset()
    env.randomize_episode_steps()
    for rollout in range(3):
        forgetful.reset()
        seen, steps, obs = collect(env, distillation, obs)
        expected, wrong = [], []
        for observed, step in zip(seen, steps, strict=True):
            expected.append(reference(observed))
            wrong.append(forgetful(observed))
            reference.reset(step.dones)
            forgetful.reset(step.dones)
        actual = distillation.storage.column("teacher_actions")
        torch.testing.assert_close(actual, torch.stack(expected))
        assert torch.allclose(actual, torch.stack(wrong)) == (rollout == 0)
        distillation.update(obs)


def test_state_round_trip_goes_on_alike(build, pendulum_student):
    config = pendulum_student("algorithm.optimizer=adam", student=LSTM, teacher="gru")
    env, distillation = build(config)
    distillation.update(collect(env, distillation)[2])
    _, other = build(evolve(config, seed=5))
    other.load_state_dict(distillation.state_dict())
    distillation.load_state_dict(distillation.state_dict())
    results = []
    for algorithm in (distillation, other):
        env, _ = build(evolve(config, seed=9))
        seed_everything(3)
        results.append(algorithm.update(collect(env, algorithm)[2]))
    assert results[0] == results[1]
    assert torch.equal(parameters_of(distillation), parameters_of(other))


# Teacher, modes, extensions


def test_teacher_is_in_evaluation_mode_and_stays_as_it_is(build, pendulum_student):
    env, distillation = build(pendulum_student(teacher="gru"))
    distillation.train_mode()
    teacher = distillation.policy._teacher._algorithm
    assert not teacher.policy.training
    before = copy.deepcopy(teacher.policy.state_dict())
    obs = None
    for _ in range(2):
        _, _, obs = collect(env, distillation, obs)
        distillation.update(obs)
    assert not teacher.policy.training
    for name, tensor in teacher.policy.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_modes_reach_the_student_and_extensions(build, pendulum_student):
    _, distillation = build(with_extensions(pendulum_student(), "recorder"))
    for training, switch in ((False, distillation.eval_mode), (True, distillation.train_mode)):
        switch()
        assert distillation.policy.training == distillation.policy.student.training == training
        assert Recorder.latest.dropout.training == training


def test_extensions_every_hook_is_called_as_often_as_it_should(build, pendulum_student, tmp_path, registry):
    # 3 windows and 2 epochs: 6 optimizer steps an iteration.
    overrides = ("algorithm.gradient_length=3", "algorithm.num_learning_epochs=2")
    config = with_extensions(pendulum_student(*overrides), "recorder")
    result = train(config, log_root=tmp_path, quiet=True, registry=registry)
    steps = ["augment", "losses", "after_minibatch"] * 6
    rollout = ["before_act", "after_step"] * T
    assert (
        Recorder.latest.calls
        == [
            "start_iteration",
            *rollout,
            *["after_rollout", "samplers 6 12", *steps, "after_update", "metrics"],
        ]
        * 2
    )
    assert {"Loss/height", "Recorder/one"} < set(result.metrics)


def test_extensions_change_what_the_student_sees_and_not_what_the_teacher_does(
    build, pendulum_student, pendulum_teachers
):
    env, distillation = build(
        with_extensions(pendulum_student(student="{name: mlp, hidden_dims: [], groups: [policy, clock]}"), "recorder")
    )
    seen, _, _ = collect(env, distillation)
    storage = distillation.storage
    assert not storage.observations()["privileged"].any()
    assert all(obs["privileged"].any() for obs in seen)
    teacher = load_policy(pendulum_teachers["mlp"])
    torch.testing.assert_close(storage.column("teacher_actions"), torch.stack([teacher(obs) for obs in seen]))


def test_extensions_that_add_rows_do_not_lengthen_the_step(build, pendulum_student):
    results = []
    for names in ((), ("doubled",)):
        env, distillation = build(with_extensions(pendulum_student(), *names))
        distillation.update(collect(env, distillation)[2])
        results.append(parameters_of(distillation))
    torch.testing.assert_close(*results)


# What is refused


def error_of(build, config):
    with pytest.raises(ConfigError) as caught:
        build(config)
    return str(caught.value)


def test_extension_that_changes_rewards_is_refused(build, pendulum_student):
    assert error_of(build, with_extensions(pendulum_student(), "recorder", "shaper")) == (
        "algorithm.extensions[1].name: 'shaper' changes rewards, and distillation learns from none; leave it out"
    )


@pytest.mark.parametrize("loss_type", ["mse", "huber"])
def test_distance_of_discrete_actions_is_refused(build, cartpole_student, loss_type):
    assert error_of(build, cartpole_student(f"algorithm.loss_type={loss_type}")) == (
        f"algorithm.loss_type: '{loss_type}' is for continuous actions; the env takes 1 discrete with 2 choices; "
        "write log_likelihood"
    )


def test_policy_without_student_and_teacher_is_refused(build, small_config):
    assert error_of(build, small_config("algorithm={name: distillation}", recipe="pendulum")) == (
        "policy.name: 'actor_critic' has no student and teacher, which algorithm 'distillation' needs"
    )


def test_symmetry_is_refused(build, pendulum_student):
    extension = "algorithm.extensions=[{name: symmetry, function: 'envs:register'}]"
    assert error_of(build, pendulum_student(extension)) == (
        "algorithm.extensions[0].name: 'symmetry' needs a policy with an actor and a critic"
    )
