"""LSTM and GRU: whole sequences equal one step after the other."""

from __future__ import annotations

import attrs
import numpy
import pytest
import torch
from tensordict import TensorDict

from rslcore.config import NetworkComponent
from rslcore.context import Context
from rslcore.errors import ConfigError
from rslcore.protocols import RecurrentNetwork
from rslcore.recurrence import forget, split_sequences, zero_state
from rslcore.registry import default_registry
from rslcore.specs import ActionSpec, EnvSpec, TensorSpec

GROUPS = {"policy": TensorSpec((3,)), "privileged": TensorSpec((2,)), "image": TensorSpec((1, 4, 4), "uint8")}
T, N = 7, 5
NAMES = pytest.mark.parametrize("name", ["lstm", "gru"])


@pytest.fixture
def build(small_config):
    def make(name, **options):
        torch.manual_seed(0)
        options = {"hidden_dims": (6,), "rnn_hidden_dim": 4, **options}
        config = default_registry().config_class("network", name)(**options)
        spec = EnvSpec(N, GROUPS, ActionSpec(1, num_choices=(2,)))
        context = Context(default_registry(), small_config(), torch.device("cpu"), 1, T, spec=spec)
        return context.build(NetworkComponent(name, config), "policy.actor.network", num_outputs=2)

    return make


@pytest.fixture
def rollout():
    """Observations `[T * N, ...]`, ends `[T, N]` and valid rows `[T, N]`, some of each kind."""
    torch.manual_seed(1)
    obs = TensorDict({"policy": 3 + torch.randn(T * N, 3), "privileged": torch.randn(T * N, 2)}, batch_size=[T * N])
    random = numpy.random.default_rng(1)
    dones = random.random((T, N)) < 0.25
    valid = numpy.ones((T, N), dtype=bool)
    valid[1:] = ~dones[:-1] | (random.random((T - 1, N)) < 0.5)
    assert dones.any()
    assert not valid.all()
    return obs, dones, valid


def state_of(network, num_rows):
    return {name: torch.randn(num_rows, *spec.shape) for name, spec in network.state_specs().items()}


