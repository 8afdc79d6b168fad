"""Envs with managers."""

from __future__ import annotations

import dataclasses

import stand_ins


@dataclasses.dataclass
class SceneCfg:
    num_envs: int = 12


@dataclasses.dataclass
class MujocoCfg:
    timestep: float = 0.01


@dataclasses.dataclass
class SimulationCfg:
    njmax: int | None = None
    mujoco: MujocoCfg = dataclasses.field(default_factory=MujocoCfg)


@dataclasses.dataclass
class RewardTermCfg:
    weight: float
    params: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class ManagerBasedRlEnvCfg:
    decimation: int = 2
    episode_length_s: float = 0.8
    is_finite_horizon: bool = False
    seed: int | None = None
    scene: SceneCfg = dataclasses.field(default_factory=SceneCfg)
    sim: SimulationCfg = dataclasses.field(default_factory=SimulationCfg)
    rewards: dict = dataclasses.field(default_factory=lambda: {"near": RewardTermCfg(1.0, {"std": 0.5})})
    observations: dict = dataclasses.field(default_factory=lambda: {"actor": {}, "critic": {}})
    joint_names: tuple = ("push_x", "push_y")


class ManagerBasedRlEnv(stand_ins.ManagerBasedEnv):
    """A point mass."""

    def __init__(self, cfg, device, render_mode=None):
        assert isinstance(device, str)
        length = round(cfg.episode_length_s / cfg.sim.mujoco.timestep / cfg.decimation)
        groups, prefix = ("actor", "critic"), "Episode_Reward"
        super().__init__(cfg.scene.num_envs, device, cfg.seed, groups, length, "terminal", False, False, prefix)
        self.cfg = cfg
