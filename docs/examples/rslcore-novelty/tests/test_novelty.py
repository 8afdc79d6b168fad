"""What rslcore asks of every extension, and what this one does."""

import pytest
import rslcore
import torch
from rslcore.extension import Transition
from rslcore.protocols import EnvStep
from rslcore.testing import ExtensionContract


class TestNoveltyExtension(ExtensionContract):
    """Most tests are inherited; the fixtures say what is tested, and in what surroundings."""

    @pytest.fixture
    def component(self):
        return {"name": "novelty", "weight": 0.5, "width": 8}

    def test_reward_is_the_error_at_what_the_step_led_to(self, build, context):
        extension = build()
        obs, final_obs = context.env.reset(), context.env.reset()
        num_envs = context.env_spec.num_envs
        ended = torch.ones(num_envs, dtype=torch.bool)
        step = EnvStep(obs, torch.zeros(num_envs), ended, ~ended, final_obs=final_obs)
        transition = Transition(obs, torch.zeros(num_envs, 2), step, extension.extend_final_obs)
        with torch.no_grad():
            rewards = extension.shape_reward(transition, torch.ones(num_envs))
            error = extension.predictor(final_obs["policy"]) - extension.target(final_obs["policy"])
        torch.testing.assert_close(rewards, 1.0 + 0.5 * error.square().mean(-1))

    def test_group_is_the_novelty_of_the_observation(self, build, context):
        extension = build()
        seen = extension.before_act(context.env.reset())
        assert seen["novelty"].shape == (context.env_spec.num_envs, 1)
        assert seen["novelty"].min() > 0.0


def test_recipe_trains(tmp_path):
    config = rslcore.load_config("novelty", ["iterations=2", "loggers=[]"])
    result = rslcore.train(config, log_root=tmp_path, quiet=True)
    assert result.iteration == 2
