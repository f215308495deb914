"""Held messages, each key's in its own lane, in order; handed out when the first one is due."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from operator import attrgetter

from unibus.clock import Clock
from unibus.emulation.held import Item

_order = attrgetter("order")
LaneKey = object
"""A key; for a message without one the item itself, since it waits for nobody."""


class Lanes:
    """What is held. Not thread-safe: the layer's lock is held.

    Args:
        clock: Calls back when the first message of a lane is due.
        ring: What it calls, with the key of the lane.
    """

    def __init__(self, clock: Clock, ring: Callable[[LaneKey], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._lanes: dict[LaneKey, list[Item]] = {}
        self._ready: dict[LaneKey, None] = {}

    def __len__(self) -> int:
        return len(self._lanes)

    def __iter__(self) -> Iterator[Item]:
        for lane in self._lanes.values():
            yield from lane

    def is_blocked(self, key: str | None) -> bool:
        """Return whether messages of *key* have to wait for a held one."""
        return key is not None and key in self._lanes

    def add(self, items: Iterable[Item]) -> bool:
        """Hold *items*; return whether one is due already, else the clock rings when one is."""
        changed = set()
        for item in items:
            key = item.key
            lane_key = item if key is None else key
            lane = self._lanes.setdefault(lane_key, [])
            insort(lane, item, key=_order)
            if lane[0] is item:  # else the clock was told of the first one before
                changed.add(lane_key)
        due = [self.arm(lane_key) for lane_key in changed]
        return any(due)

    def arm(self, lane_key: LaneKey) -> bool:
        """Return whether the first message of a lane is due, else have the clock ring."""
        lane = self._lanes.get(lane_key)
        if lane is None:
            return False
        if lane[0].due <= self._clock.now():
            self._ready[lane_key] = None
            return True
        self._ready.pop(lane_key, None)
        self._clock.call_at(lane[0].due, partial(self._ring, lane_key))
        return False

    def pop_due(self, room: int) -> list[Item]:
        """Return what may be handed out now, each key's in order, at most *room*."""
        now, popped = self._clock.now(), list[Item]()
        for lane_key in list(self._ready):
            if len(popped) >= room:
                break
            lane = self._lanes[lane_key]
            count = 0
            while count < min(len(lane), room - len(popped)) and lane[count].due <= now:
                count += 1
            popped += lane[:count]
            del lane[:count]
            if lane:
                self.arm(lane_key)
            else:
                self._remove(lane_key)
        return popped

    def drop(self, is_gone: Callable[[Item], bool]) -> list[Item]:
        """Forget what is gone; return what is left of those lanes, which is forgotten too.

        Without the messages before it, it would be handed out too early.
        """
        left: list[Item] = []
        for lane_key, lane in list(self._lanes.items()):
            kept = [item for item in lane if not is_gone(item)]
            if len(kept) < len(lane):
                left += kept
                self._remove(lane_key)
        return left

    def clear(self) -> None:
        """Forget everything."""
        self._lanes.clear()
        self._ready.clear()

    def _remove(self, lane_key: LaneKey) -> None:
        del self._lanes[lane_key]
        self._ready.pop(lane_key, None)
