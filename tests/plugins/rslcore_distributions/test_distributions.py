"""The distributions against those of torch, and against values computed by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.distributions import AffineTransform, Beta, Categorical, Normal, TransformedDistribution

from rslcore.protocols import Distribution
from rslcore.specs import ActionSpec

CONTINUOUS = ActionSpec(3, low=(-1.0,) * 3, high=(1.0,) * 3)
UNEVEN = ActionSpec(3, low=(-1.0, 0.0, -5.0), high=(1.0, 0.5, 2.0))
DISCRETE = ActionSpec(1, num_choices=(4,))
SEVERAL = ActionSpec(3, num_choices=(2, 5, 3))

CASES = {
    "gaussian-scalar": ("gaussian", CONTINUOUS, {"init_std": 0.5, "std_type": "scalar"}),
    "gaussian-log": ("gaussian", CONTINUOUS, {"init_std": 0.5, "std_type": "log"}),
    "heteroscedastic-scalar": ("heteroscedastic_gaussian", CONTINUOUS, {"std_type": "scalar"}),
    "heteroscedastic-log": ("heteroscedastic_gaussian", CONTINUOUS, {"std_type": "log"}),
    "beta": ("beta", UNEVEN, {}),
    "beta-range": ("beta", CONTINUOUS, {"range": (-2.0, 3.0)}),
    "categorical": ("categorical", DISCRETE, {}),
    "multi_categorical": ("multi_categorical", SEVERAL, {}),
    "multi_categorical-one": ("multi_categorical", DISCRETE, {}),
}


def theirs(case, outputs, std_parameter=None):
    """Torch's distribution of each action, made from the network's outputs."""
    kind, _, std_type = case.partition("-")
    _, actions, options = CASES[case]
    first, second = outputs[:, :3].unbind(-1), outputs[:, 3:].unbind(-1)
    if kind == "gaussian":
        std = std_parameter.exp() if std_type == "log" else std_parameter
        return [Normal(mean, std) for mean, std in zip(first, std, strict=True)]
    if kind == "heteroscedastic":
        return [Normal(mean, raw.exp() if std_type == "log" else raw) for mean, raw in zip(first, second, strict=True)]
    if kind == "beta":
        bounds = [options["range"]] * 3 if "range" in options else list(zip(actions.low, actions.high, strict=True))
        return [
            TransformedDistribution(
                Beta(1 + nn.functional.softplus(alpha), 1 + nn.functional.softplus(beta)),
                [AffineTransform(low, high - low)],
            )
            for alpha, beta, (low, high) in zip(first, second, bounds, strict=True)
        ]
    return [Categorical(logits=logits) for logits in outputs.split(actions.num_choices, dim=-1)]


def entropy_of(distribution):
    """Torch's own has none for stretched distributions; stretching adds the logarithm of its factor."""
    if isinstance(distribution, TransformedDistribution):
        (stretch,) = distribution.transforms
        return distribution.base_dist.entropy() + math.log(stretch.scale)
    return distribution.entropy()


@pytest.fixture(params=CASES)
def case(request, build):
    """A distribution, leaves that its parameters come from, and torch's distributions with the same, twice."""
    torch.manual_seed(0)
    name, actions, options = CASES[request.param]
    ours = build(name, actions, **options)
    leaves = [(2.0 * torch.randn(5, ours.num_inputs)).requires_grad_() for _ in range(2)]
    if request.param == "heteroscedastic-scalar":
        with torch.no_grad():
            for outputs in leaves:
                outputs[:, 3:].abs_().add_(0.1)
    if name == "gaussian":
        with torch.no_grad():
            ours.std_parameter.add_(torch.tensor([0.1, 0.2, 0.3]))
        leaves.append(ours.std_parameter)
    params = [ours.params(outputs) for outputs in leaves[:2]]
    return ours, params, leaves, [theirs(request.param, outputs, *leaves[2:]) for outputs in leaves[:2]]


