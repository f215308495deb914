"""The batches of an outbox in publishing order: open, then sealed, then pulled."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from unibus.engine.order import order_of
from unibus.engine.pending import Home, Pending
from unibus.engine.window import Limits, Window
from unibus.spi import Binding, Outgoing

_MAX_BATCH_MESSAGES: Final = 1000  # an adapter may report a batch only when all of it is done
_GRAIN: Final = 0.1  # share of timeout_s that messages of one batch may be apart
_MAX_GRAIN_S: Final = 0.25


class Line:
    """Says which batch takes the next message, which is pulled next, and what is overdue.

    Not thread-safe: the outbox's lock is held around every call.

    Attributes:
        open: The batch that takes messages; never empty, ``None`` until the next one comes.
        last: The index at which the open batch is full.
        sealed: What waits to be pulled.
        pulled: What the adapter has and has not wholly reported.
        window: Counts what is sealed or pulled.
        grain_s: How far apart messages of one batch may be published: they share a deadline.
        max_bytes: Most bytes of a batch.
        max_slice: Most messages of a batch that is added as a whole: what fits for sure into a
            window that has opened again.
    """

    __slots__ = (
        "_home",
        "_is_starved",
        "_max_messages",
        "_number",
        "_order",
        "_timeout_s",
        "grain_s",
        "last",
        "max_bytes",
        "max_slice",
        "open",
        "pulled",
        "sealed",
        "window",
    )

    def __init__(self, home: Home, binding: Binding, limits: Limits) -> None:
        batch = binding.capabilities.max_batch.value
        self.open: Pending | None = None
        self.last = 0
        self.sealed: deque[Pending] = deque()
        self.pulled: dict[Outgoing, Pending] = {}
        self.window = Window(limits)
        self._max_messages = min(batch.max_messages, _MAX_BATCH_MESSAGES)
        self.max_bytes = batch.max_bytes
        self.max_slice = max(1, min(self._max_messages, limits.window // 4))
        self._home = home
        self._number = 0
        self._order = order_of(binding)
        self._is_starved = False  # a pull was refused although there was something
        self._timeout_s = limits.timeout_s
        self.grain_s = min(limits.timeout_s * _GRAIN, _MAX_GRAIN_S)

    def begin(self, now: float) -> Pending | None:
        """Seal the open batch and return a new one; ``None`` if the window is full."""
        self.seal()
        free = self.window.free
        if free <= 0:
            return None
        self.last = min(free, self._max_messages) - 1
        self.open = self.new_batch(Outgoing([]), now)
        return self.open

    def add(self, columns: Outgoing, size: int, now: float) -> Pending | None:
        """Append a whole batch; ``None`` if it does not fit into the window."""
        self.seal()
        if len(columns) > self.window.free:
            return None
        batch = self.open = self.new_batch(columns, now)
        batch.size = size
        self.seal()
        return batch

    def new_batch(self, columns: Outgoing, now: float) -> Pending:
        """Return a batch that is not in line yet, with the next number."""
        self._number += 1
        return Pending(self._home, self._number, now, columns)

    def seal(self) -> None:
        """Close the open batch, if there is one: it waits to be pulled now."""
        batch, self.open = self.open, None
        if batch is not None:
            self.window.take(len(batch), batch.size)
            self.sealed.append(batch)

    def pull(self) -> Pending | None:
        """Return the next batch; ``None`` if there is none, or it has to wait for its keys."""
        if not self.sealed:
            self.seal()
            if not self.sealed:
                return None
        self._is_starved = not self._order.admit(self.sealed[0])
        if self._is_starved:
            return None
        batch = self.sealed.popleft()
        self.pulled[batch] = batch
        return batch

    def reported(self, batch: Pending, count: int) -> bool:
        """Note that *count* more of a pulled batch are reported; return whether to pull again."""
        self.window.give_back(count, 0)
        if not batch.is_reported:
            return False
        self.window.give_back(0, batch.size)
        self._order.release(batch)
        del self.pulled[batch]
        return self._is_starved

    def undecided(self) -> list[Pending]:
        """Return the batches that hold something undecided; the open one is sealed first."""
        self.seal()
        batches = [*self.pulled.values(), *self.sealed]
        return [each for each in batches if each.decided < len(each)]

    def unpulled(self) -> list[Pending]:
        """Take out of the line, and return, what was not pulled."""
        self.seal()
        return self._take_out(len(self.sealed))

    def overdue(self, now: float) -> tuple[list[Pending], list[Pending]]:
        """Return what is past its deadline: never pulled (taken out of the line), and pulled."""
        if self.open is not None and self.open.born + self.grain_s <= now:
            self.seal()
        born = now - self._timeout_s
        unpulled = self._take_out(sum(each.born <= born for each in self.sealed))
        return unpulled, [each for each in self._unanswered() if each.born <= born]

    def next_check(self) -> float | None:
        """Return when to ask ``overdue`` again; ``None`` while the line is empty."""
        if self.open is not None:
            return self.open.born + self.grain_s
        births = [each.born for each in (*self._unanswered(), *self.sealed)]
        return min(births) + self._timeout_s if births else None

    def _unanswered(self) -> Iterable[Pending]:
        return (each for each in self.pulled.values() if each.decided < len(each))

    def _take_out(self, count: int) -> list[Pending]:
        batches = [self.sealed.popleft() for _ in range(count)]
        for each in batches:
            self.window.give_back(len(each), each.size)
        return batches
