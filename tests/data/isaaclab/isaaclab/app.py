"""Starts Isaac Sim; here, notes with what."""

from __future__ import annotations

LAUNCHED = []


class App:
    closed = False

    def close(self):
        self.closed = True


class AppLauncher:
    def __init__(self, launcher_args=None, **kwargs):
        assert not LAUNCHED, "there is one Isaac Sim a process"
        LAUNCHED.append({**(launcher_args or {}), **kwargs})
        self.app = App()