def assert_same_with_gradients(ours, theirs, leaves):
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    weights = torch.arange(1.0, 6.0)  # rows must not be mixed up

    def gradients(result):
        if not result.requires_grad:
            return [None] * len(leaves)
        return torch.autograd.grad((weights * result).sum(), leaves, allow_unused=True, retain_graph=True)

    for gradient, expected in zip(gradients(ours), gradients(theirs), strict=True):
        assert (gradient is None) == (expected is None)
        if expected is not None:
            torch.testing.assert_close(gradient, expected, atol=1e-4, rtol=1e-4)


def test_log_prob_equals_torchs(case):
    ours, (params, _), leaves, (expected, _) = case
    actions = ours.sample(params)
    log_probs = [distribution.log_prob(column) for distribution, column in zip(expected, actions.T, strict=True)]
    assert_same_with_gradients(ours.log_prob(params, actions), sum(log_probs), leaves)


def test_entropy_equals_torchs(case):
    ours, (params, _), leaves, (expected, _) = case
    assert_same_with_gradients(ours.entropy(params), sum(map(entropy_of, expected)), leaves)


def test_kl_divergence_equals_torchs(case):
    ours, (old, new), leaves, (their_old, their_new) = case
    divergences = [torch.distributions.kl_divergence(*pair) for pair in zip(their_old, their_new, strict=True)]
    assert_same_with_gradients(ours.kl_divergence(old, new), sum(divergences), leaves)
    assert ours.kl_divergence(old, old).abs().max() < 1e-5


@pytest.mark.parametrize("name", ["gaussian", "heteroscedastic_gaussian"])
def test_kl_divergence_of_close_policies_is_not_lost_in_rounding(build, name):
    torch.manual_seed(0)
    ours, mean = build(name, CONTINUOUS), torch.randn(2000, 3)
    old = {"mean": mean, "std": torch.full_like(mean, 0.8)}
    new = {"mean": mean + 1e-3 * torch.randn(2000, 3), "std": old["std"] * torch.tensor([1.001, 0.999, 1.0005])}
    exact = ours.kl_divergence(*({key: part.double() for key, part in params.items()} for params in (old, new)))
    assert ours.kl_divergence(old, new).mean().item() == pytest.approx(exact.mean().item(), rel=1e-3)
    assert ours.kl_divergence(old, old).abs().max().item() == 0.0


def test_beta_kl_divergence_of_a_policy_from_itself_is_zero_in_any_batch(build):
    torch.manual_seed(0)
    ours, outputs = build("beta", UNEVEN), torch.randn(7 * 13, 6)
    in_parts = [ours.params(part) for part in outputs.split(7)]
    old = {name: torch.cat([params[name] for params in in_parts]) for name in in_parts[0]}
    assert ours.kl_divergence(old, ours.params(outputs)).abs().max().item() == 0.0


def test_sample_has_the_moments_of_torchs(case):
    ours, (params, _), _, (expected, _) = case
    rows = {name: param[:1].detach().expand(100_000, *param.shape[1:]) for name, param in params.items()}
    for column, distribution in zip(ours.sample(rows).T, expected, strict=True):
        if isinstance(distribution, Categorical):
            shares = torch.bincount(column, minlength=distribution.probs.shape[1]) / 100_000
            torch.testing.assert_close(shares, distribution.probs[0].detach(), atol=0.01, rtol=0)
            continue
        base, scale, low = distribution, 1.0, 0.0
        if isinstance(distribution, TransformedDistribution):
            base, scale, low = distribution.base_dist, distribution.transforms[0].scale, distribution.transforms[0].loc
        mean, std = low + scale * base.mean[0].item(), scale * base.stddev[0].item()
        assert column.mean().item() == pytest.approx(mean, abs=0.02 * std)
        assert column.std().item() == pytest.approx(std, rel=0.02)


def test_distribution_is_as_declared(case):
    ours, (params, _), _, _ = case
    assert isinstance(ours, Distribution)
    spec = ours.action_spec()
    for actions in (ours.sample(params), ours.deterministic(params)):
        assert actions.shape == (5, *spec.shape)
        assert actions.dtype == getattr(torch, spec.dtype)
        assert torch.isfinite(actions).all()
    assert {name: (param.shape[1:], param.dtype) for name, param in params.items()} == {
        name: (spec.shape, getattr(torch, spec.dtype)) for name, spec in ours.param_specs().items()
    }
    assert all(value.shape == () for value in ours.metrics(params).values())


