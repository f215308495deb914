"""Settlements of one channel incarnation on their way to the broker."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol, cast

from unibus import spi
from unibus_rabbitmq import frames
from unibus_rabbitmq.acks import Fold
from unibus_rabbitmq.channel import Channel
from unibus_rabbitmq.deliveries import Ticket
from unibus_rabbitmq.transport import Transport

Report = Callable[[object, int, int, spi.Outcome], None]

_MAX_SENT = 64
"""Ranges that wait for a barrier; more of them ask for one, so that nobody's books grow."""


class Side(Protocol):
    """The consuming side of a channel."""

    def ack(self, tag: int, *, multiple: bool) -> None:
        """Ack *tag*, or all that are outstanding up to it."""

    def reject(self, tag: int, *, requeue: bool) -> None:
        """Count a failed attempt, or dead-letter."""

    def give_back(self, tag: int) -> None:
        """Put back."""

    def give_back_all(self) -> None:
        """Put back everything that is outstanding."""

    def close(self, closed: Callable[[], None]) -> None:
        """Close the channel."""


class OwnSide:
    """In frames of our own."""

    def __init__(self, transport: Transport, channel: Channel) -> None:
        self._transport = transport
        self._channel = channel
        self._number = channel.channel_number

    def begin(self, rows: list[Any], burst: Callable[[], None]) -> None:
        """Have deliveries put into *rows* and *burst* called when there are some."""
        self._transport.scanner.deliveries[self._number] = rows
        self._transport.bursts[self._number] = burst

    def ack(self, tag: int, *, multiple: bool) -> None:
        """Ack; see ``Side``."""
        self._transport.write(frames.ack(self._number, tag, multiple=multiple))

    def reject(self, tag: int, *, requeue: bool) -> None:
        """Reject; see ``Side``."""
        self._transport.write(frames.reject(self._number, tag, requeue=requeue))

    def give_back(self, tag: int) -> None:
        """Put back; see ``Side``."""
        self._transport.write(frames.give_back(self._number, tag))

    def give_back_all(self) -> None:
        """Put all back; see ``Side``."""
        self._transport.write(frames.give_back_all(self._number))

    def close(self, closed: Callable[[], None]) -> None:
        """Close the channel without ``basic.cancel``, as pika cannot.

        pika's own close cancels first, and the standby of a single active consumer begins before
        the unsettled deliveries are back. So the frame is ours; when the broker has answered it,
        pika is told that the broker closed the channel, and its answer to that is dropped.
        """
        transport, number = self._transport, self._number

        def answered() -> None:
            self.end()
            if self._channel.is_open:
                transport.is_muted = True
                try:
                    transport.get_protocol().data_received(frames.close(number))
                finally:
                    transport.is_muted = False
            closed()

        transport.scanner.closings[number] = answered
        transport.write(frames.close(number))

    def end(self) -> None:
        """Let pika have what still comes for this channel."""
        self._transport.scanner.deliveries.pop(self._number, None)
        self._transport.bursts.pop(self._number, None)


class PikaSide:
    """By pika's channel.

    Args:
        channel: On a connection that is nobody else's, if there is *tear*.
        tear: Breaks that connection.
    """

    def __init__(self, channel: Channel, tear: Callable[[], None] | None) -> None:
        self._channel = channel
        self._tear = tear

    def ack(self, tag: int, *, multiple: bool) -> None:
        """Ack; see ``Side``."""
        self._channel.basic_ack(tag, multiple=multiple)

    def reject(self, tag: int, *, requeue: bool) -> None:
        """Reject; see ``Side``."""
        self._channel.basic_reject(tag, requeue=requeue)

    def give_back(self, tag: int) -> None:
        """Put back; see ``Side``."""
        self._channel.basic_nack(tag, multiple=False, requeue=True)

    def give_back_all(self) -> None:
        """Put all back; see ``Side``."""
        self._channel.basic_nack(0, multiple=True, requeue=True)

    def close(self, closed: Callable[[], None]) -> None:
        """Close the channel; where an order is promised, with its connection.

        pika's own close cancels first. So the socket goes, once everything has arrived.
        """
        if self._tear is not None:
            tear = self._tear

            def arrived(_frame: object) -> None:
                closed()
                tear()

            self._channel.basic_qos(prefetch_count=1, callback=arrived)
            return
        self._channel.add_on_close_callback(lambda _channel, _cause: closed())
        self._channel.close()

    def end(self) -> None:
        """Nothing is kept."""


def spare(channel: Channel, side: Side, then: Callable[[], None]) -> None:
    """Put back all that *channel* has outstanding, uncounted and in no order, *then* go on.

    A channel that ends counts as a failed attempt of all that it holds, a nack does not (RabbitMQ
    4.3). A consumer that were still there would get it all again.
    """

    def cancelled(_frame: object = None) -> None:
        side.give_back_all()
        then()

    if channel.consumer_tags:
        channel.basic_cancel(channel.consumer_tags[0], cancelled)
    else:
        cancelled()


