"""Things that are to be done at a later time, on the clock's thread."""

from __future__ import annotations

import threading
from collections.abc import Callable

from unibus import observe
from unibus.clock import Clock, Timer

_log = observe.logger("engine")


class Alarm:
    """Calls *act* on the clock's thread, at the earliest time that was asked for. Thread-safe."""

    __slots__ = ("_act", "_clock", "_is_closed", "_lock", "_timer", "_when")

    def __init__(self, clock: Clock, act: Callable[[], None]) -> None:
        self._clock = clock
        self._act = act
        self._lock = threading.Lock()
        self._timer: Timer | None = None
        self._when = 0.0
        self._is_closed = False

    def set(self, when: float) -> None:
        """Ask for a call at monotonic time *when*; an earlier one that is pending stands for it."""
        with self._lock:
            if self._is_closed or (self._timer is not None and self._when <= when):
                return
            later, self._when = self._timer, when
            self._timer = self._clock.call_at(when, self._run)
        if later is not None:
            later.cancel()

    def close(self) -> None:
        """Call no more."""
        with self._lock:
            self._is_closed = True
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _run(self) -> None:
        with self._lock:
            self._timer = None
            if self._is_closed:
                return
        try:
            self._act()
        except Exception:  # noqa: BLE001  # the clock's thread begins here, and serves others, too
            _log.exception("what was due could not be done")


class Soon:
    """Calls *act* on the clock's thread, *delay_s* after it was first asked to. Thread-safe."""

    __slots__ = ("_act", "_alarm", "_clock", "_delay_s", "_is_pending")

    def __init__(self, clock: Clock, delay_s: float, act: Callable[[], None]) -> None:
        self._clock = clock
        self._delay_s = delay_s
        self._act = act
        self._alarm = Alarm(clock, self._run)
        self._is_pending = False

    def ring(self) -> None:
        """Ask for it; while a call is pending this costs next to nothing."""
        if not self._is_pending:
            self._is_pending = True
            self._alarm.set(self._clock.now() + self._delay_s)

    def close(self) -> None:
        """Call no more."""
        self._alarm.close()

    def _run(self) -> None:
        self._is_pending = False
        self._act()
