"""PPO run in several ways learns the same, but for rounding."""

from __future__ import annotations

import contextlib

import attrs
import pytest
import torch
from torch.utils._pytree import tree_map_only

from rslcore.context import Context
from rslcore.errors import ConfigError
from rslcore.execution import Executor
from rslcore.registry import default_registry
from rslcore.seeding import seed_everything
from rslcore.training import build_algorithm, num_steps_per_env

NETWORK = "{name: mlp, hidden_dims: [64, 64], normalize: true}"
SIZE = (
    "env.num_envs=64",
    "runner.num_steps_per_env=16",
    "algorithm.num_learning_epochs=2",
    "algorithm.num_mini_batches=2",
    f"policy.actor.network={NETWORK}",
    f"policy.critic.network={NETWORK}",
)
EXTENSIONS = "[{name: rnd}, {name: symmetry, function: 'mirrors:pendulum', use_mirror_loss: true}]"


@pytest.fixture
def learn(small_config):
    """Two iterations of PPO on the pendulum; the metrics of the second, the parameters, and those of the first act."""

    def run(*overrides):
        config = small_config(*SIZE, *overrides, recipe="pendulum")
        seed_everything(config.seed)
        context = Context(default_registry(), config, torch.device("cpu"), config.seed, num_steps_per_env(config))
        with contextlib.closing(context.build(config.env, "env")) as env:
            ppo = build_algorithm(attrs.evolve(context, env=env, spec=env.spec))
            obs = env.reset()
            for _ in range(2):
                with ppo.rollout_context():
                    for _ in range(16):
                        step = env.step(ppo.act(obs))
                        ppo.process_env_step(step)
                        obs = step.obs
                metrics = ppo.update(obs)
        return metrics, {name: parameter.detach() for name, parameter in ppo.policy.named_parameters()}

    return run


@pytest.fixture
def overwriting_executor(monkeypatch):
    """As CUDA graphs do, each call writes over what the one before has returned; the number of tensors so far."""
    overwritten = []

    def overwriting(self, function):
        returned = []

        def run(*arguments):
            for tensor in returned:
                tensor.data.fill_(float("nan"))
            overwritten.extend(returned)
            returned.clear()

            def copied(value):
                # A copy, since what is returned may be part of a parameter.
                returned.append(value.clone())
                return returned[-1]

            return tree_map_only(torch.Tensor, copied, function(*arguments))

        return run

    monkeypatch.setattr(Executor, "_compiled", overwriting)
    return overwritten


def test_compiled_numbers_are_those_of_eager(learn):
    metrics, parameters = learn("algorithm.execution=compile")
    expected_metrics, expected = learn("algorithm.execution=eager")
    assert metrics.keys() == expected_metrics.keys()
    torch.testing.assert_close(metrics, expected_metrics, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(parameters, expected, rtol=1e-3, atol=1e-4)


# 32 divides the 512 rows of a minibatch, and 100 does not.
@pytest.mark.parametrize("size", [32, 100])
@pytest.mark.parametrize("extensions", ["[]", EXTENSIONS])
def test_micro_batches_learn_what_whole_minibatches_do(learn, size, extensions):
    overrides = (f"algorithm.extensions={extensions}", "algorithm.execution=eager")
    metrics, parameters = learn(*overrides, f"algorithm.micro_batch_size={size}")
    expected_metrics, expected = learn(*overrides, "algorithm.micro_batch_size=512")
    torch.testing.assert_close(metrics, expected_metrics, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(parameters, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("extensions", ["[]", EXTENSIONS])
def test_what_was_returned_before_is_not_read_again(learn, overwriting_executor, extensions):
    overrides = (f"algorithm.extensions={extensions}", "algorithm.micro_batch_size=512")
    metrics, parameters = learn(*overrides, "algorithm.execution=compile")
    expected_metrics, expected = learn(*overrides, "algorithm.execution=eager")
    assert overwriting_executor
    torch.testing.assert_close(metrics, expected_metrics, rtol=0.0, atol=0.0)
    torch.testing.assert_close(parameters, expected, rtol=0.0, atol=0.0)


def test_extensions_see_what_is_compiled(learn):
    overrides = (f"algorithm.extensions={EXTENSIONS}", "algorithm.micro_batch_size=512")
    metrics, parameters = learn(*overrides, "algorithm.execution=compile")
    expected_metrics, expected = learn(*overrides, "algorithm.execution=eager")
    torch.testing.assert_close(metrics, expected_metrics, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(parameters, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("option", "advice"), [("precision=tf32", "use 'bf16' or 'fp32'"), ("execution=cuda_graph", "use 'auto'")]
)
def test_what_needs_a_gpu_is_refused_on_a_cpu(learn, option, advice):
    name, _, value = option.partition("=")
    message = f"^algorithm.{name}: '{value}' needs a GPU, and this run is on 'cpu'; {advice}$"
    with pytest.raises(ConfigError, match=message):
        learn(f"algorithm.{option}")
