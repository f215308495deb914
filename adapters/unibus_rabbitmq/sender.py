"""Publishes what it pulls, on one channel with pipelined confirms."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, Final

import pika
from typing_extensions import override

from unibus import spi
from unibus_rabbitmq import errors, outcomes
from unibus_rabbitmq.channel import Channel, User
from unibus_rabbitmq.confirms import Confirms
from unibus_rabbitmq.connection import Connection
from unibus_rabbitmq.loop import Done
from unibus_rabbitmq.publishing import OwnWriter, PikaWriter, Target, Writer

_PULLS_A_TURN: Final = 64
_RETRY_S: Final = (0.05, 1.0)
_OVERDUE_S: Final = 15.0
_FORBIDDEN = 403


class RabbitSender(spi.Sender, User):
    """One channel that publishes; everything below "the loop's thread" runs there only."""

    def __init__(
        self,
        connection: Connection,
        source: spi.Source,
        target: Target,
        *,
        wall: Callable[[], float],
        where: str,
    ) -> None:
        self._connection = connection
        self._source = source
        self._target = target
        self._wall = wall
        self._where = where
        self._confirms = Confirms(source.completed, f"{os.urandom(4).hex()}-")
        self._channel: Channel | None = None
        self._writer: Writer | None = None
        self._asked_at: float | None = None
        self._attempts = 0
        self._is_blocked = self._is_offered = self._is_closing = False
        self._told: tuple[spi.Link, type] | None = None
        self._opened: Done[None] | None = None
        self._closed: Done[None] | None = None
        self._nacked = outcomes.nacked(where)

    # ---- any thread

    def open(self, timeout_s: float) -> None:
        """Open the channel, and see whether there is anything to publish to.

        Raises:
            Exception: What pika says, e.g. a 404.
        """

        def start(done: Done[None]) -> None:
            self._opened = done
            self._connection.join(self)

        try:
            self._connection.loop.call(start, timeout_s, "opening a sender")
        except BaseException:
            self._connection.loop.nudge(self._leave)
            raise

    @override
    def offer(self) -> None:
        if not self._is_offered:
            self._is_offered = True
            self._connection.loop.nudge(self._drain)

    @override
    def push(self) -> None:
        """Nothing lingers here."""

    @override
    def close(self, timeout_s: float) -> None:
        loop = self._connection.loop
        if not loop.is_alive:
            return
        end = time.monotonic() + timeout_s
        try:
            loop.call(self._begin_close, timeout_s, "closing a sender")
        except spi.DeadlineExceededError as error:
            outcome = outcomes.too_late(error, self._where)

            def give_up(done: Done[None]) -> None:
                self._confirms.lost(outcome)
                self._leave()
                done(None)

            loop.call(give_up, max(0.1, end - time.monotonic()), "closing a sender")

    # ---- the loop's thread

    @override
    def connected(self) -> None:
        self._open_channel()

    @override
    def disconnected(self, cause: Exception) -> None:
        if self._opened is not None:
            self._fail_open(cause)
            return
        self._is_blocked = False
        self._down(cause, spi.Link.DOWN)

    @override
    def blocked(self, reason: str | None) -> None:
        was, self._is_blocked = self._is_blocked, reason is not None
        if reason is not None:
            cause = spi.OverloadedError(
                f"RabbitMQ at {self._where} takes no publishes for now: {reason}; free some of it"
            )
            self._tell(spi.Link.DOWN, cause)
        elif was and self._writer is not None:
            self._tell(spi.Link.UP, None)
            self._drain()

    @override
    def is_overdue(self, now: float) -> bool:
        return self._asked_at is not None and now - self._asked_at > _OVERDUE_S

    def _open_channel(self) -> None:
        if self._channel is not None or not self._connection.is_open or self._is_closing:
            return
        try:
            self._channel = self._connection.channel(self._probe)
        except pika.exceptions.NoFreeChannels as error:
            self._gone(error)
            return
        self._asked_at = time.monotonic()
        self._channel.add_on_close_callback(self._channel_closed)

    def _probe(self, channel: Channel) -> None:
        """See first whether it exists: a publish to nowhere costs everything in flight."""
        channel.add_on_return_callback(self._returned)
        exchange, routing_key, _ = self._target.address

        def found(_frame: object) -> None:
            self._confirm_mode(channel)

        if exchange:
            channel.exchange_declare(exchange, passive=True, callback=found)
        elif routing_key:
            channel.queue_declare(routing_key, passive=True, callback=found)
        else:
            self._confirm_mode(channel)

    def _confirm_mode(self, channel: Channel) -> None:
        if self._target.is_confirmed:
            channel.confirm_delivery(self._pika_confirmed, lambda _: self._ready(channel))
        else:
            self._ready(channel)

    def _ready(self, channel: Channel) -> None:
        self._asked_at = None
        self._attempts = 0
        number = channel.channel_number
        transport = self._connection.transport
        if transport is not None:
            transport.scanner.confirms[number] = self._confirmed
            self._writer = OwnWriter(transport, number, self._target, self._confirms.prefix)
        else:
            self._writer = PikaWriter(channel, self._target, self._confirms.prefix)
        opened, self._opened = self._opened, None
        if opened is not None:
            opened(None)
        if not self._is_blocked:
            self._tell(spi.Link.UP, None)
        self._drain()

    def _channel_closed(self, channel: Channel, cause: Exception) -> None:
        transport = self._connection.transport
        if transport is not None:
            transport.scanner.confirms.pop(channel.channel_number, None)
        if channel is self._channel and self._connection.is_open:
            self._gone(cause)

    def _gone(self, cause: Exception) -> None:
        """The channel is gone and the connection is not: open another one, a little later."""
        if self._opened is not None:
            self._fail_open(cause)
            return
        was_probing = self._writer is None
        is_forbidden = getattr(cause, "reply_code", None) == _FORBIDDEN
        is_fatal = is_forbidden or (was_probing and errors.is_missing(cause))
        self._down(cause, spi.Link.FATAL if is_fatal else spi.Link.DOWN)
        least, most = _RETRY_S
        delay_s = min(most, least * 2**self._attempts)
        self._attempts = min(self._attempts + 1, 10)
        self._connection.loop.later(delay_s, self._open_channel)

    def _fail_open(self, cause: Exception) -> None:
        opened, self._opened = self._opened, None
        self._channel = self._writer = None
        self._leave()
        if opened is not None:
            opened(cause)

    def _down(self, cause: Exception, state: spi.Link) -> None:
        """What was written and not confirmed is unknown; what was not pulled was not sent."""
        self._channel = self._writer = self._asked_at = None
        if self._confirms.is_empty:
            self._confirms.restart()
        else:
            self._confirms.lost(outcomes.lost(cause, self._where))
        if self._is_closing:
            self._end_close()
        else:
            self._tell(state, errors.translate(cause, self._where))

    def _tell(self, state: spi.Link, cause: Exception | None) -> None:
        """Report a change, not every failed attempt to undo it."""
        if (state, type(cause)) != self._told:
            self._told = (state, type(cause))
            self._source.state(state, cause)

    def _drain(self) -> None:
        self._is_offered = False
        for _ in range(_PULLS_A_TURN):
            writer, transport = self._writer, self._connection.transport
            if writer is None or self._is_blocked or self._is_closing:
                return
            if transport is not None and transport.is_congested:
                transport.has_room.append(self.offer)
                return
            batch = self._source.pull()
            if batch is None:
                return
            refused = writer.write(batch, self._confirms.next_number, self._wall())
            self._confirms.written(batch, refused)
            if not self._target.is_confirmed:
                self._confirms.confirm(0, spi.ACCEPTED, multiple=True)
        self.offer()  # others on this connection come first

    def _pika_confirmed(self, frame: Any) -> None:  # noqa: ANN401  # pika ships no types
        method = frame.method
        is_ack = isinstance(method, pika.spec.Basic.Ack)
        self._confirmed(method.delivery_tag, method.multiple, is_ack)

    def _confirmed(self, tag: int, multiple: bool, ok: bool) -> None:  # noqa: FBT001  # called per frame
        outcome = spi.ACCEPTED if ok else self._nacked
        self._confirms.confirm(tag, outcome, multiple=multiple)
        if self._is_closing and self._confirms.is_empty:
            self._end_close()

    def _returned(self, _channel: Channel, method: Any, properties: Any, _body: bytes) -> None:  # noqa: ANN401  # pika ships no types
        if not self._target.is_confirmed:
            return
        message_id = properties.message_id or (properties.headers or {}).get(spi.header_names.ID)
        is_direct = self._target.address.is_direct
        tag = self._confirms.find(str(message_id), None if is_direct else method.routing_key)
        if tag is None:
            return
        said = f"{method.reply_code} {method.reply_text}"
        exchange = self._target.address.exchange
        self._confirms.returned(tag, outcomes.returned(exchange, method.routing_key, said))

    def _begin_close(self, done: Done[None]) -> None:
        self._is_closing = True
        self._closed = done
        if self._confirms.is_empty or self._writer is None:
            self._end_close()

    def _end_close(self) -> None:
        closed, self._closed = self._closed, None
        self._leave()
        if closed is not None:
            closed(None)

    def _leave(self) -> None:
        self._is_closing = True
        self._connection.leave(self)
        channel, self._channel = self._channel, None
        self._writer = None
        if channel is not None and channel.is_open:
            channel.close()
