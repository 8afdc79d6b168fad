"""Signals that end a run after its iteration."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from types import FrameType

from rslcore.run.launch import is_launched
from rslcore.run.session import RunSession

_SECONDS_TO_PASS_ON = 2.0


@contextlib.contextmanager
def stop_on_signals(session: RunSession) -> Iterator[Sequence[signal.Signals]]:
    """Turn the first SIGINT or SIGTERM into a request to stop; the second one acts as it would without us.

    torchrun passes on what it is sent, and a scheduler may send a signal to all processes. So a process that torchrun
    has started may get the same one twice at once, which then counts once. Of a second Ctrl-C torchrun makes a SIGTERM.

    Yields:
        The signal that has come, if any.
    """
    received: list[signal.Signals] = []
    passed_on_until = 0.0
    if threading.current_thread() is not threading.main_thread():
        yield received  # only the main thread may set signal handlers
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def request_stop(number: int, frame: FrameType | None) -> None:
        nonlocal passed_on_until
        if received:
            if time.monotonic() > passed_on_until:
                signal.signal(number, previous[signal.Signals(number)])
                os.kill(os.getpid(), number)
            return
        received.append(signal.Signals(number))
        passed_on_until = time.monotonic() + _SECONDS_TO_PASS_ON
        session.stop_requested = True
        if not session.quiet:
            # Written past Python's buffers, which the interrupted code may hold locked. Who reads it may be gone.
            with contextlib.suppress(OSError):
                os.write(2, b"\nfinishing the iteration, then saving; once more stops at once, without saving\n")
        for restored, handler in previous.items():
            if restored != number or not is_launched():
                signal.signal(restored, handler)

    for number in previous:
        signal.signal(number, request_stop)
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
