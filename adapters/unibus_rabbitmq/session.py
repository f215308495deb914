"""What a receiver is to do, and one channel incarnation of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from unibus import spi
from unibus_rabbitmq.channel import Channel
from unibus_rabbitmq.deliveries import Shape
from unibus_rabbitmq.settling import OwnSide, PikaSide, Settler


class Session:
    """Begins with the channel; delivery tags count from 1 in it.

    Attributes:
        channel: pika's channel.
        side: How settlements are written.
        settler: Which of them, and when.
        rows: What has come in this turn.
        holder: Who holds what came on it.
        last: The tag of the last delivery.
        lease: From the moment the broker has said that it delivers; ``None`` before.
        is_over: Nothing is settled on it any more.
        is_leaving: It is about to be: nothing that comes on it is handed out.
        lost: What settlements are answered after the end.
    """

    __slots__ = (
        "channel",
        "holder",
        "is_leaving",
        "is_over",
        "last",
        "lease",
        "lost",
        "rows",
        "settler",
        "side",
    )

    def __init__(
        self, channel: Channel, side: OwnSide | PikaSide, settler: Settler, holder: Holder
    ) -> None:
        self.channel = channel
        self.holder = holder
        self.is_over = self.is_leaving = False
        self.side = side
        self.settler = settler
        self.rows: list[Any] = []
        self.last = 0
        self.lease: spi.Lease | None = None
        self.lost = spi.lease_lost(spi.LeaseLostError("the receiver is closed"))

    @property
    def is_held(self) -> bool:
        """Whether a delivery is not settled."""
        return self.settler.fold.low <= self.last

    def take_rows(self) -> list[Any]:
        """Return what has come since the last time."""
        rows = self.rows[:]  # the scanner goes on filling the list it has
        self.rows.clear()
        self.last = rows[-1][0]
        return rows

    def end(self, cause: spi.UnibusError) -> None:
        """The channel is gone, or goes."""
        self.is_over = True
        lost = spi.LeaseLostError(
            f"the channel it came on has ended: {cause}; the broker delivers it again"
        )
        lost.__cause__ = cause
        self.lost = spi.lease_lost(lost)
        if self.lease is not None:
            self.lease.lost = cause


Begin = Callable[[dict[str, object]], None]
"""Goes on to consume, with these arguments."""


class Plan(NamedTuple):
    """What a receiver is to do.

    Attributes:
        queues: Where it receives from; several are the lanes of an ordered subscription.
        flow: How much it may hold.
        shape: How its deliveries are read.
        is_ordered: What is unsettled goes back by closing the channel, never by a cancel.
        owns: The connection is nobody else's.
    """

    queues: tuple[str, ...]
    flow: spi.Flow
    shape: Shape
    is_ordered: bool
    owns: bool = False

    @property
    def tears(self) -> bool:
        """Whether the socket goes where pika would cancel first."""
        return self.owns and self.is_ordered

    @property
    def is_log(self) -> bool:
        """Whether it reads a stream."""
        return self.shape.stream is not None


class Holder(Protocol):
    """The receiver, as its channel knows it; called on the loop's thread."""

    def settled(self, ticket: object, first: int, count: int, outcome: spi.Outcome) -> None:
        """Hear what became of settlements."""

    def settle(self, session: Session, verdicts: Sequence[spi.Verdict]) -> None:
        """Pass on *verdicts*, all of *session*, which is not over."""

    def prepare(self, channel: Channel, begin: Begin) -> None:
        """Do what comes before consuming, then call *begin*."""

    def began(self, session: Session) -> None:
        """Hear that the broker delivers."""

    def burst(self) -> None:
        """Look at what has come."""

    def ended(self, session: Session | None, cause: spi.UnibusError) -> None:
        """Hear that the channel is lost."""
