"""A process that is killed at the moments that matter; tests/reliability/test_kill.py has random ones."""

from __future__ import annotations

from killing import KilledRun, Moment, compare

ITERATIONS = 5
MOMENTS = [
    (Moment("os.rename", r"/\.config\.yaml"), "before the run had a config"),
    (Moment("os.rename", r"/\.model_1\.pt"), "while a checkpoint was written"),  # the run begins again in its folder
    (Moment("os.rename", r"/\.model_\d\.pt", count=3), "while a checkpoint was written"),
    (Moment("os.rename", r"/\.config\.yaml"), "while config was written"),
    (Moment("os.link", r"/\.model_best\.pt"), "before the best checkpoint was marked"),
    (Moment("os.rename", r"/\.model_best\.pt"), "while the best checkpoint was written"),
    (Moment("os.remove", r"/model_\d\.pt"), "before an old checkpoint was deleted"),
]


def test_killed_run_is_gone_on_with_as_if_nothing_had_happened(tmp_path):
    reference, run = (KilledRun(tmp_path / name, ITERATIONS) for name in ("reference", "killed"))
    assert reference.live() is None
    for moment, where in MOMENTS:
        assert run.live(moment=moment) == where
    assert run.live() is None
    assert run.num_resumed == len(MOMENTS) - 1  # what had no config yet is no run
    compare(run.folder, reference.folder)
