"""Envs with managers; as all modules of Isaac Lab but `app`, it cannot be imported before Isaac Sim runs."""

from __future__ import annotations

import dataclasses

import gymnasium
import stand_ins

from isaaclab.app import LAUNCHED

assert LAUNCHED, "No module named 'omni.physics'"


@dataclasses.dataclass
class SceneCfg:
    num_envs: int = 12


@dataclasses.dataclass
class SimCfg:
    device: str = "cuda:0"
    dt: float = 0.02


@dataclasses.dataclass
class ObservationsCfg:
    policy: object = dataclasses.field(default_factory=object)
    critic: object | None = dataclasses.field(default_factory=object)


@dataclasses.dataclass
class ManagerBasedRLEnvCfg:
    observations: ObservationsCfg = dataclasses.field(default_factory=ObservationsCfg)
    decimation: int = 2
    scene: SceneCfg = dataclasses.field(default_factory=SceneCfg)
    sim: SimCfg = dataclasses.field(default_factory=SimCfg)
    seed: int | None = None
    episode_length_s: float = 0.8
    is_finite_horizon: bool = False
    compute_final_obs: bool = False


class ManagerBasedRLEnv(stand_ins.ManagerBasedEnv, gymnasium.Env):
    """A point mass."""

    def __init__(self, cfg, render_mode=None, **kwargs):
        length = round(cfg.episode_length_s / cfg.sim.dt)
        groups, prefix = tuple(name for name, group in vars(cfg.observations).items() if group), "Episode_Reward"
        super().__init__(
            cfg.scene.num_envs,
            cfg.sim.device,
            cfg.seed,
            groups,
            length,
            "final_obs",
            cfg.compute_final_obs,
            False,
            prefix,
        )
        self.cfg = cfg
