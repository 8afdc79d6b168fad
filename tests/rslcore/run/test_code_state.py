"""What of git repositories is recorded with a run, from real ones."""

from __future__ import annotations

import logging
import os
import subprocess

import pytest

from rslcore.run import code_state
from rslcore.run.code_state import record_code_state
from rslcore.training import train


def git(folder, *arguments):
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@localhost", "-c", "init.defaultBranch=main")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(autouse=True)
def settings(tmp_path, monkeypatch):
    """No settings of the user's; folders of tests are in no repository."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


@pytest.fixture
def repository(tmp_path):
    """A repository `walking` with one commit of a file in a folder."""
    return make_repository(tmp_path / "walking")


def make_repository(root, commit=True):
    (root / "source").mkdir(parents=True)
    (root / "source" / "gait.py").write_text("speed = 1\n\n\nheight = 2\n")
    git(root, "init", "-q")
    git(root, "add", ".")
    if commit:
        git(root, "commit", "-qm", "first")
    return root


def recorded(run):
    return sorted(path.name for path in run.glob("git/*"))


def test_record_has_commit_status_and_what_git_apply_takes(run, repository, tmp_path):
    (repository / "source" / "gait.py").write_text("speed = 3\n\n\nheight = 2 \n")
    (repository / "new.py").write_text("added = True\n")
    git(repository, "add", "new.py")
    (repository / "noise.txt").write_text("not known to git")
    (written,) = record_code_state(run, [str(repository / "source" / "gait.py")])
    assert written == run / "git" / "walking.diff"
    text = written.read_text()
    commit = git(repository, "rev-parse", "HEAD")
    assert text.startswith(
        f"repository: {repository}\ncommit: {commit}\nstatus:\n## main\nA  new.py\n M source/gait.py\n?? noise.txt\n\n"
        "diff --git a/new.py b/new.py\n"
    )
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(repository), str(clone))
    git(clone, "apply", str(written))
    for name in ("source/gait.py", "new.py"):
        assert (clone / name).read_text() == (repository / name).read_text()


def test_record_of_a_clean_repository_has_no_difference(run, repository):
    (written,) = record_code_state(run, [repository])
    commit = git(repository, "rev-parse", "HEAD")
    assert written.read_text() == f"repository: {repository}\ncommit: {commit}\nstatus:\n## main\n\n"


def test_record_asks_for_a_plain_difference_whatever_the_settings_are(run, repository, tmp_path, monkeypatch):
    (tmp_path / "gitconfig").write_text(
        "[color]\nui = always\n[diff]\nnoprefix = true\nexternal = false\ncontext = 0\n[core]\nfsmonitor = false\n"
    )
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    (repository / "source" / "gait.py").write_text("speed = 3\n\n\nheight = 2\n")
    (written,) = record_code_state(run, [repository])
    assert "\n+++ b/source/gait.py\n@@ -1,4 +1,4 @@\n-speed = 1\n+speed = 3\n" in written.read_text()


def test_record_changes_nothing_in_the_repository(run, repository):
    os.utime(repository / "source" / "gait.py", (0, 0))  # git would note that it is the same

    def written():
        noted_again = (repository / ".git", repository / ".git" / "index")
        return {path: path.stat().st_mtime_ns for path in repository.rglob("*") if path not in noted_again}

    before = written()
    record_code_state(run, [repository])
    assert written() == before


def test_paths_of_one_repository_count_once_and_those_of_one_name_get_numbers(run, repository, tmp_path):
    other = make_repository(tmp_path / "other" / "walking")
    paths = [repository, repository / "source", other / "source" / "gait.py"]
    assert [path.name for path in record_code_state(run, paths)] == ["walking.diff", "walking_2.diff"]
    assert (run / "git" / "walking_2.diff").read_text().startswith(f"repository: {other}\n")
    assert record_code_state(run, paths, iteration=5) == []


def test_resumed_run_records_another_state_beside_the_first(run, repository):
    def resume(iteration, text):
        (repository / "source" / "gait.py").write_text(text)
        return [path.name for path in record_code_state(run, [repository], iteration)]

    assert resume(0, "speed = 1\n") == ["walking.diff"]
    first = (run / "git" / "walking.diff").read_text()
    assert resume(20, "speed = 1\n") == []
    assert resume(20, "speed = 2\n") == ["walking_20.diff"]
    assert resume(20, "speed = 3\n") == ["walking_20_2.diff"]
    assert resume(10, "speed = 1\n") == ["walking_10.diff"]
    assert resume(30, "speed = 1\n") == []
    assert (run / "git" / "walking.diff").read_text() == first


def test_file_of_another_program_is_left(run, repository):
    (run / "git").mkdir()
    (run / "git" / "walking.diff").write_text("--- git commit ---\n")
    assert [path.name for path in record_code_state(run, [repository])] == ["walking_2.diff"]
    assert (run / "git" / "walking.diff").read_text() == "--- git commit ---\n"


def test_repository_without_a_commit_is_recorded_whole(run, tmp_path):
    root = make_repository(tmp_path / "unborn", commit=False)
    (written,) = record_code_state(run, [root])
    text = written.read_text()
    assert text.startswith(f"repository: {root}\ncommit: none\nstatus:\n## No commits yet on main\nA  source/gait.py\n")
    assert "+++ b/source/gait.py\n@@ -0,0 +1,4 @@\n+speed = 1\n" in text


def test_detached_head_is_recorded(run, repository):
    git(repository, "checkout", "-q", "--detach")
    (written,) = record_code_state(run, [repository])
    assert f"commit: {git(repository, 'rev-parse', 'HEAD')}\nstatus:\n## HEAD (no branch)\n" in written.read_text()


def test_names_and_contents_that_are_no_text_are_recorded(run, tmp_path):
    root = make_repository(tmp_path / "gehen ü\n")
    (root / "source" / "gait.py").write_bytes(b"\xff\xfe\n")
    (root / os.fsdecode(b"\xff.py")).write_bytes(b"\0")
    (written,) = record_code_state(run, [root])
    assert b"+\xff\xfe\n" in written.read_bytes()


def test_long_difference_is_cut_with_a_note(run, repository, monkeypatch, caplog):
    monkeypatch.setattr(code_state, "MAX_BYTES", 1000)
    (repository / "source" / "gait.py").write_text("speed = 3\n" * 100_000)
    (written,) = record_code_state(run, [repository])
    assert written.read_text().endswith("\n(cut by rslcore: the difference is longer than 1,000 bytes)\n")
    assert len(written.read_bytes()) < 1400
    assert caplog.messages == [
        "of a git repository the difference is longer than 1,000 bytes; what is beyond is not recorded"
    ]


def test_git_that_does_not_answer_is_given_up(run, repository, tmp_path, monkeypatch, caplog):
    """The filter that is slow is a process of its own, which holds the output open."""
    monkeypatch.setattr(code_state, "MAX_SECONDS", 0.3)
    (repository / ".git" / "config").write_text('[filter "slow"]\nclean = sleep 60\n')
    (repository / ".gitattributes").write_text("* filter=slow\n")
    (repository / "source" / "gait.py").write_text("speed = 3\n\n\nheight = 2\n")
    assert record_code_state(run, [repository]) == []
    assert recorded(run) == []
    (message,) = caplog.messages
    assert message.startswith(f"the state of the git repository '{repository}' cannot be recorded: 'git ")
    assert message.endswith("took longer than 0.3 seconds")


def broken(repository):
    (repository / ".git" / "index").write_bytes(b"no index")
    return repository


def bare(repository):
    git(repository, "init", "-q", "--bare", "bare")
    return repository / "bare"


def plain(repository):
    folder = repository.parent / "plain"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            broken,
            "the state of the git repository '{}' cannot be recorded: .git/index: index file smaller than expected",
        ),
        (bare, "no git repository is recorded for '{}': this operation must be run in a work tree"),
        (plain, "no git repository is recorded for '{}': not a git repository"),
        (lambda repository: repository / "gone", "no git repository is recorded for '{}': there is no such path"),
        (lambda _: "~nobody-here/code", "no git repository is recorded for '{}': Could not determine home directory."),
    ],
    ids=["broken", "bare", "no repository", "no path", "no home"],
)
def test_what_cannot_be_recorded_is_warned_about(run, repository, caplog, make, message):
    path = make(repository)
    assert record_code_state(run, [path]) == []
    assert recorded(run) == []
    (warning,) = caplog.messages
    assert warning.startswith(message.format(path))


def test_no_git_is_warned_about(run, repository, monkeypatch, caplog):
    monkeypatch.setenv("PATH", "")
    assert record_code_state(run, [repository]) == []
    assert caplog.messages == [f"no git repository is recorded for '{repository}': the program 'git' is not installed"]


def test_folder_that_cannot_be_written_is_warned_about(run, repository, caplog):
    (run / "git").write_text("a file")
    assert record_code_state(run, [repository]) == []
    assert caplog.messages == [
        f"the state of the git repository '{repository}' cannot be recorded: [Errno 17] File exists: '{run / 'git'}'"
    ]


def test_run_records_the_repositories_of_its_config(small_config, repository, tmp_path, caplog):
    def config(iterations):
        return small_config(f"iterations={iterations}", f"repositories=[{repository}, {tmp_path / 'gone'}]")

    with caplog.at_level(logging.WARNING):
        path = train(config(1), log_root=tmp_path / "logs", quiet=True).path
    assert caplog.messages == [f"no git repository is recorded for '{tmp_path / 'gone'}': there is no such path"]
    assert recorded(path) == ["walking.diff"]
    (repository / "source" / "gait.py").write_text("speed = 3\n")
    train(config(2), resume=path, quiet=True)
    assert recorded(path) == ["walking.diff", "walking_1.diff"]


def test_run_records_no_repository_by_default(small_config, tmp_path):
    assert not (train(small_config("iterations=1"), log_root=tmp_path, quiet=True).path / "git").exists()
