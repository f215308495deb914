"""Waiting for something that is decided on another thread, without a poll."""

from __future__ import annotations

import threading
from collections.abc import Callable

Check = Callable[[], bool]
Wake = Callable[[], None]


class Gate:
    """A latched wake-up for one waiting thread; ``open`` may be called from anywhere, any often."""

    __slots__ = ("_lock", "_shut")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shut = threading.Lock()
        self._shut.acquire()

    def open(self) -> None:
        """Let the next ``wait``, or the one that runs, return."""
        # The latch is the state of one lock, so that a KeyboardInterrupt between waking up and
        # noting it cannot leave the gate deaf.
        with self._lock:
            if self._shut.locked():
                self._shut.release()

    def wait(self, timeout_s: float | None) -> bool:
        """Return whether the gate was opened within *timeout_s*; ``None`` waits for ever."""
        limit = -1.0 if timeout_s is None else min(max(timeout_s, 0.0), threading.TIMEOUT_MAX)
        return self._shut.acquire(timeout=limit)


class Watches:
    """Conditions that somebody waits for; false while nobody does, so looking costs nothing."""

    __slots__ = ("_entries", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[tuple[Check, Wake]] = []

    def __bool__(self) -> bool:
        return bool(self._entries)

    def add(self, check: Check, wake: Wake) -> Callable[[], object]:
        """Call *wake* once *check* is true, perhaps at once; the result takes the watch back.

        *check* is called on any thread, with no lock of the watched object held.
        """
        entry = (check, wake)
        with self._lock:
            self._entries.append(entry)
        self.look()
        return lambda: self._remove(entry)

    def look(self) -> None:
        """Something changed: wake those whose check is true now."""
        for entry in tuple(self._entries):
            check, wake = entry
            if check() and self._remove(entry):
                wake()

    def wait(self, check: Check, timeout_s: float | None) -> bool:
        """Block this thread until *check* is true; return whether it is."""
        if check():
            return True
        gate = Gate()
        take_back = self.add(check, gate.open)
        try:
            return gate.wait(timeout_s) or check()
        finally:
            take_back()

    def _remove(self, entry: tuple[Check, Wake]) -> bool:
        with self._lock:
            if entry not in self._entries:
                return False
            self._entries.remove(entry)
            return True