def test_methods_read_nothing_on_the_host(case, count_reads):
    ours, (old, new), (outputs, *_), _ = case

    def all_methods():
        params = ours.params(outputs)
        actions = ours.sample(params)
        ours.deterministic(params)
        loss = ours.log_prob(params, actions).sum() + ours.entropy(params).sum() + ours.kl_divergence(old, new).sum()
        loss.backward(retain_graph=True)
        ours.metrics(params)

    all_methods()
    assert count_reads(all_methods) == 0


# Gaussians


def test_gaussian_by_hand(build):
    ours = build("gaussian", ActionSpec(1, low=(-1.0,), high=(1.0,)), init_std=2.0)
    params = ours.params(torch.tensor([[1.0]]))
    # The action is half a standard deviation off the mean.
    assert ours.log_prob(params, torch.tensor([[2.0]])).item() == pytest.approx(-1 / 8 - math.log(2) - 0.918939)
    assert ours.entropy(params).item() == pytest.approx(math.log(2) + 1.418939)
    other = {"mean": torch.tensor([[2.0]]), "std": torch.tensor([[1.0]])}
    assert ours.kl_divergence(params, other).item() == pytest.approx(-math.log(2) + (4 + 1) / 2 - 0.5)
    assert ours.deterministic(params).item() == 1.0
    assert ours.metrics(params)["mean_std"].item() == 2.0
    stds = torch.tensor([[1.0, 0.5, 3.0], [2.0, 0.7, 0.1]])  # of the actions 1.5, 0.6 and 1.55
    metrics = ours.metrics({"mean": torch.zeros(2, 3), "std": stds})
    assert metrics["min_std"].item() == pytest.approx(0.6)


def test_heteroscedastic_gaussian_takes_means_then_stds(build):
    outputs = torch.tensor([[0.0, 3.0, -1.0, 1.0, 2.0, 0.5]])
    params = build("heteroscedastic_gaussian", CONTINUOUS).params(outputs)
    assert {name: param.tolist() for name, param in params.items()} == {"mean": [[0, 3, -1]], "std": [[1, 2, 0.5]]}
    logs = build("heteroscedastic_gaussian", CONTINUOUS, std_type="log").params(outputs)
    torch.testing.assert_close(logs["std"], outputs[:, 3:].exp())


@pytest.mark.parametrize("std_type", ["scalar", "log"])
def test_heteroscedastic_gaussian_initialize_outputs_gives_init_std_everywhere(build, std_type):
    torch.manual_seed(0)
    ours = build("heteroscedastic_gaussian", CONTINUOUS, init_std=0.3, std_type=std_type)
    layer = nn.Linear(4, 6)
    rows = torch.randn(5, 4)
    means = layer(rows)[:, :3]
    ours.initialize_outputs(layer)
    params = ours.params(layer(rows))
    torch.testing.assert_close(params["std"], torch.full((5, 3), 0.3))
    torch.testing.assert_close(params["mean"], means)
    assert layer.weight.requires_grad


@pytest.mark.parametrize("name", ["gaussian", "categorical", "multi_categorical"])
def test_initialize_outputs_leaves_the_layer_alone(build, name):
    ours = build(name, CONTINUOUS if name == "gaussian" else DISCRETE)
    layer = nn.Linear(4, ours.num_inputs)
    before = {key: tensor.clone() for key, tensor in layer.state_dict().items()}
    ours.initialize_outputs(layer)
    assert all(torch.equal(tensor, before[key]) for key, tensor in layer.state_dict().items())


