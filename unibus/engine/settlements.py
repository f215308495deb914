"""What the program settled, gathered and handed over as ranges, and what came of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from unibus import spi
from unibus.engine.desk import Rules, Tally
from unibus.engine.ledger import Ledger, Range, Unconfirmed
from unibus.engine.taken import Taken, conflict, lost_lease
from unibus.engine.timers import Soon
from unibus.engine.watches import Watches
from unibus.errors import AlreadySettledError, LeaseLostError
from unibus.spi import Outcome, OutcomeKind, Verdict, VerdictKind

_MAX_AGE_S = 0.02
"""How long a settlement waits for others when no receive folds it and no adapter pulls it."""


class Settlements:
    """Every batch that is not wholly settled. Any method may be called on any thread.

    Its lock is held for folding only, never while it calls the receiver or the program.

    Args:
        rules: How deliveries are treated.
        clock: Calls back for what is settled while nobody receives.
        needs_barrier: Whether the broker answers settlements only when it is asked to.

    Attributes:
        receiver: Takes the verdicts.
        watches: Conditions that somebody waits for; looked at after every change.
        ended: What every settlement comes to once the consumer is closed; ``None`` before.
    """

    receiver: spi.Receiver

    def __init__(self, rules: Rules, clock: spi.Clock, *, needs_barrier: bool) -> None:
        self.rules = rules
        self.watches = Watches()
        self.ended: Outcome | None = None
        self._soon = Soon(clock, _MAX_AGE_S, self._fold_now)
        self._needs_barrier = needs_barrier
        self._lock = threading.Lock()
        self._live: dict[int, Taken] = {}
        self._ledgers: dict[int, Ledger] = {}
        self.tally = Tally()
        self._unconfirmed = Unconfirmed()

    def admit(self, incoming: spi.Incoming) -> Taken:
        """Return the new batch *incoming*, whose settlements are gathered from now on."""
        taken = Taken(incoming, self)
        key = id(incoming.ticket)
        with self._lock:
            self._live[key] = taken
            self._ledgers[key] = taken.ledger
        # The program may be slow with the first of it, and what it acks is not to wait for that.
        self._soon.ring()
        return taken

    def leave(self, taken: Taken) -> None:
        """Hand over what is settled of a batch that is handed out; no receive folds it again."""
        verdicts: list[Verdict] = []
        with self._lock:
            taken.loosen()
            self._fold(taken, verdicts)
        self.send(verdicts)

    def live(self) -> tuple[Taken, ...]:
        """Return the batches that are not wholly handed over."""
        with self._lock:
            return tuple(self._live.values())

    def stale(self, *batches: Taken) -> None:
        """Have *batches* looked at before anything of them is handed out, and hear of every ack."""
        with self._lock:
            for taken in batches:
                taken.stale = True
                taken.loosen()

    def startable(self, taken: Taken, index: int) -> int:
        """Return which of a stale batch may be handed out next, from *index*; -1 if none is."""
        with self._lock:
            return taken.startable(index)

    def settle_first(self, taken: Taken, count: int) -> Callable[[], bool]:
        """Ack the next *count* before they are handed out; the result says whether it is answered.

        Then ``confirm`` lets them be handed out. Safe to call again while it is under way.
        """
        verdicts: list[Verdict] = []
        with self._lock:
            if taken.told <= taken.next:
                stop = min(taken.next + count, taken.size)
                self._fold(taken, verdicts, (taken.next, stop))
        self.send(verdicts)
        if verdicts and self._needs_barrier:
            self.receiver.barrier()
        return lambda: taken.ledger.is_answered

    def confirm(self, taken: Taken) -> None:
        """Let what was settled first be handed out, as far as the broker confirmed it."""
        with self._lock:
            taken.confirm()

    def pull(self) -> list[Verdict]:
        """Return what was settled and not handed over, to be handed over by the caller."""
        verdicts: list[Verdict] = []
        with self._lock:
            for taken in tuple(self._live.values()):
                if taken.has_news:
                    self._fold(taken, verdicts)
        return verdicts

    def hand_over(self, *batches: Taken) -> None:
        """Hand over what was settled in *batches*, or in all."""
        verdicts: list[Verdict] = []
        with self._lock:
            for taken in batches or tuple(self._live.values()):
                self._fold(taken, verdicts)
        self.send(verdicts)

    def send(self, verdicts: Sequence[Verdict]) -> None:
        """Hand *verdicts* to the receiver."""
        if verdicts:
            self.receiver.settle(verdicts)

    def flush(self) -> Callable[[], bool]:
        """Hand over everything, and ask for answers; the result says whether they are there."""
        self.hand_over()
        with self._lock:
            every = [(ledger, ledger.ask()) for ledger in self._ledgers.values()]
        awaited = [(ledger, ranges) for ledger, ranges in every if ranges]
        if awaited and self._needs_barrier:
            self.receiver.barrier()
        return lambda: not any(ledger.is_any_awaited(ranges) for ledger, ranges in awaited)

    def flush_one(self, taken: Taken, index: int) -> Callable[[], bool]:
        """Hand over one batch, and ask for answers; the result says whether *index* has its own."""
        self.hand_over(taken)
        ledger = taken.ledger
        with self._lock:
            ledger.ask_one(index)
        if self._needs_barrier and ledger.final(index) is None and self.ended is None:
            self.receiver.barrier()
        return lambda: ledger.is_known(index) or self.ended is not None

    def end(self, outcome: Outcome) -> None:
        """Hand over for the last time; from now on every settlement comes to *outcome*."""
        verdicts: list[Verdict] = []
        with self._lock:
            for taken in tuple(self._live.values()):
                self._fold(taken, verdicts)
            self.ended = outcome
            for taken in self._live.values():
                taken.lose(0, taken.size, outcome)
        self.send(verdicts)

    def abandon(self, outcome: Outcome) -> int:
        """Give what is still not answered *outcome*; return how many settlements that is."""
        with self._lock:
            unanswered = sum([ledger.abandon(outcome) for ledger in self._ledgers.values()])
            self._ledgers.clear()
            self._live.clear()
        self.watches.look()
        return unanswered

    def take_late(self) -> Tally:
        """Return what was settled without effect since this was asked for the last time."""
        with self._lock:
            tally, self.tally = self.tally, Tally()
        return tally

    def marked(self, taken: Taken, index: int) -> None:
        """*index* was acked, and the batch asked to hear of it."""
        if index in taken.odd:
            raise conflict(taken.odd[index], VerdictKind.ACK)
        if index in taken.lost:
            with self._lock:
                self._count_lost(taken, index)
        elif taken.is_due:
            self.hand_over(taken)
        else:
            self._soon.ring()
        if self.watches:
            self.watches.look()

    def ack_range(self, taken: Taken, first: int, stop: int) -> None:
        """Ack what is unsettled of a range, and hand it over."""
        verdicts: list[Verdict] = []
        with self._lock:
            for index in [each for each in taken.lost if first <= each < stop]:
                self._count_lost(taken, index)
            self._fold(taken, verdicts, (first, stop))
        self.send(verdicts)

    def settle(
        self, taken: Taken, index: int, kind: VerdictKind, delay_s: float = 0.0, reason: str = ""
    ) -> None:
        """Settle *index* in another way than by ack, at once, and what was acked before it."""
        verdicts: list[Verdict] = []
        with self._lock:
            if index in taken.lost:
                self._count_lost(taken, index)
            elif taken.is_settled(index):
                had = taken.odd.get(index, VerdictKind.ACK)
                if had is not kind and not taken.ledger.is_lost(index):
                    raise conflict(had, kind)
            else:
                taken.decide(index, kind, verdicts, delay_s, reason)
                self._tidy(taken)
        self.send(verdicts)

    def extend(self, taken: Taken, index: int, lease_s: float) -> None:
        """Renew the lease of *index*.

        Raises:
            AlreadySettledError: It is settled.
            LeaseLostError: The lease is known to have ended.
        """
        lease = taken.incoming.lease(index)
        if lease.lost is not None or taken.ledger.is_lost(index):
            raise LeaseLostError(
                f"the lease {lease.scope} has ended; stop working on the delivery"
            ) from lease.lost
        if taken.is_settled(index):
            raise AlreadySettledError("extend() on a delivery that is settled")
        ticket = taken.incoming.ticket
        self.send([Verdict(ticket, index, 1, VerdictKind.EXTEND, lease_s)])

    def answered(self, ticket: object, first: int, count: int, outcome: Outcome) -> None:
        """Note what became of a range, or that its lease could not be extended."""
        stop, key = first + count, id(ticket)
        is_barrier_due = False
        with self._lock:
            ledger = self._ledgers.get(key)
            if ledger is None:
                return
            taken = self._live.get(key)
            if outcome.kind is OutcomeKind.SENT:
                is_news = ledger.sent(first, stop)
                # Who waits may have asked before another thread had handed this over.
                is_due = is_news and (self._unconfirmed.add(count) or bool(self.watches))
                is_barrier_due = is_due and self._needs_barrier
            else:
                answered = ledger.answer(first, stop, outcome)
                if outcome.kind is not OutcomeKind.SETTLED:
                    self.tally.add(answered, outcome)
                if taken is not None and outcome.kind is OutcomeKind.LEASE_LOST:
                    taken.lose(first, stop, outcome)
                if taken is None and ledger.is_answered:
                    del self._ledgers[key]
        if is_barrier_due:
            self.receiver.barrier()
        if self.watches:
            self.watches.look()

    def drop_lost(self) -> None:
        """Give up what lies under leases that have ended, and hand over what does not."""
        verdicts: list[Verdict] = []
        with self._lock:
            for taken in tuple(self._live.values()):
                ended = [each for each in taken.incoming.leases() if each.lease.lost is not None]
                if not ended:
                    continue
                self._fold(taken, verdicts)
                for first, length, lease in ended:
                    taken.lose(first, first + length, lost_lease(lease))
                self._fold(taken, verdicts)  # past what is lost, so that the batch can be complete
        self.send(verdicts)
        self.watches.look()

    def _fold(self, taken: Taken, verdicts: list[Verdict], whole: Range | None = None) -> None:
        taken.fold(verdicts, whole)
        self._tidy(taken)

    def _tidy(self, taken: Taken) -> None:
        key = id(taken.ledger.ticket)
        is_over = taken.is_complete and self._live.pop(key, None) is not None
        if is_over and taken.ledger.is_answered:
            self._ledgers.pop(key, None)

    def _count_lost(self, taken: Taken, index: int) -> None:
        if index in taken.lost:
            taken.lost.discard(index)
            outcome = taken.ledger.final(index)
            if outcome is not None:
                self.tally.add(1, outcome)

    def _fold_now(self) -> None:
        is_young = False
        with self._lock:
            for taken in self._live.values():
                if taken.is_aged:
                    taken.loosen()  # slow: its acks ring for themselves from now on
                else:
                    taken.is_aged = is_young = True
        self.hand_over()
        if is_young:
            self._soon.ring()
