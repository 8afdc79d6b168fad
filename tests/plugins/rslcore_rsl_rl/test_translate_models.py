"""rsl_rl's models and their distributions as rslcore's networks and distributions."""

from __future__ import annotations

import pytest
from train_cfgs import CNN, GAUSSIAN, GROUPS, PPO, RND, changed, problems_of, translated

from rslcore_rsl_rl.translation import translate


def test_models_that_are_not_recurrent_may_say_how_large_they_would_be():
    sizes = {"rnn_type": None, "rnn_hidden_dim": 256, "rnn_num_layers": 1}
    assert translated(changed(PPO, actor=sizes, critic=sizes)) == translated(PPO)


def test_mlp():
    model = {"hidden_dims": (64, 32), "activation": "Swish", "obs_normalization": True}
    found = translated(changed(PPO, actor=model))["policy"]["actor"]["network"]
    assert found == {
        "name": "mlp",
        "groups": ["policy"],
        "hidden_dims": [64, 32],
        "activation": "silu",
        "normalize": True,
    }


@pytest.mark.parametrize(("theirs", "ours"), [("crelu", "celu"), ("lrelu", "leaky_relu"), ("swish", "silu")])
def test_activations_have_their_usual_names(theirs, ours):
    assert translated(changed(PPO, critic={"activation": theirs}))["policy"]["critic"]["network"]["activation"] == ours


@pytest.mark.parametrize("kind", ["lstm", "gru", "GRU", None])
def test_recurrent_models(kind):
    model = {"class_name": "RNNModel", "rnn_type": kind, "rnn_hidden_dim": 64, "rnn_num_layers": 2}
    found = translated(changed(PPO, critic=model))
    network = found["policy"]["critic"]["network"]
    assert network["name"] == (kind or "lstm").lower()
    assert (network["rnn_hidden_dim"], network["rnn_num_layers"]) == (64, 2)
    assert found["algorithm"]["shuffle"] == "none"


def test_one_cnn_for_all_images():
    encoder = CNN | {
        "stride": (2, 1),
        "padding": "zeros",
        "norm": "batch",
        "activation": "lrelu",
        "max_pool": True,
        "global_pool": "avg",
        "flatten": True,
    }
    found = translated(changed(PPO, actor={"class_name": "CNNModel", "cnn_cfg": encoder}))
    assert found["policy"]["actor"]["network"] == {
        "name": "cnn",
        "groups": ["policy"],
        "encoder": {
            "channels": [4, 6],
            "kernel_sizes": [3],
            "strides": [2, 1],
            "padding": "zeros",
            "norm": ["batch"],
            "activation": "leaky_relu",
            "max_pool": [True],
            "global_pool": "avg",
        },
    }


def test_a_cnn_for_each_group():
    groups = {"camera": CNN, "depth": {"output_channels": (2,), "kernel_size": (5, 3, 3), "dilation": 2}}
    found = translated(changed(PPO, actor={"class_name": "CNNModel", "cnn_cfg": groups}))
    assert found["policy"]["actor"]["network"]["encoders"] == {
        "camera": {"channels": [4, 6], "kernel_sizes": [3]},
        # Of more items than there are layers rsl_rl reads the first ones.
        "depth": {"channels": [2], "kernel_sizes": [5], "dilations": [2]},
    }


def test_shared_encoders_are_the_actors():
    other = {"output_channels": [9], "kernel_size": 1}
    for critic in ({"class_name": "CNNModel", "cnn_cfg": other}, {"class_name": "CNNModel", "cnn_cfg": None}):
        config = changed(PPO, actor={"class_name": "CNNModel", "cnn_cfg": CNN}, critic=critic)
        config["algorithm"]["share_cnn_encoders"] = True
        found = translated(config)["policy"]
        assert found["share_encoders"] is True
        assert found["critic"]["network"]["encoder"] == {"channels": [4, 6], "kernel_sizes": [3]}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (
            {"init_std": 0.5, "std_type": "log", "std_range": (0.1, 2.0), "learn_std": False},
            {"name": "gaussian", "init_std": 0.5, "std_type": "log", "std_range": [0.1, 2.0], "learn_std": False},
        ),
        (
            {"class_name": "HeteroscedasticGaussianDistribution", "init_std": 0.5},
            {"name": "heteroscedastic_gaussian", "init_std": 0.5},
        ),
        ({"class_name": "BetaDistribution"}, {"name": "beta", "range": [-1.0, 1.0]}),
        ({"class_name": "BetaDistribution", "action_range": (0, 2)}, {"name": "beta", "range": [0, 2]}),
        ({"class_name": "rsl_rl.modules.distribution:BetaDistribution"}, {"name": "beta", "range": [-1.0, 1.0]}),
    ],
)
def test_distributions(theirs, ours):
    config = changed(PPO, actor={"distribution_cfg": GAUSSIAN | theirs})
    assert translated(config)["policy"]["actor"]["distribution"] == ours


@pytest.mark.parametrize(("widths", "expected"), [([-1, 8], [9, 8]), ((-1,), [9])])
def test_width_of_the_inputs_is_filled_in(widths, expected):
    config = changed(PPO, critic={"hidden_dims": widths}, algorithm={"rnd_cfg": RND | {"target_hidden_dims": widths}})
    config["obs_groups"]["rnd_state"] = ["policy", "privileged"]
    found = translate(config, GROUPS, step_dt=1.0).config
    assert found["policy"]["critic"]["network"]["hidden_dims"] == expected
    assert found["algorithm"]["extensions"][0]["target_hidden_dims"] == expected
    recurrent = changed(PPO, actor={"class_name": "RNNModel", "rnn_hidden_dim": 7, "hidden_dims": [-1]})
    assert translate(recurrent).config["policy"]["actor"]["network"]["hidden_dims"] == [7]
    message = "-1 stands for the number of the network's inputs, which is not known here; write the number itself"
    assert problems_of(config) == {
        "critic.hidden_dims": message,
        "algorithm.rnd_cfg.target_hidden_dims": message,
    }