@pytest.mark.parametrize("name", ["gaussian", "heteroscedastic_gaussian"])
@pytest.mark.parametrize("std_type", ["scalar", "log"])
def test_std_beyond_its_range_is_the_bound_and_has_a_gradient(build, name, std_type):
    ours = build(name, CONTINUOUS, std_type=std_type, init_std=0.5, std_range=[1e-3, 2.0])
    raw = torch.tensor([-100.0, 0.5, 100.0])
    if name == "gaussian":
        with torch.no_grad():
            ours.std_parameter.copy_(raw)
        leaf, params = ours.std_parameter, ours.params(torch.zeros(1, 3))
    else:
        leaf = torch.cat((torch.zeros(3), raw)).unsqueeze(0).requires_grad_()
        params = ours.params(leaf)
    inside = 0.5 if std_type == "scalar" else math.exp(0.5)
    torch.testing.assert_close(params["std"], torch.tensor([[1e-3, inside, 2.0]]))
    (gradient,) = torch.autograd.grad(params["std"].sum(), leaf)
    # The derivative of the standard deviation, at the bound where that is its value.
    expected = torch.ones(3) if std_type == "scalar" else torch.tensor([1e-3, inside, 2.0])
    torch.testing.assert_close(gradient.flatten()[-3:], expected)


@pytest.mark.parametrize("std_type", ["scalar", "log"])
def test_gaussian_std_that_is_not_learned_is_constant_and_saved(build, std_type):
    ours = build("gaussian", CONTINUOUS, init_std=0.3, std_type=std_type, learn_std=False)
    params = ours.params(torch.zeros(2, 3, requires_grad=True))
    torch.testing.assert_close(params["std"], torch.full((2, 3), 0.3))
    assert not params["std"].requires_grad
    assert [parameter for parameter in ours.parameters() if parameter.requires_grad] == []
    other = build("gaussian", CONTINUOUS, init_std=0.7, std_type=std_type, learn_std=False)
    other.load_state_dict(ours.state_dict())
    torch.testing.assert_close(other.params(torch.zeros(2, 3))["std"], torch.full((2, 3), 0.3))


def test_gaussian_std_range_of_one_number_is_a_constant(build):
    ours = build("gaussian", CONTINUOUS, init_std=0.5, std_range=[0.5, 0.5])
    assert ours.params(torch.zeros(1, 3))["std"].tolist() == [[0.5, 0.5, 0.5]]


# Beta


def test_beta_by_hand(build):
    ours = build("beta", ActionSpec(1, low=(0.0,), high=(2.0,)))
    params = ours.params(torch.full((1, 2), math.log(math.e - 1)))  # softplus is 1: alpha = beta = 2
    torch.testing.assert_close(params["alpha"], torch.full((1, 1), 2.0))
    torch.testing.assert_close(params["beta"], torch.full((1, 1), 2.0))
    # The density of x is 6 x (1 - x), that of the action half as much.
    assert ours.log_prob(params, torch.tensor([[1.0]])).item() == pytest.approx(math.log(0.75), abs=1e-6)
    assert ours.log_prob(params, torch.tensor([[0.5]])).item() == pytest.approx(math.log(0.5625), abs=1e-6)
    assert ours.deterministic(params).item() == pytest.approx(1.0)
    assert ours.metrics(params)["mean_std"].item() == pytest.approx(2 * math.sqrt(1 / 20))
    narrow = {"alpha": torch.tensor([[2.0, 2000.0]]), "beta": torch.tensor([[2.0, 2000.0]])}
    assert ours.metrics(narrow)["min_std"].item() == pytest.approx(2 * math.sqrt(1 / 4001) / 2, rel=1e-4)


def test_beta_with_alpha_and_beta_1_is_uniform(build):
    ours = build("beta", UNEVEN)
    params = ours.params(torch.full((1, 6), -100.0))
    volume = 2.0 * 0.5 * 7.0
    for actions in ([[-1.0, 0.0, -5.0]], [[0.0, 0.1, 0.0]], [[1.0, 0.5, 2.0]]):
        assert ours.log_prob(params, torch.tensor(actions)).item() == pytest.approx(-math.log(volume))
    assert ours.entropy(params).item() == pytest.approx(math.log(volume))


def test_beta_sample_and_mean_are_within_the_bounds_of_each_action(build):
    torch.manual_seed(0)
    ours = build("beta", UNEVEN)
    params = ours.params(3.0 * torch.randn(1000, 6))
    for actions in (ours.sample(params), ours.deterministic(params)):
        low, high = torch.tensor(UNEVEN.low), torch.tensor(UNEVEN.high)
        assert (actions >= low - 1e-6).all()
        assert (actions <= high + 1e-6).all()


