"""The folder of a run: `logs/<experiment>/<YYYY-MM-DD_HH-MM-SS>[_<run name>]/`."""

from __future__ import annotations

import logging
import re
import stat
from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from rslcore.errors import CheckpointError, RunError, nearest_name
from rslcore.run.files import copy_atomically, remove_left_behind, write_atomically

CONFIG_FILE = "config.yaml"
PLUGINS_FILE = "plugins.yaml"
BEST_FILE = "model_best.pt"
_CHECKPOINT = re.compile(r"model_(0|[1-9][0-9]*)\.pt")
_WRITTEN = re.compile(
    rf"{_CHECKPOINT.pattern}|{re.escape(BEST_FILE)}|{re.escape(CONFIG_FILE)}|{re.escape(PLUGINS_FILE)}"
    r"|bad_numbers_[0-9]+\.pt"
)

_log = logging.getLogger(__name__)


class RunFolder:
    """A run on disk: `config.yaml`, `plugins.yaml`, checkpoints `model_<iteration>.pt`, the best of them once more as
    `model_best.pt`, and what loggers write.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._cannot_be_deleted: set[Path] = set()

    @classmethod
    def create(cls, log_root: Path, experiment: str, run_name: str | None) -> RunFolder:
        """Make a new folder named after this moment; a second run in the same second gets a number.

        Raises:
            RunError: The folder cannot be made, or the run's name cannot be part of a folder's.
        """
        if run_name is not None and not re.fullmatch(r"[\w.-]+", run_name):
            raise RunError(f"the run name '{run_name}' cannot be part of a folder's name; use letters, digits, '_-.'")
        stem = datetime.now().strftime("%Y-%m-%d_%H-%M-%S") + (f"_{run_name}" if run_name else "")
        number = 1
        while True:
            path = log_root / experiment / (stem if number == 1 else f"{stem}_{number}")
            try:
                path.mkdir(parents=True)
                return cls(path)
            except FileExistsError:
                if not path.is_dir():
                    raise RunError(f"the run folder '{path}' cannot be made: a file is in the way") from None
                number += 1
            except OSError as error:
                raise RunError(f"the run folder '{path}' cannot be made: {error.strerror}") from error

    @classmethod
    def find(cls, path: Path) -> RunFolder:
        """The run at a path: a run's folder, a checkpoint in it, or the latest run of an experiment's folder.

        Raises:
            RunError: There is none, or it cannot be read; says what is there instead.
        """
        try:
            return cls._find(path)
        except OSError as error:
            raise RunError(f"the run '{path}' cannot be read: {error.strerror}") from error

    @classmethod
    def _find(cls, path: Path) -> RunFolder:
        if not path.exists():
            folders = [folder for folder in (path.parent, Path("logs")) if folder.is_dir()]
            by_name = {entry.name: entry for folder in folders for entry in folder.iterdir()}
            match = nearest_name(path.name, by_name)
            raise RunError(f"there is no run '{path}'" + (f"; did you mean '{by_name[match]}'?" if match else ""))
        if path.is_file():
            folder = cls(path.parent)
            if path.suffix != ".pt" and not folder.is_run():
                raise RunError(
                    f"'{path}' is a file and no checkpoint; give a run's folder, like logs/<experiment>/<date>, or a "
                    "checkpoint in it"
                )
            return folder
        if cls(path).is_run():
            return cls(path)
        runs = sorted(config.parent for config in path.glob(f"*/{CONFIG_FILE}"))
        if runs:
            # A run that was stopped before its first checkpoint must not hide those before it.
            return cls(next((run for run in reversed(runs) if cls(run).checkpoints()), runs[-1]))
        raise RunError(
            f"'{path}' is no run: it holds neither a {CONFIG_FILE} nor a model_<iteration>.pt; "
            "give a folder like logs/<experiment>/<date>"
        )

    @classmethod
    def find_resumable(cls, path: Path) -> RunFolder:
        """The run at a path, which must have the config that it goes on with. Raises RunError if there is none."""
        folder = cls.find(path)
        if not (folder.path / CONFIG_FILE).is_file():
            raise RunError(f"'{path}' is not in a run's folder (it has no {CONFIG_FILE}), so there is none to go on in")
        return folder

    def is_run(self) -> bool:
        """Whether the folder holds a run: its config, or a checkpoint."""
        return (self.path / CONFIG_FILE).is_file() or bool(self.checkpoints())

    def checkpoints(self) -> dict[int, Path]:
        """The checkpoints by iteration, in order."""
        found = {}
        for path in self.path.glob("model_*.pt"):
            if match := _CHECKPOINT.fullmatch(path.name):
                found[int(match[1])] = path
        return dict(sorted(found.items()))

    def checkpoint(self, which: str = "latest") -> Path:
        """A checkpoint's path.

        Args:
            which: `latest`, `best`, an iteration, or the path of a file.

        Raises:
            RunError: There is no such checkpoint; lists those that there are.
        """
        held = self.checkpoints()
        iterations = ", ".join(map(str, held)) or "none"
        if which == "latest":
            if not held:
                raise RunError(f"the run '{self.path}' has no checkpoint yet (no model_<iteration>.pt)")
            return held[max(held)]
        if which == "best":
            if not (best := self.path / BEST_FILE).is_file():
                raise RunError(
                    f"the run '{self.path}' has no best checkpoint (no {BEST_FILE}; one is kept where the config has a "
                    f"best_metric); it has {iterations}"
                )
            return best
        if which.isdigit():
            if int(which) not in held:
                raise RunError(f"the run '{self.path}' has no checkpoint of iteration {which}; it has {iterations}")
            return held[int(which)]
        for path in (Path(which), self.path / which):
            if path.is_file():
                return path
        raise RunError(f"there is no checkpoint '{which}'; give latest, best, an iteration or a file")

    def set_aside_after(self, iteration: int, best_iteration: int | None = None) -> list[Path]:
        """Rename the checkpoints after an iteration, so that a run that goes on from there has no other latest one.

        Args:
            iteration: From which the run goes on.
            best_iteration: Of `model_best.pt`, which is renamed too if it is a later one; None if there is none.

        Returns:
            Their new paths.
        """
        later = [path for number, path in self.checkpoints().items() if number > iteration]
        if best_iteration is not None and best_iteration > iteration:
            later.append(self.path / BEST_FILE)
        aside = []
        for path in later:
            number = 1
            while (renamed := path.with_name(f"superseded_{number}_{path.name}")).exists():
                number += 1
            aside.append(path.rename(renamed))
        return aside

    def checkpoint_path(self, iteration: int) -> Path:
        """Where the checkpoint of an iteration is written."""
        return self.path / f"model_{iteration}.pt"

    def evidence_path(self, iteration: int) -> Path:
        """Where it is written what numbers went wrong in an iteration."""
        return self.path / f"bad_numbers_{iteration}.pt"

    def keep(self, num: int, protect: Collection[Path] = ()) -> list[Path]:
        """Delete the oldest checkpoints `model_<iteration>.pt`, and nothing else. One that cannot be deleted is warned
        about once and left.

        Args:
            num: Number of the newest ones that stay, at least 1.
            protect: Files that stay too.

        Returns:
            Those that were deleted.
        """
        assert num >= 1, "the newest checkpoint is never deleted"
        protected = {path.resolve() for path in protect}
        deleted = []
        for path in list(filter(_is_regular_file, self.checkpoints().values()))[:-num]:
            if path.resolve() in protected:
                continue
            try:
                path.unlink(missing_ok=True)
                deleted.append(path)
            except OSError as error:
                if path not in self._cannot_be_deleted:
                    _log.warning("the old checkpoint '%s' cannot be deleted: %s", path, error.strerror)
                self._cannot_be_deleted.add(path)
        return deleted

    def mark_best(self, path: Path) -> None:
        """Make a checkpoint of the run its `model_best.pt`, which stays when the checkpoint itself is deleted.

        A crash leaves the one of before, or this one.

        Raises:
            CheckpointError: That cannot be done, as when the disk is full; the one of before stays.
        """
        try:
            copy_atomically(path, self.path / BEST_FILE)
        except OSError as error:
            raise CheckpointError(
                f"'{path}' cannot be kept as '{self.path / BEST_FILE}': {error.strerror or error}"
            ) from error

    def clean(self) -> list[Path]:
        """Delete the temporary files that killed processes have left; to be called before this process writes any.

        Returns:
            Those that were deleted.
        """
        return remove_left_behind(self.path, _WRITTEN)

    def write_config(self, text: str) -> None:
        """Write `config.yaml`. Raises RunError if it cannot be written."""
        self._write(CONFIG_FILE, text)

    def write_plugins(self, text: str) -> None:
        """Write `plugins.yaml`. Raises RunError if it cannot be written."""
        self._write(PLUGINS_FILE, text)

    def _write(self, name: str, text: str) -> None:
        try:
            write_atomically(self.path / name, lambda file: file.write(text.encode()))
        except OSError as error:
            raise RunError(f"'{self.path / name}' cannot be written: {error.strerror}") from error


def _is_regular_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
