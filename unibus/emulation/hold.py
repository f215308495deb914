"""A failed delivery held in process, where the broker would let later ones overtake it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from typing_extensions import override

from unibus.capabilities import Attempts, Capabilities, emulated
from unibus.emulation.held import Item, Order, Source, Ticket
from unibus.emulation.keeper import LeaseKeeper
from unibus.emulation.lanes import LaneKey, Lanes
from unibus.emulation.layer import Layer, Setting
from unibus.emulation.outstanding import Outstanding
from unibus.emulation.rules import is_nack_complete, is_ordered, patience_s
from unibus.emulation.selection import runs
from unibus.emulation.views import View, inwards
from unibus.errors import LeaseLostError
from unibus.outcome import SETTLED, Outcome, OutcomeKind, lease_lost
from unibus.specs import Subscription
from unibus.spi import Events, Incoming, Lease, Verdict, VerdictKind

_HOW = "held in process and delivered again to the same consumer"
_COST = "a held message stays in the window of unsettled ones"


def held_kinds(capabilities: Capabilities, subscription: Subscription) -> frozenset[VerdictKind]:
    """Return the verdicts that are answered by holding the message."""
    is_lacking = not is_nack_complete(capabilities)
    kinds = set()
    if is_ordered(capabilities, subscription):
        if is_lacking or capabilities.on_nack.value == "overtakes":
            kinds |= {VerdictKind.NACK, VerdictKind.RELEASE}
    elif is_lacking and subscription.mode == "stream":
        kinds.add(VerdictKind.NACK)
    if not capabilities.release:
        kinds.add(VerdictKind.RELEASE)
    return frozenset(kinds)


def is_needed(capabilities: Capabilities, subscription: Subscription) -> bool:
    """Return whether a nack would break the order, or the broker takes nothing back."""
    return bool(held_kinds(capabilities, subscription))


def transform(capabilities: Capabilities, subscription: Subscription) -> Capabilities:
    """Return *capabilities* with what holding adds."""
    kinds = held_kinds(capabilities, subscription)
    changes = capabilities
    if VerdictKind.RELEASE in kinds:
        changes = replace(changes, release=emulated("uncounted", how=_HOW, cost=_COST))
    if VerdictKind.NACK not in kinds:
        return changes
    if is_ordered(capabilities, subscription):
        cost = "later messages of the key wait in the window of unsettled ones"
        changes = replace(changes, on_nack=emulated("blocks", how=_HOW, cost=cost))
    return replace(
        changes,
        nack=emulated(value=True, how=_HOW, cost=_COST),
        nack_delay_s=emulated(patience_s(capabilities), how=_HOW, cost=_COST),
        attempts=emulated(
            Attempts.APPROXIMATE,
            how="counted in process",
            cost="a crash forgets the nacks, and what is left is what the broker counts",
        ),
    )


class _Work:
    """What one call has to do once the lock is given back."""

    __slots__ = ("answers", "earliest", "inwards", "is_due", "items", "lease")

    def __init__(self) -> None:
        self.inwards: list[Verdict] = []
        self.answers: list[tuple[Ticket, int, Outcome]] = []
        self.items: list[Item] = []
        self.earliest: dict[str, Order] = {}
        self.is_due = False
        self.lease: Lease | None = None


class HoldLayer(Layer):
    """Holds what was nacked or released, and delivers it again, before what follows it.

    What follows a held message under its key is called back if it was handed out and is not
    settled (its lease is lost), and withheld if it was not. Nothing is told to the broker: after a
    crash it delivers all of it again. Other keys go on.
    """

    def __init__(self, events: Events, setting: Setting) -> None:
        super().__init__(events)
        have = setting.binding.profile.capabilities
        self._setting = setting
        self._clock = setting.clock
        self._ordering = setting.subscription.topic.ordering
        self._kinds = held_kinds(have, setting.subscription)
        self._takes_back = bool(have.release)
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._lanes = Lanes(setting.clock, self._ring)
        self._out = Outstanding(self, counts=VerdictKind.NACK in self._kinds)
        self._keeper = LeaseKeeper(setting.clock, setting.lease_s, self.settle_inner)

    @override
    def take(self) -> Incoming | None:
        with self._lock:
            items = self._lanes.pop_due(self._setting.flow.max_batch)
            again = self._out.pass_items(items) if items else None
        if again is not None:
            for item in items:
                self._keeper.forget(*item.place)
            return again
        while (batch := self._inner.take()) is not None:
            with self._lock:
                view, withheld = self._admit(batch)
            self._keep(withheld)
            if view is not None:
                return view
        return None

    @override
    def pass_on(self, verdicts: Sequence[Verdict]) -> Sequence[Verdict]:
        work = _Work()
        with self._lock:
            # What comes with a nack and is done need not be called back.
            for verdict in verdicts:
                if verdict.kind not in self._kinds:
                    self._pass(verdict, work)
            for verdict in verdicts:
                if verdict.kind in self._kinds:
                    self._hold(verdict, work)
            if work.items:
                self._recall(work)
                work.is_due = self._lanes.add(work.items)
        self._finish(work)
        return work.inwards

    @override
    def settled(self, ticket: object, first: int, count: int, outcome: Outcome) -> None:
        if outcome.kind is OutcomeKind.LEASE_LOST:
            self._drop(lambda item: item.place[0] == ticket and 0 <= item.index - first < count)
        with self._lock:
            ranges = list(self._out.outwards(ticket, first, count))
        for outer, outer_first, length in ranges:
            self._events.settled(outer, outer_first, length, outcome)

    @override
    def lost(self, leases: Sequence[Lease], cause: Exception) -> None:
        self._drop(lambda item: item.lease.lost is not None)
        with self._lock:
            self._out.close_lost()
        super().lost(leases, cause)

    @override
    def close(self, timeout_s: float) -> None:
        with self._lock:
            self._lanes.clear()
            self._out.clear()
        self._keeper.close()
        super().close(timeout_s)

    def _admit(self, batch: Incoming) -> tuple[View | None, list[Item]]:
        """Return what of a new batch may be passed on, and what has to wait; lock held."""
        source = Source(batch, next(self._numbers), self._ordering)
        blocked: set[int] = set()
        if self._lanes and self._ordering != "none":
            is_blocked = self._lanes.is_blocked
            blocked = {index for index in range(len(batch)) if is_blocked(source.key(index))}
        if not blocked:
            return self._out.pass_whole(source), []
        items = [Item(source, index, 0, 0.0) for index in range(len(batch))]
        withheld = [item for item in items if item.index in blocked]
        passed = [item for item in items if item.index not in blocked]
        self._lanes.add(withheld)
        return (self._out.pass_items(passed) if passed else None), withheld

    def _pass(self, verdict: Verdict, work: _Work) -> None:
        """Pass on what the broker has to decide; lock held."""
        ticket, first, count = verdict.ticket, verdict.first, verdict.count
        if not isinstance(ticket, Ticket) or ticket.layer is not self:
            work.inwards.append(verdict)
            return
        ranges = [(first, count)]
        if ticket.recalled:
            kept = [each for each in range(first, first + count) if each not in ticket.recalled]
            ranges = list(runs(kept))
            if verdict.kind is not VerdictKind.EXTEND:
                for index in {*range(first, first + count)} - {*kept}:
                    self._answer_lost(ticket, index, work)
        for start, length in ranges:
            work.inwards += inwards(verdict, ticket, start, length)
            if verdict.kind is not VerdictKind.EXTEND:
                self._out.close(ticket, start, length)

    def _hold(self, verdict: Verdict, work: _Work) -> None:
        """Answer *verdict* and note what it makes wait; lock held."""
        ticket = verdict.ticket
        if not isinstance(ticket, Ticket):
            return
        view = self._out.view(ticket)
        is_failure = verdict.kind is VerdictKind.NACK
        due = self._clock.now() + (verdict.delay_s if is_failure else 0.0)
        for index in range(verdict.first, verdict.first + verdict.count):
            if view is None or not ticket.open[index]:
                self._answer_lost(ticket, index, work)
                continue
            was = view.item(index)
            item = Item(was.source, was.index, was.failures + is_failure, due)
            key, order = item.key, item.order
            if key is not None:
                work.earliest[key] = min(order, work.earliest.get(key, order))
            work.items.append(item)
            work.answers.append((ticket, index, SETTLED))
            self._out.close(ticket, index, 1)

    def _answer_lost(self, ticket: Ticket, index: int, work: _Work) -> None:
        lease = ticket.recalled.get(index)
        why = lease.lost if lease is not None else "its lease ended"
        cause = LeaseLostError(f"the settlement came too late: {why}")
        work.answers.append((ticket, index, lease_lost(cause)))

    def _recall(self, work: _Work) -> None:
        """Call back what follows the held messages; lock held."""
        if not work.earliest:
            return
        lease = Lease("of a delivery that was called back")
        lease.lost = LeaseLostError(
            "an earlier message of its key failed; both are delivered again, in order"
        )
        if recalled := self._out.recall(work.earliest, lease):
            work.lease = lease
            work.items += recalled

    def _finish(self, work: _Work) -> None:
        self._keep(work.items)
        lease = work.lease
        if lease is not None and lease.lost is not None:
            self._events.lost([lease], lease.lost)
        for ticket, index, outcome in work.answers:
            self._events.settled(ticket, index, 1, outcome)
        if work.is_due:
            self._events.ready()

    def _keep(self, items: Sequence[Item]) -> None:
        for item in items:
            self._keeper.keep(item.source.incoming, item.index)

    def _drop(self, is_gone: Callable[[Item], bool]) -> None:
        """Forget held messages whose lease ended, and give back what waited for them."""
        with self._lock:
            left = self._lanes.drop(is_gone)
            if left and not self._takes_back:
                self._lanes.add(left)
        for item in left:
            self._keeper.forget(*item.place)
        if left and self._takes_back:
            self._inner.settle([_released(item) for item in left])

    def _ring(self, lane_key: LaneKey) -> None:
        with self._lock:
            is_due = self._lanes.arm(lane_key)
        if is_due:
            self._events.ready()


def _released(item: Item) -> Verdict:
    ticket, index = item.place
    return Verdict(ticket, index, 1, VerdictKind.RELEASE, incoming=item.source.incoming)
