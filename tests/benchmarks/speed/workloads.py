"""What is trained: each workload is a config of rslcore, from which the peers take their hyper-parameters too."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from free_env import make_registry

from rslcore.config import ExperimentConfig, load_config
from rslcore.registry import Registry

ENDLESS = 1_000_000
"""Iterations of a run that is ended from outside."""


@attrs.frozen
class Workload:
    """A training that all contenders make alike.

    Attributes:
        name: For tables.
        recipe: Where the config begins.
        overrides: What is set in it.
        devices: On which of `cpu` and `cuda` it is worth its time.
        extensions: Whether RND and symmetry are on.
    """

    name: str
    recipe: str
    overrides: tuple[str, ...]
    devices: tuple[str, ...] = ("cpu",)
    extensions: bool = False

    @property
    def is_free(self) -> bool:
        """Whether the env is the one that costs nothing."""
        return any(override.startswith("env={name: free") for override in self.overrides)

    def config(
        self, device: str, threads: int, overrides: Sequence[str] = (), registry: Registry | None = None
    ) -> ExperimentConfig:
        """The config, with a contender's own overrides.

        Args:
            device: `cpu` or `cuda`.
            threads: That torch uses on the CPU.
            overrides: Of the contender.
            registry: Where components are found; the installed plugins and the env `free` by default.
        """
        common = (
            f"device={device}",
            f"num_threads={threads}",
            f"iterations={ENDLESS}",
            f"runner.save_interval={ENDLESS}",
            "loggers=[]",
        )
        registry = registry if registry is not None else make_registry()
        return load_config(self.recipe, [*self.overrides, *common, *overrides], registry=registry)


def free(
    name: str,
    num_envs: int,
    network: str,
    *,
    shape: Sequence[int] = (48,),
    num_steps: int = 24,
    num_epochs: int = 5,
    extensions: bool = False,
    devices: tuple[str, ...] = ("cpu",),
) -> Workload:
    """A workload on the env that costs nothing, with rsl_rl's hyper-parameters: 4 minibatches, adaptive learning rate.

    Args:
        name: For tables.
        num_envs: N.
        network: Of the actor, and of the critic.
        shape: Of an observation.
        num_steps: T.
        num_epochs: Passes over a rollout.
        extensions: Whether RND and symmetry, which doubles the rows, are on.
        devices: Where it is run.
    """
    env = f"{{name: free, num_envs: {num_envs}, shape: {list(shape)}}}"
    overrides = (
        f"env={env}",
        f"runner.num_steps_per_env={num_steps}",
        f"policy.actor={{network: {network}, distribution: {{name: gaussian}}}}",
        f"policy.critic={{network: {network}}}",
        f"algorithm={{name: ppo, num_learning_epochs: {num_epochs}}}",
    )
    return Workload(name, "pendulum", overrides, devices, extensions)


def mlp(*hidden: int) -> str:
    """Layers of these widths, with normalized inputs."""
    return f"{{name: mlp, hidden_dims: {list(hidden)}, normalize: true}}"


ENCODER = "{channels: [16, 32, 32], kernel_sizes: [8, 4, 3], strides: [4, 2, 1], activation: elu}"
CNN = f"{{name: cnn, groups: [image], encoder: {ENCODER}, hidden_dims: [256]}}"
LSTM = "{name: lstm, rnn_hidden_dim: 256, hidden_dims: [128], normalize: true}"
SAME_INIT = tuple(
    f"policy.{part}.network.{setting}" for part in ("actor", "critic") for setting in ("init=default", "output_scale=1")
)
"""Initial weights as all libraries can have them; they change no time."""

WORKLOADS = {
    workload.name: workload
    for workload in (
        free("4096x512-256-128", 4096, mlp(512, 256, 128), devices=("cpu", "cuda")),
        free("4096x64-64", 4096, mlp(64, 64), devices=("cpu", "cuda")),
        free("256x64-64", 256, mlp(64, 64)),
        free("16384x512-256-128", 16_384, mlp(512, 256, 128), devices=("cuda",)),
        Workload("cartpole-64", "cartpole", SAME_INIT),
        Workload("halfcheetah-16", "halfcheetah", SAME_INIT),
        free("images-512x64x64", 512, CNN, shape=(3, 64, 64), num_steps=8),  # 24 would take half a minute a round
        free("images-512x128x128", 512, CNN, shape=(3, 128, 128), devices=("cuda",)),
        free("lstm-1024", 1024, LSTM, devices=("cpu", "cuda")),
        free("rnd+symmetry-4096x64-64", 4096, mlp(64, 64), extensions=True, devices=("cpu", "cuda")),
        free("rnd+symmetry-4096x512-256-128", 4096, mlp(512, 256, 128), extensions=True, devices=("cpu", "cuda")),
    )
}
