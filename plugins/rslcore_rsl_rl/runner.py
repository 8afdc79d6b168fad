"""rsl_rl's runners, over rslcore: a script that imports them from here instead of from rsl_rl trains with rslcore.

Inside is the ordinary core: the dict is translated, the env adapted, and the loop is that of the runner `on_policy`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from rslcore.config import dump_yaml, evolve
from rslcore.device import limited_threads, resolve_device
from rslcore.distributed import alone, gather, is_main, joined, launched_ranks, local_rank, num_ranks
from rslcore.errors import ConfigError, RunError
from rslcore.protocols import Runner
from rslcore.run.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from rslcore.run.folder import CONFIG_FILE, PLUGINS_FILE, RunFolder
from rslcore.run.lock import RunLock
from rslcore.run.session import RunSession
from rslcore.training import build_loggers, learn
from rslcore_rsl_rl.algorithm import PPO, Distillation
from rslcore_rsl_rl.building import STUDENT_TEACHER, Built, build
from rslcore_rsl_rl.checkpoints import rsl_rl_state
from rslcore_rsl_rl.files import is_rslcore, read_dict
from rslcore_rsl_rl.infos import plain_infos
from rslcore_rsl_rl.keeper import RunnerKeeper
from rslcore_rsl_rl.logger import RunnerLogger
from rslcore_rsl_rl.model import InferenceModel, export_to_jit, export_to_onnx
from rslcore_rsl_rl.vec_env import VecEnvAdapter

_log = logging.getLogger(__name__)


class OnPolicyRunner:
    """Trains what the dict says: by PPO, or by distillation, whose teacher `load` is given before `learn`.

    Args:
        env: With rsl_rl's interface, of any project.
        train_cfg: rsl_rl's dict, of any version; it is not changed.
        log_dir: The run's folder; None for a run that leaves nothing on disk and prints nothing.
        device: Where is learned.
        **kwargs: Of scripts written for other runners; each is named in a warning, and has no effect.

    Attributes:
        env: As it was given.
        cfg: A copy of the dict, with `multi_gpu` as rsl_rl adds it.
        device: As it was given.
        alg: The algorithm, with rsl_rl's methods.
        logger: What rsl_rl's logger knows: folder, repositories, totals.

    Raises:
        RslcoreError: The dict or the env is not as it should be; everything that is wrong at once.
    """

    alg: PPO | Distillation

    def __init__(
        self,
        env: Any,
        train_cfg: Mapping[str, Any],
        log_dir: str | os.PathLike[str] | None = None,
        device: str | torch.device = "cpu",
        **kwargs: Any,
    ) -> None:
        if kwargs:
            _log.warning("rslcore_rsl_rl: the runner has no use for %s", ", ".join(sorted(kwargs)))
        if not isinstance(train_cfg, Mapping):
            raise TypeError(f"train_cfg should be a dict, it is {type(train_cfg).__name__}")
        self.env = env
        self.cfg = copied(train_cfg)
        self.device = device
        self._join_others()
        of_learning = resolve_device(str(device))
        self._built: Built = build(copied(train_cfg), VecEnvAdapter(env, of_learning), of_learning)
        is_student = self._built.config.policy.name == STUDENT_TEACHER
        self.alg = Distillation(self._built) if is_student else PPO(self._built)
        self._keeper = RunnerKeeper(self._save_and_tell)
        self._session = RunSession(self._built.context, self._built.algorithm, {}, not is_main(), self._keeper)
        self.logger = RunnerLogger(log_dir, self.cfg, self._session)
        self._has_failed = False

    def _join_others(self) -> None:
        """Find the other processes of a launch, as rsl_rl does; the script ends the connection, or the process does."""
        self.gpu_world_size, self.is_distributed = launched_ranks(), launched_ranks() > 1
        self.gpu_global_rank, self.gpu_local_rank = int(os.environ.get("RANK", "0")), local_rank()
        self.cfg["multi_gpu"] = None
        if not self.is_distributed:
            return
        self.cfg["multi_gpu"] = {
            "global_rank": self.gpu_global_rank,
            "local_rank": self.gpu_local_rank,
            "world_size": self.gpu_world_size,
        }
        if torch.device(self.device).type == "cuda" and str(self.device) != f"cuda:{self.gpu_local_rank}":
            expected = f"cuda:{self.gpu_local_rank}"
            raise ValueError(
                f"device '{self.device}' is not that of local rank {self.gpu_local_rank}; give '{expected}'"
            )
        connection = joined(torch.device(self.device))
        connection.__enter__()
        self._connection = connection  # for as long as the runner is there

    # Learning

    def learn(self, num_learning_iterations: int, init_at_random_ep_len: bool = False) -> None:
        """Go on for so many iterations.

        A first Ctrl-C ends the run after its iteration, with a checkpoint, and is then raised as KeyboardInterrupt.

        Args:
            num_learning_iterations: How many.
            init_at_random_ep_len: Whether the running episodes are taken to be under way already.

        Raises:
            RslcoreError: The run cannot go on.
            ValueError: A student has no teacher yet, or there is nothing to learn.
        """
        if num_learning_iterations < 1:
            raise ValueError(f"num_learning_iterations should be at least 1, it is {num_learning_iterations}")
        if isinstance(self.alg, Distillation) and not self.alg.teacher_loaded:
            raise ValueError("there is no teacher yet: give `load` the checkpoint of a policy that PPO has trained")
        if self._has_failed:
            raise RunError("an error has ended the last `learn`; make a new runner, and `load` a checkpoint")
        built, session = self._built, self._session
        if init_at_random_ep_len:
            built.env.randomize_episode_steps()
        folder = self._make_folder()
        loggers = build_loggers(built.context) if folder is not None and is_main() else {}
        session.go_on(num_learning_iterations, loggers, built.env.observe())
        runner: Runner = built.context.build(
            built.config.runner, "runner", env=built.env, algorithm=built.algorithm, session=session
        )
        self.logger.attach(runner)
        self.alg.train_mode()
        with limited_threads(built.config.num_threads), RunLock() as lock:
            if folder is not None and is_main():
                lock.take(folder.path)
                _write_config(folder, self._config_of_run(init_at_random_ep_len))
                self.logger.store_code_state()
            try:
                received = learn(session, runner, folder)
            except BaseException:
                self._has_failed = True  # perhaps amid a rollout
                raise
        received = next(filter(None, gather(received)), None)  # once the first rank has saved
        if received == signal.SIGINT:
            raise KeyboardInterrupt
        if received is not None:
            raise SystemExit(128 + received)

    def _config_of_run(self, init_at_random_ep_len: bool) -> str:
        """The config as YAML, with what the script has said elsewhere than in its dict."""
        config = self._built.config
        runner = evolve(config.runner, config=evolve(config.runner.config, init_at_random_ep_len=init_at_random_ep_len))
        return dump_yaml(
            evolve(config, iterations=self._session.total_iterations, device=str(self.device), runner=runner)
        )

    def _make_folder(self) -> RunFolder | None:
        if self.logger.log_dir is None:
            return None
        path = Path(self.logger.log_dir)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"the run folder '{path}' cannot be made: {error.strerror}") from error
        return RunFolder(path)

    @property
    def current_learning_iteration(self) -> int:
        """Index of the latest iteration, counted from 0, as rsl_rl counts; 0 before the first one too."""
        return max(self._session.iteration - 1, 0)

    @current_learning_iteration.setter
    def current_learning_iteration(self, index: int) -> None:
        if index != self.current_learning_iteration:  # 0 may mean that there was none
            self._session.iteration = index + 1

    # Saving and loading

    def save(self, path: str, infos: dict[str, Any] | None = None) -> None:
        """Write a checkpoint that this runner, rslcore and rsl_rl can load.

        Args:
            path: Of the file.
            infos: Whatever the script wants back from `load`: plain data, tensors, numbers and arrays of NumPy. What is
                neither is left out with a warning.

        Raises:
            CheckpointError: It cannot be written.
        """
        checkpoint = self._keeper.checkpoint or self._checkpoint_now()
        for_rsl_rl = rsl_rl_state(checkpoint.algorithm, checkpoint.config, checkpoint.iteration, plain_infos(infos))
        save_checkpoint(Path(path), checkpoint, for_rsl_rl)
        self.logger.save_model(path, self.current_learning_iteration)

    def _save_and_tell(self, path: str) -> None:
        """Save as a script may have it, and tell the loggers of policies that it exports beside the checkpoint."""
        before = _exported_in(Path(path).parent)
        self.save(path)
        for exported in sorted(_exported_in(Path(path).parent) - before):
            self._session.model_saved(exported[0])

    def _checkpoint_now(self) -> Checkpoint:
        with alone() if num_ranks() > 1 else contextlib.nullcontext():  # a script saves on one rank
            checkpoint = self._session.checkpoint()
        assert checkpoint is not None
        return checkpoint

    def load(
        self,
        path: str | os.PathLike[str],
        load_cfg: Mapping[str, bool] | None = None,
        strict: bool = True,
        map_location: str | None = None,
    ) -> Any:
        """Load a checkpoint of this runner, of rslcore or of rsl_rl, of any version; nothing in it is executed.

        Args:
            path: Of the file.
            load_cfg: What is loaded, by `actor`, `critic`, `optimizer`, `iteration`, `rnd`; all by default.
            strict: Whether tensors that are missing or left over are an error.
            map_location: Not used: tensors go to where the runner learns.

        Returns:
            The `infos` that it was saved with.

        Raises:
            CheckpointError: It cannot be read, or does not fit; every tensor that does not is listed.
        """
        payload = read_dict(Path(path))
        if load_cfg is None and strict and self._is_own(payload):
            log_dir = self.logger.log_dir
            is_same_run = log_dir is not None and Path(path).resolve().parent == Path(log_dir).resolve()
            self._session.restore(load_checkpoint(Path(path)), with_envs=False, with_loggers=is_same_run)
        elif self.alg.load(payload, load_cfg, strict):
            self._session.iteration = payload["iter"] + 1 if "iter" in payload else payload["iteration"]
        return payload.get("infos")

    def _is_own(self, payload: Any) -> bool:
        """Whether a checkpoint is of rslcore and of the same algorithm, and not what a student is to learn from."""
        return is_rslcore(payload) and payload["config"]["algorithm"]["name"] == self._built.config.algorithm.name

    # Acting

    def get_inference_policy(self, device: str | torch.device | None = None) -> InferenceModel:
        """What acts, deterministic, in evaluation mode; a `torch.nn.Module` with rsl_rl's methods.

        Args:
            device: Where it is moved; it is the one that learns, not a copy.
        """
        self.alg.eval_mode()
        policy = self.alg.get_policy()
        return policy if device is None else policy.to(device)

    def export_policy_to_jit(self, path: str, filename: str = "policy.pt") -> None:
        """Write the policy as TorchScript into the folder `path`."""
        export_to_jit(self.alg.get_policy(), path, filename)

    def export_policy_to_onnx(self, path: str, filename: str = "policy.onnx", verbose: bool = False) -> None:
        """Write the policy as ONNX into the folder `path`."""
        export_to_onnx(self.alg.get_policy(), path, filename, verbose)

    def add_git_repo_to_log(self, repo_file_path: str) -> None:
        """Record the state of a git repository with the run.

        Args:
            repo_file_path: A file or folder in it.
        """
        self.logger.git_status_repos.append(repo_file_path)

    def train_mode(self) -> None:
        """Put all that is trained in training mode."""
        self.alg.train_mode()

    def eval_mode(self) -> None:
        """Put all that is trained in evaluation mode."""
        self.alg.eval_mode()


def _write_config(folder: RunFolder, text: str) -> None:
    """Write the run's config, unless the script has put a file of that name there itself."""
    if (folder.path / CONFIG_FILE).exists() and not (folder.path / PLUGINS_FILE).exists():
        _log.warning("'%s' is not rslcore's and stays; its own config is in the checkpoints", folder.path / CONFIG_FILE)
        return
    folder.write_config(text)


def copied(cfg: Any) -> Any:
    """A dict of rsl_rl's with containers of its own; what is in them, an env for one, need not be copied."""
    if isinstance(cfg, Mapping):
        return {key: copied(value) for key, value in cfg.items()}
    return type(cfg)(map(copied, cfg)) if type(cfg) in (list, tuple) else cfg


def _exported_in(folder: Path) -> set[tuple[Path, int]]:
    """The ONNX files of a folder, and when they were written."""
    return {(path, path.stat().st_mtime_ns) for path in folder.glob("*.onnx")}


class DistillationRunner(OnPolicyRunner):
    """Trains a student to act as a teacher, whose checkpoint `load` is given before `learn`."""

    alg: Distillation

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not isinstance(self.alg, Distillation):
            raise ConfigError.at("algorithm.class_name", "is PPO, which OnPolicyRunner trains; write 'Distillation'")
