"""Processes that find one another in a store where dead ones have left their names."""

from __future__ import annotations

import threading

from torch.distributed import HashStore

from rslcore.meeting import _agree


def agree(store, num_ranks):
    names = {}
    threads = [
        threading.Thread(target=lambda rank=rank: names.update({rank: _agree(store, rank, num_ranks)}))
        for rank in reversed(range(num_ranks))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [names[rank] for rank in range(num_ranks)]


def test_processes_agree_on_a_name_that_those_before_did_not_have():
    store = HashStore()
    rounds = [agree(store, 3) for _ in range(5)]
    assert all(len(set(names)) == 1 for names in rounds)
    assert len({names[0] for names in rounds}) == 5


def test_processes_agree_where_others_died_before_they_met():
    store = HashStore()
    store.set("rslcore/name", "dead")
    store.set("rslcore/dead/1", "gone")
    store.set("rslcore/dead/gone", "")
    names = agree(store, 2)
    assert names[0] == names[1] != "dead"
