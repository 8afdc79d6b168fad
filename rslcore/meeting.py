"""How processes that torchrun has started find one another, and no others.

torchrun's agent keeps one store for as long as it lives. Where it starts its processes again, the addresses of the dead
ones are still in it, and gloo would wait for those. So the processes first agree on a name that nobody had before, and
write under that.
"""

from __future__ import annotations

import time
import uuid

from torch.distributed import PrefixStore, Store  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous

_TIMEOUT = 300.0
"""Seconds, as torch's own."""


def meet() -> tuple[Store, int, int]:
    """A store of the processes that are started together, which rank this one is, and how many there are.

    Raises:
        ValueError: The environment lacks a variable that torchrun sets.
        RuntimeError: The store is not there, or processes have not come in time.
    """
    store, rank, num_ranks = next(rendezvous("env://"))
    return PrefixStore(_agree(store, rank, num_ranks), store), rank, num_ranks


def _agree(store: Store, rank: int, num_ranks: int) -> str:
    """The name that rank 0 has made up. Who answers to it, and is answered by its own, is alive."""
    own = uuid.uuid4().hex
    if rank == 0:
        store.set("rslcore/name", own)
        for other in range(1, num_ranks):
            answer = store.get(f"rslcore/{own}/{other}").decode()
            store.set(f"rslcore/{own}/{answer}", "")
        return own
    name = ""
    until = time.monotonic() + _TIMEOUT
    while not name or not store.check([f"rslcore/{name}/{own}"]):
        latest = store.get("rslcore/name").decode()  # that of a dead rank 0 at first, perhaps
        if latest != name:
            name = latest
            store.set(f"rslcore/{name}/{rank}", own)
        if time.monotonic() > until:
            raise RuntimeError(f"rank 0 has not come in {_TIMEOUT:.0f} seconds")
        time.sleep(0.01)
    return name
