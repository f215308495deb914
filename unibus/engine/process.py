"""What becomes of an open bus when its process forks or ends."""

from __future__ import annotations

import atexit
import os
import weakref
from typing import Final, Protocol

_EXIT_S: Final = 1.0  # what a program that closes nothing can be asked to wait


class Open(Protocol):
    """Something with threads and connections that belong to this process."""

    def abandon(self) -> None:
        """Be dead: this is a forked child, and nothing here is ours."""

    def leave(self, timeout_s: float) -> None:
        """The interpreter ends: save what can be saved within *timeout_s*, and do not raise."""


class Process:
    """Knows what is open in this process; does nothing until the first bus is opened."""

    def __init__(self) -> None:
        self._open: weakref.WeakSet[Open] = weakref.WeakSet()
        self._leaked: list[Open] = []
        self._is_hooked = False

    def add(self, opened: Open) -> None:
        """Tell *opened* when the process forks or ends."""
        if not self._is_hooked:
            self._is_hooked = True
            os.register_at_fork(after_in_child=self._forked)
            atexit.register(self._exits)
        self._open.add(opened)

    def discard(self, closed: Open) -> None:
        """Tell *closed* nothing any more."""
        self._open.discard(closed)

    def _forked(self) -> None:
        # Kept for ever: to destroy a native handle here would talk on the parent's connection.
        self._leaked = list(self._open)
        self._open = weakref.WeakSet()
        for each in self._leaked:
            each.abandon()

    def _exits(self) -> None:
        for each in list(self._open):
            each.leave(_EXIT_S)


PROCESS: Final = Process()
"""This process: there is one, like its list of exit handlers."""
