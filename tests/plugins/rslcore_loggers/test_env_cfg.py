"""What envs are configured with, in every form that projects have, and things that cannot be written."""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy
import pytest
import torch
from omegaconf import OmegaConf

from rslcore_loggers.env_cfg import read_env_cfg


def read(cfg):
    """What becomes of a cfg, which JSON can hold."""
    found = read_env_cfg(SimpleNamespace(cfg=cfg))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    return found


def terminate(env):
    """A function that configs name."""


class Color(enum.Enum):
    RED = 1


class Mode(enum.IntEnum):
    FAST = 2


@dataclasses.dataclass
class Sim:
    dt: float = 0.005
    range: tuple = (0.5, 1.5)
    _cache: int = 3


@dataclasses.dataclass
class Task:
    sim: Sim = dataclasses.field(default_factory=Sim)
    func: object = terminate
    rewards: dict = dataclasses.field(default_factory=lambda: {"alive": Sim(dt=1.0)})


class WithToDict:
    def __init__(self):
        self.hidden = object()

    def to_dict(self):
        return {"decimation": 4, "func": "my_lab:reward", "missing": {}}


class LeggedGym:
    """As legged_gym has it: attributes of classes, whose instances are those of the object around them."""

    class env:  # noqa: N801 - their name
        num_envs = 4096

    class rough(env):  # noqa: N801
        height = (0.1, 0.2)

        def method(self):
            raise AssertionError

        @property
        def costly(self):
            raise AssertionError

    seed = 1

    def __init__(self):
        self.env, self.terrain = self.env(), self.rough()


class WalkTheseWays(LeggedGym):
    """As walk-these-ways has it: no instance is ever made."""

    class env(LeggedGym.env):  # noqa: N801
        num_envs = 4000

        class noise:  # noqa: N801
            level = 1.0

    class empty:  # noqa: N801
        pass

    robot = Path


@pytest.mark.parametrize(
    ("cfg", "plain"),
    [
        ({"a": 1, 2: [True, None, "x", 0.5]}, {"a": 1, "2": [True, None, "x", 0.5]}),
        (Sim(), {"dt": 0.005, "range": [0.5, 1.5], "_cache": 3}),
        (
            Task(),
            {
                "sim": {"dt": 0.005, "range": [0.5, 1.5], "_cache": 3},
                "func": f"{__name__}:terminate",
                "rewards": {"alive": {"dt": 1.0, "range": [0.5, 1.5], "_cache": 3}},
            },
        ),
        (WithToDict(), {"decimation": 4, "func": "my_lab:reward", "missing": {}}),
        (
            LeggedGym(),
            {
                "env": {"num_envs": 4096},
                "rough": {"num_envs": 4096, "height": [0.1, 0.2]},
                "seed": 1,
                "terrain": {"num_envs": 4096, "height": [0.1, 0.2]},
            },
        ),
        (
            WalkTheseWays,
            {
                "env": {"num_envs": 4000, "noise": {"level": 1.0}},
                "rough": {"num_envs": 4096, "height": [0.1, 0.2]},
                "seed": 1,
                "robot": "pathlib:Path",
                "empty": f"{__name__}:WalkTheseWays.empty",
            },
        ),
        (SimpleNamespace(dt=0.01, _private=1), {"dt": 0.01}),
        (
            OmegaConf.create({"scene": {"num_envs": 4, "ranges": [[0, 1], {"at": 0.5}]}, "same": "${scene.num_envs}"}),
            {"scene": {"num_envs": 4, "ranges": [[0, 1], {"at": 0.5}]}, "same": 4},
        ),
    ],
    ids=[
        "dict",
        "dataclass",
        "nested dataclasses",
        "to_dict",
        "classes of legged_gym",
        "a class of walk-these-ways",
        "attributes",
        "OmegaConf",
    ],
)
def test_read_env_cfg_in_every_form(cfg, plain):
    assert read(cfg) == plain


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (math.inf, "inf"),
        (numpy.float64(0.5), 0.5),
        (numpy.int32(3), 3),
        (numpy.array([1, 2]), [1, 2]),
        (torch.tensor([[1.0, math.nan]]), [[1.0, "nan"]]),
        (torch.zeros(11, 10), "torch:Tensor [11, 10]"),
        (torch.device("cpu"), "cpu"),
        (torch.float32, "torch.float32"),
        (Path("robot.urdf"), "robot.urdf"),
        (slice(0, 3), "slice(0, 3, None)"),
        (Color.RED, "Color.RED"),
        (Mode.FAST, 2),
        ({3}, [3]),
        (torch.nn.ELU, "torch.nn.modules.activation:ELU"),
        (math.sin, "math:sin"),
        (functools.partial, "functools:partial"),
        (functools.partial(terminate, env=None), f"{__name__}:terminate"),
        (numpy, "numpy"),
        (b"x", "b'x'"),
        (bytearray(b"x"), "bytearray(b'x')"),
        (collections.deque([1, (2,)]), [1, [2]]),
        (range(3), [0, 1, 2]),
        (range(1001), "builtins:range [1001]"),
        (OmegaConf.create([1, "???", 2]), [1, "no value: MissingMandatoryValue", 2]),
        (OmegaConf.create({"a": "???", "b": 2}), {"a": "no value: MissingMandatoryValue", "b": 2}),
    ],
)
def test_read_env_cfg_of_values_of_every_kind(value, plain):
    assert read({"value": value}) == {"value": plain}


