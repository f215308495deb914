"""Timers by name: one for each thing that falls due, moved when something is due earlier."""

from __future__ import annotations

from collections.abc import Callable

from unibus.spi import Clock, Timer


class Alarms:
    """Not thread-safe: the broker's lock is held around ``set`` and ``clear``."""

    def __init__(self, clock: Clock, ring: Callable[[str], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._armed: dict[str, tuple[float, Timer]] = {}

    def set(self, name: str, due: float | None) -> None:
        """Ring *name* at *due*, unless it is going to ring before."""
        if due is None:
            return
        armed = self._armed.get(name)
        if armed is not None:
            if armed[0] <= due:
                return
            armed[1].cancel()
        self._armed[name] = (due, self._clock.call_at(due, lambda: self._ring(name)))

    def clear(self, name: str) -> None:
        """Forget that *name* was to ring: it has."""
        self._armed.pop(name, None)
