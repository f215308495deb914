"""Receives from the queues of one subscription."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from typing_extensions import override

from unibus import spi
from unibus_rabbitmq.channel import Channel
from unibus_rabbitmq.connection import Connection
from unibus_rabbitmq.consuming import Consuming
from unibus_rabbitmq.deliveries import Inbox, RabbitIncoming, Ticket
from unibus_rabbitmq.loop import Done, Timer
from unibus_rabbitmq.session import Begin, Plan, Session

_TICK_S: Final = (0.005, 0.04)
"""Oldest an ack gets before it leaves, while deliveries come and while they do not."""


class RabbitReceiver(spi.Receiver):
    """One channel that consumes; everything below "the loop's thread" runs there only."""

    def __init__(
        self, connection: Connection, events: spi.Events, plan: Plan, *, where: str
    ) -> None:
        self._connection = connection
        self._events = events
        self._plan = plan
        self._inbox = Inbox(plan.flow, threading.Lock())
        self._pending: deque[Sequence[spi.Verdict]] = deque()
        self._is_nudged = False
        self._is_asking = self._asks_again = False
        self._tick_s = _TICK_S[0]
        self._tick_timer: Timer | None = None
        self._straggler_timer: Timer | None = None
        self._told: tuple[spi.Link, type] | None = None
        self._consuming = Consuming(connection, self, plan, where)

    # ---- any thread

    def open(self, timeout_s: float) -> None:
        """Consume, or fail.

        Raises:
            Exception: What pika says, e.g. a 404.
        """
        self._consuming.open(timeout_s)

    @override
    def take(self) -> spi.Incoming | None:
        return self._inbox.take(self._make)

    def _make(self, rows: list[Any], ticket: Ticket, lease: spi.Lease) -> spi.Incoming:
        return RabbitIncoming(rows, ticket, lease, self._plan.shape)

    @override
    def settle(self, verdicts: Sequence[spi.Verdict]) -> None:
        self._pending.append(verdicts)
        if not self._is_nudged:
            self._is_nudged = True
            self._connection.loop.nudge(self._settle)

    @override
    def barrier(self) -> None:
        self._connection.loop.nudge(self._ask_barrier)

    @override
    def pause(self, give_back: bool = False) -> None:
        self._inbox.hold()
        if give_back:
            self._connection.loop.nudge(self._give_back)

    @override
    def resume(self) -> None:
        if self._inbox.release():
            self._events.ready()
        self._connection.loop.nudge(self._consuming.resume)

    @override
    def is_idle(self) -> bool:
        return self._consuming.shards.is_standby

    @override
    def close(self, timeout_s: float) -> None:
        loop = self._connection.loop
        if not loop.is_alive:
            return
        end = time.monotonic() + timeout_s
        try:
            loop.call(self._begin_close, timeout_s, "closing a receiver")
        except spi.DeadlineExceededError:
            # What was settled is unknown; what is open goes back with the socket.
            loop.nudge(self._abandon)
        if self._plan.owns:
            self._connection.close(max(0.1, end - time.monotonic()))

    # ---- the loop's thread

    def settled(self, ticket: object, first: int, count: int, outcome: spi.Outcome) -> None:
        """Pass it on."""
        self._events.settled(ticket, first, count, outcome)

    def prepare(self, channel: Channel, begin: Begin) -> None:  # noqa: ARG002  # streams need it
        """Nothing comes before consuming from a queue."""
        begin({})

    def began(self, session: Session) -> None:  # noqa: ARG002  # streams need it
        """The broker delivers."""
        self._tell(spi.Link.UP, None)
        self.burst()

    def ended(self, session: Session | None, cause: spi.UnibusError) -> None:
        """The channel is gone: what is held is no longer ours."""
        self._is_asking = self._asks_again = False
        self._tell(spi.Link.DOWN, cause)
        if session is not None:
            session.settler.lost(spi.unknown(cause))
            self._end(session, cause)
        self._settle()

    def _tell(self, state: spi.Link, cause: Exception | None) -> None:
        """Report a change, not every failed attempt to undo it."""
        if (state, type(cause)) != self._told:
            self._told = (state, type(cause))
            self._events.state(state, cause)

    def _end(self, session: Session, cause: spi.UnibusError) -> None:
        self._inbox.clear()
        session.end(cause)
        if session.lease is not None:
            self._events.lost([session.lease], cause)

    def burst(self) -> None:
        """Hand out what has come, once everything that could be read has been read."""
        session = self._consuming.session
        if session is None or session.lease is None or not session.rows:
            return
        rows = session.take_rows()
        self._consuming.shards.heard()
        if self._accept(session, session.lease, rows):
            self._events.ready()
        self._tick_s = _TICK_S[0]
        self._arm(session)

    def _accept(self, session: Session, lease: spi.Lease, rows: list[Any]) -> bool:
        """Put *rows* where they can be taken; return whether somebody waits for them."""
        return self._inbox.put(Ticket(session, rows[0][0]), lease, rows)

    def _arm(self, session: Session) -> None:
        if self._tick_timer is None and session.is_held:
            self._tick_timer = self._connection.loop.later(self._tick_s, self._tick)

    def _tick(self) -> None:
        """Fetch what was settled: so nobody has to wake this thread for one ack."""
        self._tick_timer = None
        verdicts = self._events.verdicts()
        if verdicts:
            self._pending.append(verdicts)
            self._tick_s = _TICK_S[0]
        else:
            self._tick_s = min(_TICK_S[1], 2 * self._tick_s)
        self._settle()
        if (session := self._consuming.session) is not None:
            self._arm(session)

    def _settle(self) -> None:
        self._is_nudged = False
        session = self._consuming.session
        now: list[spi.Verdict] = []
        while self._pending:
            for verdict in self._pending.popleft():
                theirs: Session = verdict.ticket.session  # type: ignore[attr-defined]  # a Ticket of ours
                if theirs is session:
                    now.append(verdict)
                elif verdict.kind is not spi.VerdictKind.EXTEND:
                    self._events.settled(verdict.ticket, verdict.first, verdict.count, theirs.lost)
        if session is None or not now:
            return
        self._pass_on(session, now)

    def _pass_on(self, session: Session, verdicts: Sequence[spi.Verdict]) -> None:
        session.settler.settle(verdicts)
        extend = spi.VerdictKind.EXTEND
        if self._inbox.settled(sum([v.count for v in verdicts if v.kind is not extend])):
            self._events.ready()
        if session.settler.fold.has_stragglers and self._straggler_timer is None:
            self._straggler_timer = self._connection.loop.later(_TICK_S[0], self._stragglers)
        if session.settler.wants_barrier:
            self._ask_barrier()

    def _stragglers(self) -> None:
        self._straggler_timer = None
        if (session := self._consuming.session) is not None:
            session.settler.leave()

    def _ask_barrier(self) -> None:
        self._settle()
        session = self._consuming.session
        if session is None or session.lease is None:
            return
        if self._is_asking:
            self._asks_again = True
            return
        self._is_asking = True
        self._consuming.ask()
        session.settler.ask()
        prefetch = self._consuming.shards.prefetch
        session.channel.basic_qos(
            prefetch_count=prefetch, callback=lambda _: self._answered(session)
        )

    def _answered(self, session: Session) -> None:
        if session is not self._consuming.session:
            return
        self._is_asking = False
        self._consuming.answered()
        session.settler.answered()
        if self._asks_again:
            self._asks_again = False
            self._ask_barrier()

    def _flush(self) -> Session | None:
        """Pass on everything that was settled."""
        self._pending.append(self._events.verdicts())
        self._settle()
        session = self._consuming.session
        if session is not None:
            session.settler.leave()
        return session

    def _give_back(self) -> None:
        session = self._flush()
        self._is_asking = self._asks_again = False
        self._consuming.give_back()
        if session is not None:
            self._end(session, spi.LeaseLostError("it was given back by pause"))

    def _begin_close(self, done: Done[None]) -> None:
        session = self._flush()
        self._inbox.clear()

        def finish() -> None:
            self._consuming.leave()
            done(None)

        if session is None or session.lease is None:
            finish()
            return
        session.end(spi.ClosedError("the receiver is closed"))
        self._consuming.close(session, finish)

    def _abandon(self) -> None:
        self._consuming.leave()
        self._connection.tear(spi.ClosedError("the receiver is closed"))