class Settler:
    """Answers deliveries of one channel incarnation, in few frames.

    Attributes:
        fold: What is settled.
    """

    def __init__(self, side: Side, report: Report, *, is_ordered: bool, is_log: bool) -> None:
        self.fold = Fold()
        self._side = side
        self._report = report
        self._is_ordered = is_ordered
        self._is_log = is_log
        self._sent: list[list[Any]] = []
        self._asked: list[list[Any]] = []

    def settle(self, verdicts: Iterable[spi.Verdict]) -> None:
        """Pass on *verdicts*, all of this incarnation; acks above a hole wait for ``leave``."""
        answers: list[tuple[int, spi.VerdictKind]] = []
        acks: list[tuple[int, int]] = []
        told: list[spi.Verdict] = []
        for verdict in verdicts:
            if verdict.kind is spi.VerdictKind.EXTEND:
                continue  # it has no end of its own
            first = cast("Ticket", verdict.ticket).first + verdict.first
            told.append(verdict)
            if verdict.kind is spi.VerdictKind.ACK or self._is_dropped(verdict.kind):
                acks.append((first, verdict.count))
            elif not self._stays(verdict.kind):
                answers += ((first + each, verdict.kind) for each in range(verdict.count))
        # What goes back goes ascending, or it comes back in disorder; and before the acks, since a
        # multiple ack would cover it.
        for tag, kind in sorted(answers, key=lambda answer: answer[0]):
            self._answer(tag, kind)
        for first, count in acks:
            self.fold.ack(first, count)
        if top := self.fold.multiple():
            self._side.ack(top, multiple=True)
        for verdict in told:
            self._note(verdict.ticket, verdict.first, verdict.count)
            self._report(verdict.ticket, verdict.first, verdict.count, spi.SENT)

    def skip(self, tag: int) -> None:
        """Ack a delivery that nobody will see."""
        self.fold.ack(tag, 1)

    def _is_dropped(self, kind: spi.VerdictKind) -> bool:
        # A log keeps what it has: to refuse a message is to go past it.
        return self._is_log and kind is spi.VerdictKind.REJECT

    def _stays(self, kind: spi.VerdictKind) -> bool:
        # It goes back with the channel: a log takes nothing back, and on an ordered subscription
        # later deliveries are on the wire already.
        return self._is_log or (self._is_ordered and kind is spi.VerdictKind.RELEASE)

    def _answer(self, tag: int, kind: spi.VerdictKind) -> None:
        if kind is spi.VerdictKind.RELEASE:
            self._side.give_back(tag)
        else:
            # Only a reject counts as an attempt: since RabbitMQ 4.3 a nack does not.
            self._side.reject(tag, requeue=kind is spi.VerdictKind.NACK)
        self.fold.answered(tag)

    def leave(self) -> None:
        """Ack what waits above a hole, one by one."""
        for tag in self.fold.stragglers():
            self._side.ack(tag, multiple=False)

    def _note(self, ticket: object, first: int, count: int) -> None:
        if self._sent and self._sent[-1][0] is ticket:
            last = self._sent[-1]
            if last[1] + last[2] == first:
                last[2] += count
                return
        self._sent.append([ticket, first, count])

    @property
    def wants_barrier(self) -> bool:
        """Whether enough waits for the broker's word to ask for it."""
        return len(self._sent) >= _MAX_SENT and not self._is_log

    def ask(self) -> None:
        """A barrier is on its way: it speaks for everything sent until now."""
        self.leave()
        self._asked += self._sent
        self._sent = []

    def answered(self) -> None:
        """The barrier is back; of a log that says nothing, only a stored position does."""
        if not self._is_log:
            self._settled(self._take_asked())

    def stored(self, below: int, *, is_barrier: bool = False) -> None:
        """The position behind all tags below *below* is stored, so they never come again.

        With *is_barrier* it was stored because somebody asked: what lies above is reported again.
        """
        done, self._sent = _divided(self._sent, below)
        asked_done, self._asked = _divided(self._asked, below)
        self._settled(asked_done + done)
        if is_barrier:
            for ticket, first, count in self._asked:
                self._report(ticket, first, count, spi.SENT)
            self._sent = self._take_asked() + self._sent

    def _take_asked(self) -> list[list[Any]]:
        asked, self._asked = self._asked, []
        return asked

    def _settled(self, ranges: list[list[Any]]) -> None:
        for ticket, first, count in ranges:
            self._report(ticket, first, count, spi.SETTLED)

    def lost(self, outcome: spi.Outcome) -> None:
        """Nobody will tell what became of what was sent."""
        asked, self._asked, self._sent = self._asked + self._sent, [], []
        for ticket, first, count in asked:
            self._report(ticket, first, count, outcome)


def _divided(ranges: list[list[Any]], below: int) -> tuple[list[list[Any]], list[list[Any]]]:
    """Return what of *ranges* lies below the tag *below*, and what does not."""
    done, left = [], []
    for ticket, first, count in ranges:
        known = min(count, max(0, below - ticket.first - first))
        if known:
            done.append([ticket, first, known])
        if known < count:
            left.append([ticket, first + known, count - known])
    return done, left
