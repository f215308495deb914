"""Receives from the queues of one subscription."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from typing_extensions import override

from unibus import spi
from unibus_rabbitmq.connection import Connection
from unibus_rabbitmq.deliveries import Inbox, RabbitIncoming, Ticket
from unibus_rabbitmq.lane import Lane
from unibus_rabbitmq.loop import Done, Timer
from unibus_rabbitmq.session import Plan, Session

_TICK_S: Final = (0.005, 0.04)
"""Oldest an ack gets before it leaves, while deliveries come and while they do not."""


class RabbitReceiver(spi.Receiver):
    """A channel for each queue; everything below "the loop's thread" runs there only.

    Args:
        connections: One for all queues, or one for each.
        events: The core.
        plan: What to do.
        where: The broker, for errors.
    """

    def __init__(
        self, connections: Sequence[Connection], events: spi.Events, plan: Plan, *, where: str
    ) -> None:
        self.events = events
        self.inbox = Inbox(plan.flow, threading.Lock())
        self._connections = connections
        self._loop = connections[0].loop
        self._plan = plan
        self._pending: deque[Sequence[spi.Verdict]] = deque()
        self._is_nudged = False
        self._tick_s = _TICK_S[0]
        self._tick_timer: Timer | None = None
        self._told: tuple[spi.Link, type] | None = None
        self._down: set[Lane] = set()
        self._lanes = [
            self._lane(connections[number % len(connections)], queue, where)
            for number, queue in enumerate(plan.queues)
        ]

    def _lane(self, connection: Connection, queue: str, where: str) -> Lane:
        return Lane(connection, self, self._plan, queue, where)

    # ---- any thread

    def open(self, timeout_s: float) -> None:
        """Consume, or fail.

        Raises:
            Exception: What pika says, e.g. a 404.
        """
        end = time.monotonic() + timeout_s
        try:
            for lane in self._lanes:
                lane.consuming.open(max(0.05, end - time.monotonic()))
        except BaseException:
            self._loop.nudge(self._leave)
            raise

    @override
    def take(self) -> spi.Incoming | None:
        return self.inbox.take(self._make)

    def _make(self, rows: list[Any], ticket: Ticket, lease: spi.Lease) -> spi.Incoming:
        return RabbitIncoming(rows, ticket, lease, self._plan.shape)

    @override
    def settle(self, verdicts: Sequence[spi.Verdict]) -> None:
        self._pending.append(verdicts)
        if not self._is_nudged:
            self._is_nudged = True
            self._loop.nudge(self._settle)

    @override
    def barrier(self) -> None:
        self._loop.nudge(self._ask_barrier)

    @override
    def pause(self, give_back: bool = False) -> None:
        self.inbox.hold()
        if give_back:
            self._loop.nudge(self._give_back)

    @override
    def resume(self) -> None:
        if self.inbox.release():
            self.events.ready()
        self._loop.nudge(self._resume)

    @override
    def is_idle(self) -> bool:
        return all(lane.consuming.line.is_standby for lane in self._lanes)

    @override
    def close(self, timeout_s: float) -> None:
        if not self._loop.is_alive:
            return
        end = time.monotonic() + timeout_s
        try:
            self._loop.call(self._begin_close, timeout_s, "closing a receiver")
        except spi.DeadlineExceededError:
            # What was settled is unknown; what is open goes back with the socket.
            self._loop.nudge(self._abandon)
        if self._plan.owns:
            for connection in self._connections:
                connection.close(max(0.1, end - time.monotonic()))

    # ---- the loop's thread

    def tell(self, lane: Lane, cause: Exception | None) -> None:
        """Report a change, not every failed attempt to undo it."""
        if cause is None:
            self._down.discard(lane)
        else:
            self._down.add(lane)
        if cause is None and self._down:
            return
        state = spi.Link.UP if cause is None else spi.Link.DOWN
        if (state, type(cause)) != self._told:
            self._told = (state, type(cause))
            self.events.state(state, cause)

    def heard(self, lane: Lane, *, is_news: bool) -> None:  # noqa: ARG002  # the next change needs it
        """Look soon for what is settled of it."""
        self._tick_s = _TICK_S[0]
        self._arm()

    def _arm(self) -> None:
        if self._tick_timer is None and any(map(_is_held, self._lanes)):
            self._tick_timer = self._loop.later(self._tick_s, self._tick)

    def _tick(self) -> None:
        """Fetch what was settled: so nobody has to wake this thread for one ack."""
        self._tick_timer = None
        if self._fetch():
            self._tick_s = _TICK_S[0]
        else:
            self._tick_s = min(_TICK_S[1], 2 * self._tick_s)
        self._arm()

    def _fetch(self) -> bool:
        verdicts = self.events.verdicts()
        if verdicts:
            self._pending.append(verdicts)
        self._settle()
        return bool(verdicts)

    def _settle(self) -> None:
        self._is_nudged = False
        now: dict[Session, list[spi.Verdict]] = {}
        while self._pending:
            for verdict in self._pending.popleft():
                session: Session = verdict.ticket.session  # type: ignore[attr-defined]  # a Ticket of ours
                if not session.is_over:
                    now.setdefault(session, []).append(verdict)
                elif verdict.kind is not spi.VerdictKind.EXTEND:
                    ticket, first, count = verdict.ticket, verdict.first, verdict.count
                    self.events.settled(ticket, first, count, session.lost)
        for session, verdicts in now.items():
            session.holder.settle(session, verdicts)

    def flush(self) -> None:
        """Pass on everything that was settled."""
        self._fetch()

    def _leave_acks(self) -> None:
        self._fetch()
        for lane in self._lanes:
            lane.leave()

    def _ask_barrier(self) -> None:
        self._settle()
        for lane in self._lanes:
            lane.ask_barrier()

    def _give_back(self) -> None:
        self._leave_acks()
        for lane in self._lanes:
            lane.give_back(spi.LeaseLostError("it was given back by pause"))

    def _resume(self) -> None:
        for lane in self._lanes:
            lane.consuming.resume()

    def _begin_close(self, done: Done[None]) -> None:
        self._leave_acks()
        left = set(self._lanes)

        def closed(lane: Lane) -> None:
            left.discard(lane)
            if not left:
                done(None)

        for lane in self._lanes:
            lane.close(partial(closed, lane))

    def _leave(self) -> None:
        for lane in self._lanes:
            lane.consuming.leave()

    def _abandon(self) -> None:
        self._leave()
        for connection in self._connections:
            connection.tear(spi.ClosedError("the receiver is closed"))


def _is_held(lane: Lane) -> bool:
    return lane.session is not None and lane.session.is_held
