"""The table of trained modules."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from rslcore.errors import CheckpointError
from rslcore.modules import ModuleTable


def table(width=3, name="net"):
    modules = ModuleTable(torch.device("cpu"))
    modules.register(name, nn.Linear(2, width))
    return modules


def test_register_taken_name_is_refused():
    modules = table()
    with pytest.raises(ValueError, match="^a module 'net' is registered already; choose another name$"):
        modules.register("net", nn.Linear(1, 1))


def test_register_leaves_frozen_parameters_to_nobody():
    module = nn.Linear(2, 2)
    module.bias.requires_grad_(False)
    modules = ModuleTable(torch.device("cpu"))
    modules.register("net", module)
    (entry,) = modules
    assert [parameter is module.weight for parameter in entry.groups[""]] == [True]


def test_train_switches_every_module():
    modules = table()
    modules.register("other", nn.Dropout())
    modules.train(False)
    assert [entry.module.training for entry in modules] == [False, False]


def test_load_lists_every_misfit_and_loads_nothing():
    ours = table()
    before = {name: tensor.clone() for name, tensor in ours.state_dict()["net"]["module"].items()}
    other = ModuleTable(torch.device("cpu"))
    other.register("net", nn.Linear(2, 4, bias=False))
    other.register("extra", nn.Linear(1, 1))
    message = (
        "^the checkpoint does not fit this config:\n"
        "  module 'extra' of the checkpoint is not in this run\n"
        r"  net.bias \[3\] is not in the checkpoint" + "\n"
        r"  net.weight is \[4, 2\] in the checkpoint and \[3, 2\] here$"
    )
    with pytest.raises(CheckpointError, match=message):
        ours.load_state_dict(other.state_dict())
    assert all(torch.equal(tensor, before[name]) for name, tensor in ours.state_dict()["net"]["module"].items())


def test_state_round_trip_includes_own_optimizers():
    module = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.5, momentum=0.9)
    module(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    modules = ModuleTable(torch.device("cpu"))
    modules.register("net", module, optimizer=optimizer)
    fresh_module = nn.Linear(2, 2)
    fresh_optimizer = torch.optim.SGD(fresh_module.parameters(), lr=0.1, momentum=0.9)
    fresh = ModuleTable(torch.device("cpu"))
    fresh.register("net", fresh_module, optimizer=fresh_optimizer)
    fresh.load_state_dict(modules.state_dict())
    assert torch.equal(fresh_module.weight, module.weight)
    assert fresh_optimizer.param_groups[0]["lr"] == 0.5


def test_register_a_parameter_that_another_module_trains_is_refused():
    shared = nn.Linear(2, 2)
    modules = ModuleTable(torch.device("cpu"))
    modules.register("policy", shared)
    with pytest.raises(ValueError, match="^module 'wrapper' has a parameter that 'policy' trains already$"):
        modules.register("wrapper", nn.Sequential(shared, nn.Linear(2, 1)))


def test_register_a_parameter_that_no_group_has_is_refused():
    module = nn.Linear(2, 2)
    message = "^no parameter group of module 'net' has 'bias', which would never be trained$"
    with pytest.raises(ValueError, match=message):
        ModuleTable(torch.device("cpu")).register("net", module, groups={"weights": [module.weight]})


def test_load_where_only_one_side_has_an_optimizer_is_refused():
    def make(own):
        module, modules = nn.Linear(1, 1), ModuleTable(torch.device("cpu"))
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1) if own else None
        modules.register("net", module, optimizer=optimizer)
        return modules

    with pytest.raises(CheckpointError, match="module 'net' has an optimizer of its own in this run only$"):
        make(True).load_state_dict(make(False).state_dict())
