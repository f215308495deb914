"""Receives from a stream: by position, which is stored at the broker, and can be moved."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from typing_extensions import override

from unibus import spi
from unibus_rabbitmq.channel import Channel
from unibus_rabbitmq.connection import Connection
from unibus_rabbitmq.deliveries import Ticket
from unibus_rabbitmq.lane import House, Lane
from unibus_rabbitmq.loop import Done, Timer
from unibus_rabbitmq.receiver import RabbitReceiver
from unibus_rabbitmq.session import Begin, Plan, Session
from unibus_rabbitmq.store import PositionStore

_STORE_S: Final = 0.25
"""Oldest a watermark gets before it is stored: what was settled since comes again after a crash."""

_MARK: Final = spi.header_names.SUBSCRIPTION

Offset = str | int | datetime
"""What RabbitMQ takes as ``x-stream-offset``."""


class Reading(NamedTuple):
    """Who reads.

    Attributes:
        subscription: Its name; copies for others are passed over.
        start: Where it begins if it has no position yet.
        store: Where its position is; ``None``: nowhere, nobody declared a place.
    """

    subscription: str
    start: Offset
    store: PositionStore | None


class StreamLane(Lane):
    """Reads the stream on from a position, and stores how far it has come."""

    def __init__(
        self, connection: Connection, house: House, plan: Plan, reading: Reading, where: str
    ) -> None:
        super().__init__(connection, house, plan, plan.queues[0], where)
        self._reading = reading
        self._store = reading.store
        self._next: Offset | None = None
        self._not_before_s = 0.0
        self._offsets: deque[tuple[int, list[int]]] = deque()
        self._store_timer: Timer | None = None
        self._sought: Done[None] | None = None

    def seek(self, offset: Offset | None, sought: Done[None]) -> None:
        """Go on at *offset*, ``None``: where the store says; *sought* once the broker delivers."""
        session = self.session
        self._sought = sought
        self._next = offset
        if self._store is not None and isinstance(offset, int):
            self._store.save(offset, None)
        self._forget_barrier()
        self.consuming.give_back()
        if session is not None:
            self.end(session, spi.LeaseLostError("the subscription was moved by seek"))
        self.consuming.resume()

    @override
    def prepare(self, channel: Channel, begin: Begin) -> None:
        if self._store is None:
            self._go_on(begin)
            return
        store, connection = self._store, self._connection

        def loaded(position: int | None) -> None:
            if self._next is None:
                self._next = position
            self._go_on(begin)

        def refused(cause: Exception) -> None:
            self.consuming.refuse(channel, cause)

        def locked() -> None:
            if self._next is None:
                store.load(connection, loaded, refused)
            else:
                self._go_on(begin)

        store.lock(connection, locked, refused)

    def _go_on(self, begin: Begin) -> None:
        offset = self._reading.start if self._next is None else self._next
        self._not_before_s = offset.timestamp() if isinstance(offset, datetime) else 0.0
        self._offsets.clear()
        begin({"x-stream-offset": offset})

    @override
    def began(self, session: Session) -> None:
        super().began(session)
        self._answer_seek(None)

    @override
    def ended(self, session: Session | None, cause: spi.UnibusError) -> None:
        if session is not None:
            self._advance(session)
        super().ended(session, cause)
        self._answer_seek(cause)

    def _answer_seek(self, answer: Exception | None) -> None:
        sought, self._sought = self._sought, None
        if sought is not None:
            sought(answer)

    @override
    def accept(self, session: Session, lease: spi.Lease, rows: list[Any]) -> bool:
        reader = self._plan.shape.reader
        offsets = [reader.offset(row) or 0 for row in rows]
        if not isinstance(self._next, int):
            # From here on it is known where it begins: a crash must not begin elsewhere.
            self._next = offsets[0]
        self._offsets.append((rows[0][0], offsets))
        wakes = False
        for part in self._parts(session, rows):
            wakes |= self._house.inbox.put(Ticket(session, part[0][0]), lease, part)
        return wakes

    def _parts(self, session: Session, rows: list[Any]) -> Sequence[list[Any]]:
        """Return *rows* without those that are not for us, which are settled; without gaps."""
        mentions = self._plan.shape.reader.mentions
        if not self._not_before_s and not any(mentions(row, _MARK) for row in rows):
            return (rows,)
        parts: list[list[Any]] = [[]]
        for row in rows:
            if self._is_ours(row):
                parts[-1].append(row)
            else:
                session.settler.skip(row[0])
                parts.append([])
        session.settler.settle(())
        self.after_settling(session)
        return [part for part in parts if part]

    def _is_ours(self, row: Any) -> bool:  # noqa: ANN401  # a row of either kind
        try:
            message = self._plan.shape.reader.message(row, "")
        except Exception:  # noqa: BLE001  # the seam: whoever reads it will be told the same
            return True
        if message.timestamp_s is not None and message.timestamp_s + 1 <= self._not_before_s:
            return False  # the broker begins with a whole chunk
        self._not_before_s = 0.0
        whose = (message.headers or {}).get(_MARK)
        return whose is None or whose == self._reading.subscription

    @override
    def after_settling(self, session: Session) -> None:
        super().after_settling(session)
        if self._advance(session) and self._store_timer is None:
            self._store_timer = self._connection.loop.later(_STORE_S, self._save_later)

    def _advance(self, session: Session) -> bool:
        """Move the position behind everything that is settled without a gap."""
        low = session.settler.fold.low
        while self._offsets:
            first, offsets = self._offsets[0]
            done = low - first
            if done <= 0:
                break
            self._next = offsets[min(done, len(offsets)) - 1] + 1
            if done < len(offsets):
                self._offsets[0] = (low, offsets[done:])
                break
            self._offsets.popleft()
        return self._store is not None and self._next != self._store.position

    def _save_later(self) -> None:
        self._store_timer = None
        self.save()

    def save(self) -> None:
        """Store how far it has come."""
        session = self.session
        if self._store is None or session is None or not isinstance(self._next, int):
            return
        self._advance(session)
        below = session.settler.fold.low
        self._store.save(self._next, lambda: session.settler.stored(below))

    @override
    def ask(self, session: Session) -> None:
        """A stream answers nothing: what counts is that the position is stored."""
        session.settler.ask()
        self._advance(session)
        below = session.settler.fold.low

        def stored() -> None:
            session.settler.stored(below, is_barrier=True)
            if session is self.session:
                self.answered()

        if self._store is None or not isinstance(self._next, int):
            stored()
        else:
            self._store.save(self._next, stored)


class StreamReceiver(RabbitReceiver, spi.SupportsSeek):
    """The one reader of a stream subscription, on a connection of its own."""

    def __init__(
        self,
        connection: Connection,
        events: spi.Events,
        plan: Plan,
        reading: Reading,
        *,
        where: str,
    ) -> None:
        self._reading = reading
        super().__init__((connection,), events, plan, where=where)

    @override
    def _lane(self, connection: Connection, queue: str, where: str) -> StreamLane:
        self._stream = StreamLane(connection, self, self._plan, self._reading, where)
        return self._stream

    @override
    def seek(self, target: spi.SeekTarget, *, timeout_s: float) -> None:
        """Go on reading at *target*; see ``SupportsSeek``.

        Raises:
            ConfigurationError: It is no position of a stream.
        """
        end = time.monotonic() + timeout_s
        offset: Offset | None = _offset(target)
        if target == "latest" and self._reading.store is not None:
            # Where that is has to be known, or a crash would begin where it was before.
            self._reading.store.begin_at_end(timeout_s)
            offset = None

        def start(done: Done[None]) -> None:
            self._leave_acks()
            self._stream.seek(offset, done)

        self._loop.call(start, max(0.05, end - time.monotonic()), "seeking")

    @override
    def close(self, timeout_s: float) -> None:
        end = time.monotonic() + timeout_s
        store = self._reading.store
        if store is not None and self._loop.is_alive:

            def last(done: Done[None]) -> None:
                self._leave_acks()
                self._stream.save()
                done(None)

            try:
                self._loop.call(last, timeout_s, "storing a position")
            finally:
                store.close(max(0.05, end - time.monotonic()))
        super().close(max(0.05, end - time.monotonic()))


def _offset(target: spi.SeekTarget) -> Offset:
    if isinstance(target, datetime):
        return target
    if target == "earliest":
        return 0  # RabbitMQ begins with the first that it has kept
    if target == "latest":
        return "next"
    if not target.isdecimal():
        raise spi.ConfigurationError(
            f"seek to {target!r}: a stream takes 'earliest', 'latest', an aware datetime, or a"
            " position as a delivery has it, e.g. '42'"
        )
    return int(target)
