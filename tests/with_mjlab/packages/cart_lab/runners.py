"""Runners as they are written for mjlab, over rslcore's instead of rsl_rl's."""

import importlib.util
from pathlib import Path

import mjlab
import rsl_rl.runners
import torch
from mjlab.rl.exporter_utils import attach_metadata_to_onnx

from rslcore_rsl_rl import OnPolicyRunner


class LabRunner(OnPolicyRunner):
    """Keeps what the env counts in checkpoints, and writes an ONNX file with each."""

    def save(self, path, infos=None):
        steps = self.env.unwrapped.common_step_counter
        super().save(path, {**(infos or {}), "env_state": {"common_step_counter": steps}})
        assert isinstance(self.cfg["upload_model"], bool)
        assert self.logger.logger_type == "tensorboard"
        self.export_policy_to_onnx(str(Path(path).parent), "lab.onnx")
        attach_metadata_to_onnx(str(Path(path).with_name("lab.onnx")), {"run_path": "local", "joints": ["slider"]})

    def load(self, path, load_cfg=None, strict=True, map_location=None):
        infos = super().load(path, load_cfg, strict, map_location)
        self.env.unwrapped.common_step_counter = infos["env_state"]["common_step_counter"]
        return infos

    def export_policy_to_onnx(self, path, filename="policy.onnx", verbose=False):
        model = self.alg.get_policy().as_onnx(verbose=verbose).to("cpu").eval()
        torch.onnx.export(
            model,
            model.get_dummy_inputs(),
            str(Path(path, filename)),
            opset_version=18,
            input_names=model.input_names,
            output_names=model.output_names,
            dynamic_axes={},
            dynamo=False,
        )


def rebased_runner():
    """mjlab's own runner, as its file has it, with rslcore's in the place of rsl_rl's."""
    file = Path(mjlab.__file__).parent / "rl" / "runner.py"
    spec = importlib.util.spec_from_file_location("cart_lab.rebased", file)
    module = importlib.util.module_from_spec(spec)
    theirs, rsl_rl.runners.OnPolicyRunner = rsl_rl.runners.OnPolicyRunner, OnPolicyRunner
    try:
        spec.loader.exec_module(module)
    finally:
        rsl_rl.runners.OnPolicyRunner = theirs
    return module.MjlabOnPolicyRunner