def test_beta_range_goes_before_the_bounds_of_the_env(build):
    ours = build("beta", UNEVEN, range=[2.0, 4.0])
    assert ours.deterministic(ours.params(torch.zeros(1, 6))).tolist() == [[3.0, 3.0, 3.0]]


def test_beta_log_prob_at_and_beyond_the_edges_is_finite(build):
    ours = build("beta", CONTINUOUS)
    outputs = torch.full((3, 6), 5.0, requires_grad=True)
    log_prob = ours.log_prob(ours.params(outputs), torch.tensor([[-1.0] * 3, [1.0] * 3, [7.0] * 3]))
    assert log_prob.isfinite().all()
    assert torch.equal(log_prob[1], log_prob[2])
    log_prob.sum().backward()
    assert outputs.grad.isfinite().all()


def test_beta_initialize_outputs_gives_the_same_beta_everywhere(build):
    torch.manual_seed(0)
    ours = build("beta", CONTINUOUS)
    layer = nn.Linear(4, 6)
    rows = torch.randn(5, 4)
    alpha = ours.params(layer(rows))["alpha"]
    ours.initialize_outputs(layer)
    params = ours.params(layer(rows))
    torch.testing.assert_close(params["beta"], torch.full((5, 3), 1.0 + math.log(2.0)))
    torch.testing.assert_close(params["alpha"], alpha)


# Choices


def test_multi_categorical_by_hand(build):
    ours = build("multi_categorical", ActionSpec(2, num_choices=(2, 4)))
    uniform = ours.params(torch.zeros(1, 6))
    actions = torch.tensor([[1, 3]])
    assert ours.log_prob(uniform, actions).item() == pytest.approx(-math.log(8))
    assert ours.entropy(uniform).item() == pytest.approx(math.log(8))
    probabilities = torch.tensor([[0.25, 0.75, 0.125, 0.125, 0.25, 0.5]])
    uneven = ours.params(probabilities.log() + torch.tensor([1.0, 1.0, 2.0, 2.0, 2.0, 2.0]))
    torch.testing.assert_close(uneven["log_probs"].exp(), probabilities)
    assert ours.deterministic(uneven).tolist() == [[1, 3]]
    assert ours.log_prob(uneven, actions).item() == pytest.approx(math.log(0.75 * 0.5))
    entropy = 0.25 * math.log(4) + 0.75 * math.log(4 / 3) + 0.25 * math.log(8) + 0.25 * math.log(4) + 0.5 * math.log(2)
    assert ours.entropy(uneven).item() == pytest.approx(entropy)


def test_multi_categorical_of_choices_that_are_certain_is_finite(build):
    ours = build("multi_categorical", SEVERAL)
    outputs = torch.zeros(2, 10)
    outputs[:, [0, 4, 9]] = 500.0
    outputs.requires_grad_()
    params = ours.params(outputs)
    actions = ours.sample(params)
    assert actions.tolist() == [[0, 2, 2]] * 2
    assert ours.entropy(params).tolist() == pytest.approx([0.0, 0.0])
    (ours.log_prob(params, actions) + ours.entropy(params) + ours.kl_divergence(params, params)).sum().backward()
    assert outputs.grad.isfinite().all()


def test_multi_categorical_of_one_action_equals_categorical(build):
    torch.manual_seed(0)
    one, several = (build(name, DISCRETE) for name in ("categorical", "multi_categorical"))
    outputs = torch.randn(5, 4)
    assert torch.equal(one.params(outputs)["log_probs"], several.params(outputs)["log_probs"])
    torch.manual_seed(1)
    drawn = one.sample(one.params(outputs))
    torch.manual_seed(1)
    assert torch.equal(several.sample(several.params(outputs)), drawn)


@pytest.mark.parametrize("name", ["beta", "multi_categorical", "categorical", "heteroscedastic_gaussian"])
def test_state_dict_of_what_the_network_gives_is_empty(build, name):
    ours = build(name, DISCRETE if "categorical" in name else CONTINUOUS)
    assert ours.state_dict() == {}
