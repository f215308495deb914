"""The channel that a receiver consumes on: opened, watched, given back, and opened again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import pika
from typing_extensions import override

from unibus import spi
from unibus_rabbitmq import errors
from unibus_rabbitmq.channel import Channel, User
from unibus_rabbitmq.connection import Connection
from unibus_rabbitmq.line import Line
from unibus_rabbitmq.loop import Done
from unibus_rabbitmq.session import Holder, Plan, Session
from unibus_rabbitmq.settling import OwnSide, PikaSide, Settler, spare

_RETRY_S: Final = (0.05, 1.0)
_OVERDUE_S: Final = 15.0


class Consuming(User):
    """One channel at a time; all of it runs on the loop's thread, but for ``open``.

    Attributes:
        session: What is consumed on now, from the moment it is asked for.
        line: The consumers before its queue.
    """

    def __init__(
        self, connection: Connection, holder: Holder, plan: Plan, line: Line, where: str
    ) -> None:
        self.session: Session | None = None
        self.line = line
        self._connection = connection
        self._holder, self._plan, self._where = holder, plan, where
        self._channel: Channel | None = None
        self._is_wanted = True
        self._is_torn = False
        self._asked_at: float | None = None
        self._failures = 0
        self._opened: Done[None] | None = None
        self._closing: Session | None = None
        self._closed: Callable[[], None] | None = None

    def open(self, timeout_s: float) -> None:
        """Consume, or fail; any thread.

        Raises:
            Exception: What pika says, e.g. a 404.
        """

        def start(done: Done[None]) -> None:
            self._opened = done
            self._connection.join(self)

        try:
            self._connection.loop.call(start, timeout_s, "opening a receiver")
        except BaseException:
            self._connection.loop.nudge(self.leave)
            raise

    # ---- opening

    @override
    def connected(self) -> None:
        self._open_channel()

    def resume(self) -> None:
        """Consume again after ``give_back``."""
        self._is_wanted = True
        self._open_channel()

    def _open_channel(self) -> None:
        if not self._is_wanted or self._channel is not None or not self._connection.is_open:
            return
        try:
            self._channel = self._connection.channel(self._channel_opened)
        except pika.exceptions.NoFreeChannels as error:
            self._failed(error)
            return
        self.ask()
        self._channel.add_on_close_callback(self._channel_closed)
        self._channel.add_on_cancel_callback(self._cancelled)

    def _channel_opened(self, channel: Channel) -> None:
        if channel is self._channel and self._is_wanted:
            self._holder.prepare(channel, lambda arguments: self._begin(channel, arguments))
            return
        channel.close()
        if channel is self._channel:
            self._channel = None

    def _begin(self, channel: Channel, arguments: dict[str, object]) -> None:
        if channel is not self._channel:
            return
        plan, transport = self._plan, self._connection.transport
        side: OwnSide | PikaSide
        if transport is None:
            side = PikaSide(channel, self._tear if plan.tears else None)
        else:
            side = OwnSide(transport, channel)
        report = self._holder.settled
        settler = Settler(side, report, is_ordered=plan.is_ordered, is_log=plan.is_log)
        session = self.session = Session(channel, side, settler, self._holder)
        if isinstance(side, OwnSide):
            side.begin(session.rows, self._holder.burst)
        self.line.enter(channel, self._came, arguments, lambda: self._delivers(session))

    def _came(self, channel: Channel, method: Any, properties: Any, body: bytes) -> None:  # noqa: ANN401  # pika ships no types
        session = self.session
        if session is None or session.channel is not channel:
            return
        if not session.rows:
            self._connection.loop.burst(self._holder.burst)
        session.rows.append((method.delivery_tag, method, properties, body))

    def _delivers(self, session: Session) -> None:
        if session is not self.session:
            return
        self.answered()
        self._failures = 0
        # A consume that is refused has no lease to lose.
        session.lease = spi.Lease(f"channel {session.channel.channel_number}")
        opened, self._opened = self._opened, None
        if opened is not None:
            opened(None)
        self._holder.began(session)
        self._look_later(session)

    # ---- watching

    def ask(self) -> None:
        """Note that the broker owes an answer."""
        self._asked_at = time.monotonic()

    def answered(self) -> None:
        """Note that it has given it."""
        self._asked_at = None

    @override
    def is_overdue(self, now: float) -> bool:
        return self._asked_at is not None and now - self._asked_at > _OVERDUE_S

    @override
    def blocked(self, reason: str | None) -> None:
        """Nothing: only publishing is blocked."""

    def _look_later(self, session: Session) -> None:
        if not self._plan.is_log:
            self._connection.loop.later(self.line.look_again_s, lambda: self._look(session))

    def _look(self, session: Session) -> None:
        """See now and then whether the queues still know of this consumer."""
        if session is not self.session:
            return
        if self.line.is_deaf(is_held=session.is_held):
            self._drop(session, spi.ConnectionLostError("the queue no longer knows its consumer"))
            return

        def looked() -> None:
            if session is self.session:
                self.answered()
                self._look_later(session)

        self.ask()
        self.line.look(session.channel, looked)

    def _cancelled(self, _frame: object) -> None:
        """The broker ended the consumer: without this it would be connected and deaf."""
        if self.session is not None:
            why = "the queue was deleted or is moving to another node; declare it again"
            cause = f"RabbitMQ at {self._where} ended the consumer of {self.line.queue}: {why}"
            self._drop(self.session, spi.NotFoundError(cause))

    # ---- losing

    @override
    def disconnected(self, cause: Exception) -> None:
        is_torn, self._is_torn = self._is_torn, False
        if is_torn:
            self._channel = None
        elif self._opened is not None:
            self._fail_open(cause)
        elif self._closing is not None:
            self._closing.settler.lost(spi.unknown(errors.translate(cause, self._where)))
            self._retired()
        else:
            self._lose(cause)

    def _channel_closed(self, channel: Channel, cause: Exception) -> None:
        """By the broker or with the connection; of our own closing ``_retired`` hears."""
        if self.session is not None and self.session.channel is channel:
            self.session.side.end()
        if channel is not self._channel or self._closing is not None:
            return
        if self._connection.is_open:
            self._failed(cause)

    def _failed(self, cause: Exception) -> None:
        if self._opened is not None:
            self._fail_open(cause)
            return
        self._lose(cause)
        delay_s = min(_RETRY_S[1], _RETRY_S[0] * 2**self._failures)
        self._failures = min(self._failures + 1, 10)
        self._connection.loop.later(delay_s, self._open_channel)

    def refuse(self, channel: Channel, cause: Exception) -> None:
        """Give up *channel*, which does not consume yet: it may not."""
        if channel is self._channel:
            self._failed(cause)
        if channel.is_open:
            channel.close()

    def _fail_open(self, cause: Exception) -> None:
        opened, self._opened = self._opened, None
        self.leave()
        if opened is not None:
            opened(cause)

    def _lose(self, cause: Exception) -> None:
        session, self.session, self._channel = self.session, None, None
        self.answered()
        self._holder.ended(session, errors.translate(cause, self._where))

    def _drop(self, session: Session, cause: Exception) -> None:
        """Give up a channel that still works; another is opened a little later."""
        self._lose(cause)
        self._channel = session.channel
        self._retire(session, None)

    # ---- giving back

    def give_back(self) -> None:
        """Close the channel and stay away until ``resume``."""
        self._is_wanted = False
        self.go_behind()

    def go_behind(self) -> None:
        """Close the channel, and enter the line again behind all others."""
        session, self.session = self.session, None
        if session is not None:
            session.settler.ask()
            self._retire(session, None)

    def close(self, session: Session, closed: Callable[[], None]) -> None:
        """Close the channel for good; *closed* once the broker has done all that came before."""
        self._is_wanted = False
        self.session = None
        session.settler.ask()
        self._retire(session, closed)

    def _retire(self, session: Session, closed: Callable[[], None] | None) -> None:
        """Close the channel; what is unsettled goes back in order, or uncounted if nobody asks."""
        self._closing, self._closed = session, closed
        self.ask()
        if self._is_wanted or self._plan.is_ordered or self._plan.is_log:
            self._close_channel(session)
        else:
            spare(session.channel, session.side, lambda: self._close_channel(session))

    def _close_channel(self, session: Session) -> None:
        def done(_frame: object = None) -> None:
            if self._closing is session:
                session.settler.answered()
                self._retired()

        session.side.close(done)

    def _tear(self) -> None:
        self._is_torn = True
        self._connection.tear(spi.ClosedError("given back"))

    def _retired(self) -> None:
        closed = self._closed
        self._closing = self._closed = self._channel = None
        self.answered()
        if closed is not None:
            closed()
        else:
            self._connection.loop.later(_RETRY_S[0], self._open_channel)

    def leave(self) -> None:
        """Want nothing more of the connection."""
        self._is_wanted = False
        self._connection.leave(self)
        session, channel = self.session, self._channel
        self.session = self._channel = None
        if session is not None:
            session.side.close(_nothing)
        elif channel is not None and channel.is_open:
            channel.close()


def _nothing(*_arguments: object) -> None:
    """Stands where a callback is asked for and none is needed."""
