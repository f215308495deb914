"""One taken batch: what the program made of its deliveries, folded into ranges for the broker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from unibus import spi
from unibus.engine.desk import Desk
from unibus.engine.ledger import Ledger, Range
from unibus.errors import AlreadySettledError
from unibus.spi import Outcome, Verdict, VerdictKind


class Taken:
    """The state of one batch between ``take`` and its last settlement.

    Acks in order move ``upto``; others gather in ``late``. Both are written without a lock, by the
    threads that settle. Everything else is written under the inbox's lock, and ``fold``, which
    turns acks into verdicts, is the judge of what two threads did at once.

    Attributes:
        next: The first index that was not handed out.
        upto: Every index below it is settled, or will be known as such at the next fold.
        late: Acked above ``upto`` and not folded yet.
        gone: Settled in another way, or handed over, above ``told``.
        odd: How those were settled that were not acked.
        lost: Ended with their lease before the program settled them.
        told: Every index below it has been handed over or is lost.
        mark: An ack that reaches it calls ``Desk.marked``; 0 while every ack does.
        stale: Look before handing out: something has ended, or is about to.
        limit: Only what lies below it may be handed out; grows as the broker confirms where
            everything is settled first (at most once).
        bad: Why an index could not be decoded.
    """

    __slots__ = (
        "_cached",
        "bad",
        "bodies",
        "desk",
        "gone",
        "incoming",
        "is_aged",
        "late",
        "ledger",
        "limit",
        "lost",
        "mark",
        "next",
        "odd",
        "size",
        "stale",
        "told",
        "upto",
    )

    def __init__(self, incoming: spi.Incoming, desk: Desk) -> None:
        self.incoming = incoming
        self.desk = desk
        self.bodies: Sequence[bytes | None] = incoming.bodies()
        self.size = len(self.bodies)
        self.ledger = Ledger(incoming.ticket)
        self.next = 0
        self.limit = 0 if desk.rules.settles_first else self.size
        self.upto = 0
        self.told = 0
        self.mark = min(desk.rules.quarter, self.size)
        self.late: set[int] = set()
        self.gone: set[int] = set()
        self.odd: dict[int, VerdictKind] = {}
        self.lost: set[int] = set()
        self.bad: dict[int, Exception] = {}
        self.stale = False
        self.is_aged = False
        self._cached: tuple[int, spi.Message] | None = None

    @property
    def is_complete(self) -> bool:
        """Whether every index is handed over or lost."""
        return self.told >= self.size

    @property
    def has_news(self) -> bool:
        """Whether something was settled and not handed over."""
        return self.upto > self.told or bool(self.late)

    @property
    def is_due(self) -> bool:
        """Whether enough was settled since the last fold to hand it over."""
        return (
            self.upto - self.told + len(self.late) >= self.desk.rules.quarter
            or self.upto + len(self.late) + len(self.gone) >= self.size
        )

    def message(self, index: int) -> spi.Message:
        """Return *index* decoded; several columns of one delivery decode it once."""
        cached = self._cached
        if cached is None or cached[0] != index:
            cached = self._cached = (index, self.incoming.message(index))
        return cached[1]

    def is_settled(self, index: int) -> bool:
        """Return whether the program settled *index*, or its lease is known to be lost."""
        return index < self.upto or index < self.told or index in self.late or index in self.gone

    def acked_late(self, index: int) -> None:
        """Note the ack of *index* out of order, again, or after its lease."""
        if index in self.odd:
            raise conflict(self.odd[index], VerdictKind.ACK)
        if index in self.lost:
            self.desk.marked(self, index)
        elif not self.is_settled(index):
            self.late.add(index)
            self.mark = 0
            self.desk.marked(self, index)

    def loosen(self) -> None:
        """Hear of every ack from now on, since no later call is sure to fold."""
        self.mark = 0

    def is_running(self, leases: frozenset[int] | None = None) -> bool:
        """Return whether a delivery that was handed out is not settled yet.

        *leases*: only under these, by ``id``.
        """
        for index in range(max(self.upto, self.told), self.next):
            if not self.is_settled(index) and (
                leases is None or id(self.incoming.lease(index)) in leases
            ):
                return True
        return False

    def unsettled(self, first: int, stop: int) -> Iterator[Range]:
        """Yield the ranges between *first* and *stop* that are still held."""
        return runs(index for index in range(first, stop) if not self.is_settled(index))

    def startable(self, index: int) -> int:
        """Return the next index from *index* that may be handed out, and count it; -1 if none.

        Lock held. What lies under an ending lease is given up: nothing is started under it, unless
        it was settled first.
        """
        for first, length, lease in self.incoming.leases():
            ends = min(first + length, self.limit)
            is_ending = lease.stopping or lease.lost is not None
            if is_ending and index < ends and not self.desk.rules.settles_first:
                self.lose(index, ends, lost_lease(lease))
                index = ends
            while index < ends:
                if index not in self.gone:
                    self.next = index + 1
                    return index
                index += 1
        self.next = self.limit
        return -1

    def lose(self, first: int, stop: int, outcome: Outcome) -> None:
        """Note that the lease of a range ended; lock held.

        What is settled already is left to the next fold, or to the adapter's answer.
        """
        self.stale = True
        self.loosen()
        for index in range(max(first, self.told), stop):
            if not self.is_settled(index):
                self.gone.add(index)
                self.lost.add(index)
                self.ledger.decide(index, index + 1, outcome)

    def decide(
        self, index: int, kind: VerdictKind, verdicts: list[Verdict], delay_s: float, reason: str
    ) -> None:
        """Settle *index*, which is unsettled, in another way than by ack; lock held.

        What was acked before it goes first.
        """
        self.odd[index] = kind
        self.gone.add(index)
        self.fold(verdicts)
        for _, _, ended in self._pieces(index, index + 1):
            if ended is None:
                incoming = self.incoming
                verdicts.append(Verdict(incoming.ticket, index, 1, kind, delay_s, reason, incoming))
                self.ledger.hand_over(index, index + 1)
            else:
                self._end(index, index + 1, ended)

    def fold(self, verdicts: list[Verdict], whole: Range | None = None) -> None:
        """Add to *verdicts* what was acked since the last fold, and the range *whole*; lock held.

        What was acked after its lease is answered here, and never handed over.
        """
        start = self.told
        # Acks of one delivery on two threads can set ``upto`` back; ``told`` never goes back.
        upto = max(self.upto, start)
        fresh: Sequence[Range]
        if self.late or self.gone or (whole is not None and whole[0] > upto):
            fresh, upto = self._sift(start, upto, whole or (0, 0))
        else:
            if whole is not None:
                upto = max(upto, whole[1])
            fresh = ((start, upto),) if upto > start else ()
        self.told = upto
        self.upto = max(self.upto, upto)
        if self.mark:
            # Above a hole, an ack of any place can be the one that completes the batch.
            is_holed = bool(self.late or self.gone)
            self.mark = 0 if is_holed else min(upto + self.desk.rules.quarter, self.size)
        for first, stop in fresh:
            for low, high, ended in self._pieces(first, stop):
                if ended is None:
                    ticket = self.incoming.ticket
                    verdicts.append(Verdict(ticket, low, high - low, VerdictKind.ACK))
                    self.ledger.hand_over(low, high)
                else:
                    self._end(low, high, ended)

    def confirm(self) -> None:
        """Let what was settled first be handed out, less what the broker did not confirm.

        Lock held.
        """
        for index in range(self.limit, self.told):
            final = self.ledger.final(index)
            if final is None or final.kind is not spi.OutcomeKind.SETTLED:
                self.gone.add(index)
                self.stale = True
        self.limit = self.told

    def _sift(self, start: int, upto: int, whole: Range) -> tuple[list[Range], int]:
        seen = self.late.copy()
        late = seen.union(range(*whole)) - self.gone
        while upto in late or upto in self.gone:
            upto += 1
        above = {index for index in late if index >= upto}
        before = (index for index in range(start, upto) if index not in self.gone)
        fresh = list(runs(before)) + list(runs(sorted(above)))
        # In this order: a second ack of the same delivery looks in both without a lock.
        self.gone = {index for index in self.gone if index >= upto} | above
        self.told = upto
        self.late.difference_update(seen)
        return fresh, upto

    def _pieces(self, first: int, stop: int) -> Iterator[tuple[int, int, Outcome | None]]:
        """Cut a range at its leases; with each piece why it ended, or ``None`` while it holds."""
        ended = self.desk.ended
        if ended is not None:
            yield first, stop, ended
            return
        for lease_first, length, lease in self.incoming.leases():
            low, high = max(first, lease_first), min(stop, lease_first + length)
            if low < high:
                yield low, high, None if lease.lost is None else lost_lease(lease)

    def _end(self, first: int, stop: int, ended: Outcome) -> None:
        self.ledger.decide(first, stop, ended)
        self.desk.tally.add(stop - first, ended)


def lost_lease(lease: spi.Lease) -> Outcome:
    """Return the outcome of a settlement under a lease that ended."""
    error = spi.LeaseLostError(
        f"the lease {lease.scope} ended before the delivery was settled;"
        " the broker may have given it to another consumer"
    )
    error.__cause__ = lease.lost
    return spi.lease_lost(error)


def runs(indexes: Iterable[int]) -> Iterator[Range]:
    """Yield ascending *indexes* as ranges."""
    first = stop = -1
    for index in indexes:
        if index != stop:
            if stop > first:
                yield first, stop
            first = index
        stop = index + 1
    if stop > first:
        yield first, stop


def conflict(had: VerdictKind, wanted: VerdictKind) -> spi.UnibusError:
    """Return the error for settling one delivery in two ways."""
    return AlreadySettledError(
        f"the delivery was settled with {had.value}, then {wanted.value} was asked for;"
        " settle each delivery once"
    )
