"""Time as a parameter: what tells it, what calls back when it has come."""

from __future__ import annotations

import heapq
import itertools
import os
import threading
import time
from collections.abc import Callable
from typing import Protocol

from typing_extensions import override

Callback = Callable[[], None]


class Timer(Protocol):
    """One pending call."""

    def cancel(self) -> None:
        """Prevent the call if it has not begun; safe to call twice."""


class Clock(Protocol):
    """Monotonic and wall time in seconds, and calls at a later time. Thread-safe."""

    def now(self) -> float:
        """Return monotonic seconds; only differences mean anything."""

    def wall(self) -> float:
        """Return seconds since the Unix epoch."""

    def call_at(self, when: float, callback: Callback) -> Timer:
        """Call *callback* once, soon after monotonic time *when*, on the clock's own thread.

        The callback must not block and must not raise.
        """

    def close(self) -> None:
        """Drop what is pending and end the clock's thread, if it has one."""


class _Entry:
    __slots__ = ("callback",)

    def __init__(self, callback: Callback) -> None:
        self.callback: Callback | None = callback

    def cancel(self) -> None:
        self.callback = None

    def fire(self) -> None:
        callback, self.callback = self.callback, None
        if callback is not None:
            callback()


_Heap = list[tuple[float, int, _Entry]]


class SystemClock(Clock):
    """The machine's own time; one daemon thread, started at the first ``call_at``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._heap: _Heap = []
        self._order = itertools.count()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._pid = os.getpid()

    @override
    def now(self) -> float:
        return time.monotonic()

    @override
    def wall(self) -> float:
        return time.time()

    @override
    def call_at(self, when: float, callback: Callback) -> Timer:
        entry = _Entry(callback)
        with self._lock:
            if self._closed:
                return entry
            heapq.heappush(self._heap, (when, next(self._order), entry))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="unibus-clock", daemon=True)
                self._thread.start()
            elif self._heap[0][2] is entry:
                self._wake.notify()
        return entry

    @override
    def close(self) -> None:
        if os.getpid() != self._pid:
            return  # a fork: the thread is the parent's, and may have held the lock
        with self._lock:
            self._closed = True
            self._heap.clear()
            thread, self._thread = self._thread, None
            self._wake.notify()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        while (entry := self._next()) is not None:
            entry.fire()

    def _next(self) -> _Entry | None:
        with self._lock:
            while not self._closed:
                wait_s = self._heap[0][0] - time.monotonic() if self._heap else None
                if wait_s is not None and wait_s <= 0:
                    return heapq.heappop(self._heap)[2]
                self._wake.wait(wait_s)
        return None


class ManualClock(Clock):
    """Time that moves only by ``advance``; calls happen on the advancing thread, in order."""

    def __init__(self, start_s: float = 0.0, *, wall_s: float = 1_700_000_000.0) -> None:
        self._lock = threading.Lock()
        self._now = start_s
        self._wall_offset = wall_s - start_s
        self._heap: _Heap = []
        self._order = itertools.count()

    @override
    def now(self) -> float:
        return self._now

    @override
    def wall(self) -> float:
        return self._now + self._wall_offset

    @override
    def call_at(self, when: float, callback: Callback) -> Timer:
        entry = _Entry(callback)
        with self._lock:
            heapq.heappush(self._heap, (when, next(self._order), entry))
        return entry

    @override
    def close(self) -> None:
        with self._lock:
            self._heap.clear()

    def advance(self, seconds: float) -> None:
        """Move time on by *seconds* (>= 0) and make every call that falls due, at its own time."""
        target = self._now + seconds
        while (entry := self._due(target)) is not None:
            entry.fire()
        self._now = target

    def next_call_at(self) -> float | None:
        """Return when the next pending call is due; ``None`` if there is none."""
        with self._lock:
            while self._heap and self._heap[0][2].callback is None:
                heapq.heappop(self._heap)
            return self._heap[0][0] if self._heap else None

    def _due(self, target: float) -> _Entry | None:
        with self._lock:
            if not self._heap or self._heap[0][0] > target:
                return None
            when, _, entry = heapq.heappop(self._heap)
            self._now = max(self._now, when)
            return entry
