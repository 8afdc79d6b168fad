"""Registers tasks."""

from __future__ import annotations

from mjlab.envs import ManagerBasedRlEnvCfg
from mjlab.rl import GAUSSIAN, RslRlModelCfg, RslRlOnPolicyRunnerCfg
from mjlab.tasks.registry import register_mjlab_task

PLAYED = {"play_env_cfg": ManagerBasedRlEnvCfg(episode_length_s=8.0)}
SOFTMAX = "mjlab.rl.spatial_softmax:SpatialSoftmaxCNNModel"

register_mjlab_task(
    "Mjlab-Point-Mass", env_cfg=ManagerBasedRlEnvCfg(), rl_cfg=RslRlOnPolicyRunnerCfg(clip_actions=5.0), **PLAYED
)
register_mjlab_task(
    "Mjlab-Point-Mass-Rgb",
    env_cfg=ManagerBasedRlEnvCfg(),
    rl_cfg=RslRlOnPolicyRunnerCfg(
        actor=RslRlModelCfg(class_name=SOFTMAX, cnn_cfg={"spatial_softmax": True}, distribution_cfg=GAUSSIAN)
    ),
    **PLAYED,
)
