"""The function that mirrors is found and tried out before anything runs."""

from __future__ import annotations

import pytest

from rslcore.errors import ConfigError
from rslcore.training import train


@pytest.fixture
def error_of(small_config, tmp_path):
    def find(function, *options, recipe="pendulum"):
        extension = f"algorithm.extensions=[{{name: symmetry, function: '{function}'{''.join(options)}}}]"
        overrides = ("algorithm.num_mini_batches=2", extension)
        with pytest.raises(ConfigError) as caught:
            train(small_config(*overrides, recipe=recipe), log_root=tmp_path / "logs", quiet=True)
        assert not (tmp_path / "logs").exists()
        return str(caught.value)

    return find


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        ("mirrors", "'mirrors' is not of the form 'module:attribute'"),
        (
            "not_there:mirror",
            "'not_there:mirror': there is no module 'not_there'; "
            "install the package that has it, or put its folder on PYTHONPATH",
        ),
        (
            "not_there.inner:mirror",
            "'not_there.inner:mirror': there is no module 'not_there'; "
            "install the package that has it, or put its folder on PYTHONPATH",
        ),
        ("mirrors:pendulun", "'mirrors:pendulun': module 'mirrors' has no 'pendulun'; did you mean 'pendulum'?"),
        ("mirrors:NOT_A_FUNCTION", "'mirrors:NOT_A_FUNCTION' is no function but int"),
    ],
)
def test_function_that_is_not_there_is_refused(error_of, function, problem):
    assert error_of(function) == f"algorithm.extensions[0].function: {problem}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("import not_there\ndef mirror(): ...\n", "does not import: No module named 'not_there'"),
        ("1 / 0\ndef mirror(): ...\n", "does not import: ZeroDivisionError: division by zero"),
    ],
)
def test_function_whose_module_does_not_import_is_refused(error_of, tmp_path, monkeypatch, text, problem):
    name = f"mirror_{abs(hash(text))}"
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    assert error_of(f"{name}:mirror") == f"algorithm.extensions[0].function: '{name}:mirror' {problem}"


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        ("fails", "fails: KeyError: 'joint'"),
        ("fails_without_actions", "fails: AttributeError: 'NoneType' object has no attribute 'neg'"),
        ("no_pair", "should return a pair of observations and actions"),
        ("no_tensors", "should return a TensorDict and a Tensor, it returns dict and Tensor"),
        ("once", "should return them two times or more, it returns 3 rows of actions"),
        ("uneven", "should return them two times or more, it returns 5 rows of actions"),
        ("leaves_out", "leaves out the observation groups 'policy'"),
        ("flat", "should return a TensorDict of batch size [6], it is []"),
        ("short_obs", "should return a TensorDict of batch size [6], it is [3]"),
        ("narrow_actions", "should return actions as [6, 1] torch.float32, it is [6, 2] torch.float32"),
        ("other_type", "should return actions as [6, 1] torch.float32, it is [6, 1] torch.float64"),
        ("mirrored_first", "should return the original rows of observation group 'policy' first, unchanged"),
        ("only_together", "should return the same actions when the other argument is None"),
        ("no_obs_alone", "should return the same observations when the other argument is None"),
    ],
)
def test_function_that_does_not_mirror_is_refused(error_of, function, problem):
    start = "algorithm.extensions[0].function: with observations and actions of 3 rows, it "
    assert error_of(f"mirrors:{function}") == start + problem


def test_mirror_loss_of_discrete_actions_is_refused(error_of):
    assert error_of("mirrors:cartpole", ", use_mirror_loss: true", recipe="cartpole") == (
        "algorithm.extensions[0].use_mirror_loss: is for continuous actions; discrete ones have no distance"
    )