@dataclasses.dataclass
class Unset:
    dt: float = 0.01
    steps: int = dataclasses.field(init=False)


def test_read_env_cfg_of_a_dataclass_with_a_field_that_was_never_set():
    assert read(Unset()) == {"dt": 0.01, "steps": "no value: AttributeError"}


class Broken:
    def to_dict(self):
        raise RuntimeError("no licence")


class Unprintable:
    __slots__ = ()

    def __repr__(self):
        raise RuntimeError("no words")


def test_read_env_cfg_writes_the_name_of_what_cannot_be_written():
    assert read({"a": Broken(), "b": Unprintable(), "c": 1}) == {
        "a": f"{__name__}:Broken",
        "b": f"{__name__}:Unprintable",
        "c": 1,
    }
    assert read(Broken()) == f"{__name__}:Broken"


def test_read_env_cfg_that_holds_itself_or_has_no_end():
    cfg = SimpleNamespace(dt=0.01)
    cfg.parent, cfg.items = cfg, [cfg]
    assert read(cfg) == {"dt": 0.01, "parent": "types:SimpleNamespace", "items": ["types:SimpleNamespace"]}
    deep = []
    for _ in range(1000):
        deep = [deep]
    assert str(read({"deep": deep})).count("[") == 19
    assert len(str(read([[list(range(1000))] * 1000] * 1000))) < 1_000_000
    shared = ["x"]
    for _ in range(50):
        shared = [shared, shared]
    assert len(str(read(shared))) < 1_000_000


@pytest.mark.parametrize(
    ("many", "plain"),
    [
        (list(range(1_000_000)), "builtins:list [1000000]"),
        (["x"] * 1001, "builtins:list [1001]"),
        (set(range(1001)), "builtins:set [1001]"),
        (dict.fromkeys(range(1001)), "builtins:dict [1001]"),
        ([1] * 1000, [1] * 1000),
    ],
    ids=["a million", "strings", "set", "dict", "as many as are written"],
)
def test_read_env_cfg_of_many_values_writes_how_many_there_are(many, plain):
    assert read({"before": 1, "many": many, "after": {"dt": 0.01}}) == {
        "before": 1,
        "many": plain,
        "after": {"dt": 0.01},
    }


class Moody:
    @property
    def cfg(self):
        raise RuntimeError("not now")


def test_read_env_cfg_of_an_env_without_one(caplog):
    assert read_env_cfg(SimpleNamespace()) is None
    assert read_env_cfg(None) is None
    assert caplog.messages == []
    assert read_env_cfg(Moody()) is None
    assert caplog.messages == ["the env's cfg cannot be stored: RuntimeError: not now"]