@NAMES
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("with_gradients", [False, True])  # sequences are packed, or padded
def test_forward_of_sequences_equals_step_by_step(build, rollout, name, num_layers, normalize, with_gradients):
    obs, dones, valid = rollout
    network = build(name, groups=("privileged", "policy"), rnn_num_layers=num_layers, normalize=normalize)
    network.update_normalization(obs)
    first = state_of(network, N)

    outputs, after, state = [], [], first
    for t, rows in enumerate(obs.split(N)):
        rows_out, state = network(rows, state, None)
        outputs.append(rows_out)
        after.append(state)
        state = forget(state, torch.from_numpy(dones[t] | ~valid[t]))

    rows, sequences = split_sequences(dones, valid, torch.device("cpu"))
    with torch.set_grad_enabled(with_gradients):
        found, ends = network(obs[rows], sequences.first_states(first), sequences)
    assert found.requires_grad == with_gradients
    torch.testing.assert_close(found, torch.cat(outputs)[rows])
    for sequence in range(len(sequences.envs)):
        last = rows[sequences.of_rows == sequence].max().item()
        for part, value in ends.items():
            torch.testing.assert_close(value[sequence], after[last // N][part][last % N])
    # What all envs remember after the rollout.
    for part, value in sequences.last_states(ends, N).items():
        torch.testing.assert_close(value, state[part])


@NAMES
def test_forward_without_the_states_at_the_ends_gives_the_same_outputs(build, rollout, name):
    obs, dones, _ = rollout
    network = build(name)
    rows, sequences = split_sequences(dones, None, torch.device("cpu"))
    state = sequences.first_states(state_of(network, N))
    outputs, after = network(obs[rows], state, attrs.evolve(sequences, needs_ends=False))
    assert torch.equal(outputs, network(obs[rows], state, sequences)[0])
    assert set(after) == set(state)


@NAMES
@pytest.mark.parametrize("with_gradients", [False, True])
def test_forward_of_reordered_rows_gives_outputs_in_their_order(build, rollout, name, with_gradients):
    obs, dones, _ = rollout
    network = build(name)
    rows, sequences = split_sequences(dones, None, torch.device("cpu"))
    state = sequences.first_states(state_of(network, N))
    outputs, after = network(obs[rows], state, sequences)
    # Row `order[i]` of the batch is the i-th in packed order.
    order = torch.randperm(T * N)
    places = torch.argsort(order)
    reordered = attrs.evolve(sequences, order=order)
    with torch.set_grad_enabled(with_gradients):
        outputs_there, after_there = network(obs[rows][places], state, reordered)
    torch.testing.assert_close(outputs_there, outputs[places])
    for part, value in after.items():
        torch.testing.assert_close(after_there[part], value)


@NAMES
def test_forward_is_that_of_torchs_module_by_hand(build, name):
    network = build(name, hidden_dims=())
    obs = TensorDict({"policy": torch.randn(2, 3)}, batch_size=[2])
    outputs, state = network(obs, zero_state(network.state_specs(), 2, torch.device("cpu")), None)
    cell = (torch.nn.LSTMCell if name == "lstm" else torch.nn.GRUCell)(3, 4)
    cell.load_state_dict({key.removesuffix("_l0"): value for key, value in network.rnn.state_dict().items()})
    expected = cell(obs["policy"])
    if name == "lstm":
        torch.testing.assert_close(state["cell"][:, 0], expected[1])
        expected = expected[0]
    torch.testing.assert_close(state["hidden"][:, 0], expected)
    torch.testing.assert_close(outputs, network.layers[0](expected))


@NAMES
def test_forward_takes_integer_groups(build, name):
    network = build(name)
    obs = TensorDict({"policy": torch.ones(2, 3, dtype=torch.int64)}, batch_size=[2])
    assert network(obs, zero_state(network.state_specs(), 2, torch.device("cpu")), None)[0].dtype == torch.float32


@pytest.mark.parametrize(("name", "parts"), [("lstm", ("hidden", "cell")), ("gru", ("hidden",))])
def test_state_specs_name_the_parts(build, name, parts):
    network = build(name, rnn_num_layers=2)
    assert isinstance(network, RecurrentNetwork)
    assert network.state_specs() == {part: TensorSpec((2, 4)) for part in parts}


@NAMES
def test_gradients_reach_every_parameter_and_the_first_state(build, rollout, name):
    obs, dones, _ = rollout
    network = build(name, rnn_num_layers=2)
    rows, sequences = split_sequences(dones, None, torch.device("cpu"))
    state = {part: value.requires_grad_() for part, value in state_of(network, N).items()}
    outputs, _ = network(obs[rows], sequences.first_states(state), sequences)
    outputs.square().sum().backward()
    for parameter in (*network.parameters(), *state.values()):
        assert parameter.grad.isfinite().all()
        assert parameter.grad.any()


@NAMES
def test_gradients_of_sequences_equal_those_step_by_step(build, rollout, name):
    obs, dones, _ = rollout
    network = build(name)
    first = state_of(network, N)
    state, loss = first, 0.0
    for t, rows in enumerate(obs.split(N)):
        outputs, state = network(rows, state, None)
        loss = loss + outputs.square().sum()
        state = forget(state, torch.from_numpy(dones[t]))
    slow = torch.autograd.grad(loss, list(network.parameters()))
    rows, sequences = split_sequences(dones, None, torch.device("cpu"))
    outputs, _ = network(obs[rows], sequences.first_states(first), sequences)
    fast = torch.autograd.grad(outputs.square().sum(), list(network.parameters()))
    for ours, expected in zip(fast, slow, strict=True):
        torch.testing.assert_close(ours, expected)


@NAMES
def test_normalization_stands_still_until_it_is_updated(build, rollout, name):
    obs, _, _ = rollout
    network = build(name, normalize=True)
    state = state_of(network, T * N)
    before = network(obs, state, None)[0]
    assert torch.equal(network(obs, state, None)[0], before)
    network.update_normalization(obs)
    torch.testing.assert_close(network.normalizer.mean, obs["policy"].mean(0))
    assert not torch.equal(network(obs, state, None)[0], before)


@NAMES
def test_update_normalization_without_one_changes_nothing(build, rollout, name):
    network = build(name)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    network.update_normalization(rollout[0])
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@NAMES
def test_output_scale_and_init_reach_the_layers_upon_the_memory(build, name):
    usual, small = build(name, init="orthogonal"), build(name, init="orthogonal", output_scale=0.01)
    assert small.output_layer is small.layers[-1]
    torch.testing.assert_close(small.output_layer.weight, 0.01 * usual.output_layer.weight)
    torch.testing.assert_close(usual.layers[0].weight.T @ usual.layers[0].weight, 2.0 * torch.eye(4))


@NAMES
@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (
            ("polcy",),
            "the env has no observation group 'polcy'; did you mean 'policy'? (it has 'image', 'policy', 'privileged')",
        ),
        (
            ("policy", "image"),
            "group 'image' has shape [1, 4, 4], only 1-D groups can be read here; images are read by the network 'cnn'",
        ),
        ((), "names no observation group; the env has 'image', 'policy', 'privileged'"),
        (("policy", "privileged", "policy"), "names the observation group 'policy' twice"),
    ],
)
def test_groups_that_do_not_fit_are_refused(build, name, groups, message):
    with pytest.raises(ConfigError) as caught:
        build(name, groups=groups)
    assert str(caught.value) == f"policy.actor.network.groups: {message}"
