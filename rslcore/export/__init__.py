"""A trained policy as a file that runs without rslcore: ONNX, or a program of torch.

    from rslcore.export import export_policy

    export_policy("logs/cartpole", format="onnx", verify=True)

What is exported is a step of the policy: observation groups and states go in, deterministic actions and the next states
come out. Normalizers are inside. docs/export.md says what the files hold and how a robot runs them.
"""

from rslcore.export.formats import FORMATS
from rslcore.export.onnx_file import to_onnx
from rslcore.export.programs import own_warnings_silenced
from rslcore.export.step import PolicyStep
from rslcore.export.write import ExportResult, export_policy, write_exported

__all__ = [
    "FORMATS",
    "ExportResult",
    "PolicyStep",
    "export_policy",
    "own_warnings_silenced",
    "to_onnx",
    "write_exported",
]
