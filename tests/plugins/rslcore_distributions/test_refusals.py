"""What a distribution refuses: actions that are not its own, and options that cannot be."""

from __future__ import annotations

import math
import re

import pytest

from rslcore.errors import ConfigError
from rslcore.specs import ActionSpec

CONTINUOUS = ActionSpec(3, low=(-1.0,) * 3, high=(1.0,) * 3)
DISCRETE = ActionSpec(1, num_choices=(4,))
SEVERAL = ActionSpec(3, num_choices=(2, 5, 3))


@pytest.mark.parametrize(
    ("name", "actions", "message"),
    [
        (
            "gaussian",
            DISCRETE,
            "'gaussian' is for continuous actions; the env takes 1 discrete with 4 choices; use 'categorical'",
        ),
        (
            "heteroscedastic_gaussian",
            DISCRETE,
            "'heteroscedastic_gaussian' is for continuous actions; the env takes 1 discrete with 4 choices; "
            "use 'categorical'",
        ),
        (
            "beta",
            SEVERAL,
            "'beta' is for continuous actions; the env takes 3 discrete with 2, 5, 3 choices; use 'multi_categorical'",
        ),
        (
            "categorical",
            CONTINUOUS,
            "'categorical' is for one discrete action; the env takes 3 continuous; use 'gaussian'",
        ),
        (
            "categorical",
            SEVERAL,
            "'categorical' is for one discrete action; the env takes 3 discrete with 2, 5, 3 choices; "
            "use 'multi_categorical'",
        ),
        (
            "multi_categorical",
            CONTINUOUS,
            "'multi_categorical' is for discrete actions; the env takes 3 continuous; use 'gaussian'",
        ),
    ],
)
def test_distribution_for_other_actions_is_refused(build, name, actions, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(f'policy.actor.distribution.name: {message}')}$"):
        build(name, actions)


@pytest.mark.parametrize(
    ("actions", "where"),
    [
        (ActionSpec(3, low=(-math.inf, -1.0, 0.0), high=(math.inf, 1.0, math.inf)), "0, 2 (index 0 is in [-inf, inf])"),
        (ActionSpec(2, low=(-1.0, 0.5), high=(1.0, 0.5)), "1 (index 1 is in [0.5, 0.5])"),
        (ActionSpec(1, low=(-3e38,), high=(3e38,)), "0 (index 0 is in [-3e+38, 3e+38])"),
        (ActionSpec(2), "0, 1 (index 0 is in [-inf, inf])"),
    ],
)
def test_beta_for_actions_without_bounds_is_refused(build, actions, where):
    message = (
        "policy.actor.distribution.range: 'beta' needs a lower and an upper bound of each action; the env has none for "
        f"those with the index {where}; give `range`, such as [-1.0, 1.0], or use 'gaussian'"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        build("beta", actions)
    assert build("beta", actions, range=[-1.0, 1.0]).num_inputs == 2 * actions.num_actions


@pytest.mark.parametrize("name", ["gaussian", "heteroscedastic_gaussian"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"std_range": [0.0, 1.0]}, "std_range: (0.0, 1.0) is out of range, it must be > 0.0"),
        (
            {"std_range": [2.0, 0.5]},
            "std_range: [2.0, 0.5] holds no standard deviation; the first number must not be the larger",
        ),
        ({"std_range": [1.0]}, "std_range: [1.0] (list) should have 2 items"),
        (
            {"init_std": 3.0, "std_range": [0.1, 2.0]},
            "init_std: 3.0 is outside std_range, [0.1, 2.0]; choose one inside, or widen `std_range`",
        ),
        (
            {"init_std": 1e-7},
            "init_std: 1e-07 is outside std_range, [1e-06, 1000000.0]; choose one inside, or widen `std_range`",
        ),
        ({"init_std": 0.0}, "init_std: 0.0 is out of range, it must be > 0.0"),
    ],
)
def test_std_that_cannot_be_is_refused(build, name, options, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        build(name, CONTINUOUS, **options)


@pytest.mark.parametrize("bounds", [[1.0, -1.0], [1.0, 1.0]])
def test_beta_range_that_is_none_is_refused(build, bounds):
    message = f"range: {bounds} holds no actions; the first number must be the smaller"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        build("beta", CONTINUOUS, range=bounds)
