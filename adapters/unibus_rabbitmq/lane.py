"""One queue of a receiver: what comes from it, what is settled, and how it is handed over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from typing_extensions import override

from unibus import spi
from unibus_rabbitmq.channel import Channel
from unibus_rabbitmq.connection import Connection
from unibus_rabbitmq.consuming import Consuming
from unibus_rabbitmq.deliveries import Inbox, Ticket
from unibus_rabbitmq.line import Line
from unibus_rabbitmq.loop import Timer
from unibus_rabbitmq.session import Begin, Holder, Plan, Session

_STRAGGLERS_S: Final = 0.005
_HANDLERS_S: Final = 30.0
"""How long handlers that run have before their lane is handed over: after that, what they handle
is handled by somebody else at the same time."""


class House(Protocol):
    """The receiver, as its lanes know it; called on the loop's thread."""

    @property
    def events(self) -> spi.Events:
        """The core."""

    @property
    def inbox(self) -> Inbox:
        """Where deliveries can be taken."""

    def tell(self, lane: Lane, cause: Exception | None) -> None:
        """Hear that *lane* is lost because of *cause*, or delivered again."""

    def heard(self, lane: Lane, *, is_news: bool) -> None:
        """Hear that something has come; *is_news*: the lane turns out to be ours."""

    def flush(self) -> None:
        """Pass on everything that was settled."""


class Lane(Holder):
    """One queue; all of it runs on the loop's thread.

    Attributes:
        consuming: The channel.
    """

    def __init__(
        self, connection: Connection, house: House, plan: Plan, queue: str, where: str
    ) -> None:
        prefetch = max(1, min(65_535, plan.flow.max_unsettled // len(plan.queues)))
        is_lane = plan.is_ordered and not plan.is_log
        line = Line(queue, prefetch, is_lane=is_lane)
        self.consuming = Consuming(connection, self, plan, line, where)
        self._connection = connection
        self._house = house
        self._plan = plan
        self._is_asking = self._asks_again = False
        self._straggler_timer: Timer | None = None

    @property
    def session(self) -> Session | None:
        """What is consumed on now."""
        return self.consuming.session

    # ---- what its channel tells

    @override
    def settled(self, ticket: object, first: int, count: int, outcome: spi.Outcome) -> None:
        self._house.events.settled(ticket, first, count, outcome)

    @override
    def prepare(self, channel: Channel, begin: Begin) -> None:
        begin({})

    @override
    def began(self, session: Session) -> None:
        self._house.tell(self, None)
        self.burst()

    @override
    def ended(self, session: Session | None, cause: spi.UnibusError) -> None:
        """The channel is gone: what is held is no longer ours."""
        self._forget_barrier()
        self._house.tell(self, cause)
        if session is not None:
            session.settler.lost(spi.unknown(cause))
            self.end(session, cause)
        self._house.flush()

    def end(self, session: Session, cause: spi.UnibusError) -> None:
        """Tell the core that what came on *session* is no longer its own."""
        session.end(cause)
        if self._house.inbox.end(session):
            self._house.events.ready()
        if session.lease is not None:
            self._house.events.lost([session.lease], cause)

    @override
    def burst(self) -> None:
        session = self.session
        if session is None or session.lease is None or not session.rows:
            return
        rows = session.take_rows()
        if session.is_leaving:
            return
        is_news = self.consuming.line.heard()
        if self.accept(session, session.lease, rows):
            self._house.events.ready()
        self._house.heard(self, is_news=is_news)

    def accept(self, session: Session, lease: spi.Lease, rows: list[Any]) -> bool:
        """Put *rows* where they can be taken; return whether somebody waits for them."""
        return self._house.inbox.put(Ticket(session, rows[0][0]), lease, rows)

    # ---- settling

    @override
    def settle(self, session: Session, verdicts: Sequence[spi.Verdict]) -> None:
        session.settler.settle(verdicts)
        extend = spi.VerdictKind.EXTEND
        count = sum([v.count for v in verdicts if v.kind is not extend])
        if self._house.inbox.settled(session, count):
            self._house.events.ready()
        self.after_settling(session)

    def after_settling(self, session: Session) -> None:
        """Have what waits leave soon."""
        if session.settler.fold.has_stragglers and self._straggler_timer is None:
            self._straggler_timer = self._connection.loop.later(_STRAGGLERS_S, self._stragglers)
        if session.settler.wants_barrier:
            self.ask_barrier()

    def _stragglers(self) -> None:
        self._straggler_timer = None
        self.leave()

    def leave(self) -> None:
        """Have everything that was settled leave now."""
        if (session := self.session) is not None:
            session.settler.leave()

    def ask_barrier(self) -> None:
        """Have what was sent reported as settled."""
        session = self.session
        if session is None or session.lease is None:
            return
        if self._is_asking:
            self._asks_again = True
            return
        self._is_asking = True
        self.ask(session)

    def ask(self, session: Session) -> None:
        """Ask the broker, and call ``answered``."""
        self.consuming.ask()
        session.settler.ask()
        prefetch = self.consuming.line.prefetch

        def done(_frame: object) -> None:
            if session is self.session:
                self.consuming.answered()
                session.settler.answered()
                self.answered()

        session.channel.basic_qos(prefetch_count=prefetch, callback=done)

    def answered(self) -> None:
        """The barrier is back."""
        self._is_asking = False
        if self._asks_again:
            self._asks_again = False
            self._house.flush()
            self.ask_barrier()

    def _forget_barrier(self) -> None:
        self._is_asking = self._asks_again = False

    # ---- giving back

    def give_back(self, cause: spi.UnibusError) -> None:
        """Stay away until ``consuming.resume``."""
        session = self.session
        self._forget_barrier()
        self.consuming.give_back()
        if session is not None:
            self.end(session, cause)

    def close(self, closed: Callable[[], None]) -> None:
        """Close for good."""
        session = self.session

        def finish() -> None:
            self.consuming.leave()
            closed()

        if session is None or session.lease is None:
            finish()
            return
        session.end(spi.ClosedError("the receiver is closed"))
        self._house.inbox.end(session)
        self.consuming.close(session, finish)

    def hand_over(self, done: Callable[[], None]) -> None:
        """Let the next in line have the lane, once nothing of it is being handled; then *done*."""
        session = self.session
        if session is None or session.lease is None:
            done()
            return
        session.is_leaving = True
        self._house.inbox.drop(session)
        lease, loop = session.lease, self._connection.loop

        def wait() -> None:
            self._house.events.revoking([lease], _HANDLERS_S)
            if loop.is_alive:
                loop.nudge(finish)

        def finish() -> None:
            if session is self.session:
                self._house.flush()
                self._go(session)
            done()

        # The core waits, and this thread may not.
        threading.Thread(target=wait, name="unibus-rabbitmq-handover", daemon=True).start()

    def _go(self, session: Session) -> None:
        session.settler.leave()
        self._forget_barrier()
        self.consuming.go_behind()
        self.end(session, spi.LeaseLostError("its lane was handed over to another consumer"))
