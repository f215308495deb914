"""Where the position of a stream subscription is kept, and the lock that makes its reader one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pika
from typing_extensions import override

from unibus import spi
from unibus_rabbitmq import positions
from unibus_rabbitmq.channel import Channel
from unibus_rabbitmq.connection import Connection

log = logging.getLogger("unibus.rabbitmq.store")

_FORBIDDEN, _LOCKED = 403, 405


class PositionStore(spi.Source):
    """A queue of at most one message; what is published to it replaces what was there.

    It is the outbox of a sender of its own, so a position that cannot be stored now is stored when
    the connection is back. But for ``begin_at_end`` and ``close``, all of it runs on the loop's
    thread.

    Attributes:
        position: The last one that was loaded or saved.
    """

    def __init__(self, subscription: str, queue: str, lock: str) -> None:
        self.position: int | None = None
        self.sender: spi.Sender | None = None
        self.end: Callable[[float], None] | None = None
        self._subscription = subscription
        self._queue = queue
        self._lock = lock
        self._locked_on: object = None
        self._pending: int | None = None
        self._tokens: list[Callable[[], None]] = []
        self._under_way: list[Callable[[], None]] = []

    # ---- the lock: a queue that belongs to one connection

    def lock(
        self,
        connection: Connection,
        locked: Callable[[], None],
        refused: Callable[[Exception], None],
    ) -> None:
        """Become the only reader, for as long as *connection* lives."""
        native = connection.native
        if self._locked_on is native:
            locked()
            return

        def opened(channel: Channel) -> None:
            channel.queue_declare(self._lock, exclusive=True, callback=lambda _: done(channel))

        def done(channel: Channel) -> None:
            self._locked_on = native
            channel.close()

        def closed(_channel: Channel, cause: Exception) -> None:
            if self._locked_on is native:
                locked()
                return
            code = getattr(cause, "reply_code", None)
            if code == _FORBIDDEN:
                log.warning(
                    "the user may not declare queues, so nothing keeps a second reader away"
                )
                self._locked_on = native
                locked()
            else:
                refused(self._second(cause) if code == _LOCKED else cause)

        connection.channel(opened).add_on_close_callback(closed)

    def _second(self, cause: Exception) -> spi.UnsupportedError:
        refusal = spi.UnsupportedError(
            f"Subscription {self._subscription!r} is being read by another consumer, and a stream"
            " has one reader a subscription; close that one, or declare another subscription"
        )
        refusal.__cause__ = cause
        return refusal

    # ---- the position

    def load(
        self,
        connection: Connection,
        loaded: Callable[[int | None], None],
        refused: Callable[[Exception], None],
    ) -> None:
        """Read the position; it stays where it is."""

        def opened(channel: Channel) -> None:
            channel.queue_declare(
                self._queue, passive=True, callback=lambda frame: found(channel, frame)
            )

        def found(channel: Channel, frame: Any) -> None:  # noqa: ANN401  # pika ships no types
            if frame.method.message_count:
                channel.basic_get(self._queue, got)
            else:
                channel.close()
                loaded(None)

        def got(channel: Channel, method: Any, _properties: object, body: bytes) -> None:  # noqa: ANN401  # pika ships no types
            channel.basic_nack(method.delivery_tag, multiple=False, requeue=True)
            channel.close()
            try:
                self.position = positions.decode(body)
            except ValueError as error:
                refused(self._unreadable(error))
            else:
                loaded(self.position)

        def closed(_channel: Channel, cause: Exception) -> None:
            if not isinstance(cause, pika.exceptions.ChannelClosedByClient):
                refused(cause)

        connection.channel(opened).add_on_close_callback(closed)

    def _unreadable(self, cause: Exception) -> spi.ConfigurationError:
        error = spi.ConfigurationError(f"queue {self._queue}: {cause}")
        error.__cause__ = cause
        return error

    def save(self, position: int, stored: Callable[[], None] | None) -> None:
        """Store *position*; call *stored* once it is, or one after it."""
        if stored is not None:
            self._tokens.append(stored)
        self.position = self._pending = position
        if self.sender is not None:
            self.sender.offer()

    def begin_at_end(self, timeout_s: float) -> None:
        """Store where the stream ends; the next ``load`` gives it. Any thread, waits."""
        if self.end is not None:
            self.end(timeout_s)

    def close(self, timeout_s: float) -> None:
        """Wait until the last position is stored; any thread."""
        if self.sender is not None:
            self.sender.close(timeout_s)

    # ---- the outbox

    @override
    def pull(self) -> spi.Outgoing | None:
        if self._pending is None or self._under_way:
            return None
        self._under_way, self._tokens = self._tokens or [_nothing], []
        position, self._pending = self._pending, None
        return spi.Outgoing([positions.encode(position)])

    @override
    def completed(self, batch: spi.Outgoing, first: int, count: int, outcome: spi.Outcome) -> None:
        under_way, self._under_way = self._under_way, []
        if outcome.kind is spi.OutcomeKind.ACCEPTED:
            for stored in under_way:
                stored()
        else:
            self._tokens = under_way + self._tokens
            if self._pending is None:
                self._pending = self.position
        if self.sender is not None:
            self.sender.offer()

    @override
    def state(self, state: spi.Link, cause: Exception | None) -> None:
        """Nothing: it waits."""


def _nothing() -> None:
    """Nobody waits for this one."""
