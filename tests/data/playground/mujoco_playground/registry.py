"""The tasks, by name."""

from __future__ import annotations

from types import SimpleNamespace

ALL_ENVS = ("PointMass", "PointMassBlind", "PointMassByHand")


class Settings:
    """As a ConfigDict of ml_collections."""

    def __init__(self):
        self.episode_length = 40
        self.noise = SimpleNamespace(level=1.0)

    def lock(self):
        self.is_locked = True

    def update_from_flattened_dict(self, changes):
        assert self.is_locked, "unknown names would be taken"
        for name, value in changes.items():
            owner, _, last = name.rpartition(".")
            place = getattr(self, owner) if owner else self
            if not hasattr(place, last):
                raise KeyError(f'Key "{name}" cannot be set')
            setattr(place, last, value)


def get_default_config(env_name):
    return Settings()


def load(env_name, config=None, config_overrides=None):
    sizes = 4 if env_name == "PointMassBlind" else {"state": (4,), "privileged_state": (8,)}
    return SimpleNamespace(name=env_name, config=config, observation_size=sizes, dt=0.02)


def get_domain_randomizer(env_name):
    return f"randomizer of {env_name}"
