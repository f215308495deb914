"""Threads that share one kind of work."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic


class Crew:
    """Threads that do one thing again and again, and wait while there is nothing to do.

    Args:
        name: Names the threads.
        size: How many there are.
        work: Does one piece and returns whether there was one; called on any of the threads.
    """

    def __init__(self, name: str, size: int, work: Callable[[], bool]) -> None:
        self._name = name
        self._size = size
        self._work = work
        self._changed = threading.Condition()
        self._rings = 0
        self._is_closing = False
        self._threads: list[threading.Thread] = []

    def ring(self) -> None:
        """Have every thread look for work; starts them the first time. Never blocks for long."""
        with self._changed:
            self._rings += 1
            if not self._threads and not self._is_closing:
                self._threads = [
                    threading.Thread(target=self._run, name=f"{self._name}-{number}", daemon=True)
                    for number in range(self._size)
                ]
                for thread in self._threads:
                    thread.start()
            self._changed.notify_all()

    def rest(self, wait_s: float) -> None:
        """Wait on a thread of the crew, at most until the crew is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closing, wait_s)

    def close(self, timeout_s: float) -> None:
        """Let every thread end when it finds no more work, and wait for that."""
        end = monotonic() + timeout_s
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(end - monotonic(), 0.0))

    def _run(self) -> None:
        while True:
            with self._changed:
                seen = self._rings
            if self._work():
                continue
            with self._changed:
                if self._is_closing:
                    return
                # What rang while this thread looked may have come after it had looked there.
                while self._rings == seen and not self._is_closing:
                    self._changed.wait()
