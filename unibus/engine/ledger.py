"""What became of the deliveries of one batch, as ranges; keeps no message alive."""

from __future__ import annotations

from collections.abc import Sequence

from unibus.outcome import SENT, Outcome, OutcomeKind

_BARRIER_AFTER = 10_000  # what is only sent is kept until a barrier, which costs a round trip
_LIGHTEST_REPORT = 40  # so that a stream of tiny batches gets its barriers, too

Range = tuple[int, int]
"""From the first index up to, not including, the second."""


class Ledger:
    """The answers to one batch's settlements. Writers hold the inbox's lock; readers need none.

    It outlives the batch until the broker has answered everything. Native messages hang on the
    batch and not on this: to keep them until a commit doubles the cost of a message on Kafka.
    """

    __slots__ = ("_asked", "_final", "_open", "_sent", "ticket")

    def __init__(self, ticket: object) -> None:
        self.ticket = ticket
        self._open: list[Range] = []
        self._sent: list[Range] = []
        self._asked: list[Range] = []
        self._final: list[tuple[int, int, Outcome]] = []

    @property
    def is_answered(self) -> bool:
        """Whether everything that was handed over has its final outcome."""
        return not self._open

    def hand_over(self, first: int, stop: int) -> None:
        """Note that a settlement of this range is now with the adapter."""
        _append(self._open, first, stop)

    def sent(self, first: int, stop: int) -> bool:
        """Note that a settlement of this range is on its way to a broker that answers none.

        Return whether that is news: for the second time it says that a barrier has come back and
        the broker cannot have it yet, since a log has something unsettled before it.
        """
        if _is_within(self._sent, first, stop):
            _append(self._asked, first, stop)
            return False
        _append(self._sent, first, stop)
        return True

    def answer(self, first: int, stop: int, outcome: Outcome) -> int:
        """Note the final outcome of a range; return for how many it was awaited."""
        cuts = _cut(self._open, first, stop)
        for cut_first, cut_stop in cuts:
            self.decide(cut_first, cut_stop, outcome)
        return sum(cut_stop - cut_first for cut_first, cut_stop in cuts)

    def decide(self, first: int, stop: int, outcome: Outcome) -> None:
        """Note the outcome of a range that is not, or no longer, awaited."""
        final = self._final
        if final and final[-1][1] == first and final[-1][2] is outcome:
            final[-1] = (final[-1][0], stop, outcome)
        else:
            final.append((first, stop, outcome))

    def abandon(self, outcome: Outcome) -> int:
        """Give everything that is still awaited *outcome*, unless it is sent; return how many.

        What was sent stays ``sent``: that is all that will ever be known of it.
        """
        count = 0
        for first, stop in list(self._open):
            if any(a <= first and stop <= b for a, b in self._sent):
                _cut(self._open, first, stop)
            else:
                count += self.answer(first, stop, outcome)
        return count

    def ask(self) -> tuple[Range, ...]:
        """Return the ranges that are with the adapter and not answered, to ask for them anew."""
        self._asked.clear()
        return tuple(self._open)

    def ask_one(self, index: int) -> None:
        """Ask for *index* anew."""
        _cut(self._asked, index, index + 1)

    def is_any_awaited(self, ranges: tuple[Range, ...]) -> bool:
        """Return whether something of *ranges* is not answered, though it could be."""
        asked = tuple(self._asked)
        return any(
            not _is_within(asked, max(first, a), min(stop, b))
            for first, stop in ranges
            for a, b in tuple(self._open)
            if first < b and a < stop
        )

    def is_known(self, index: int) -> bool:
        """Return whether *index* has its answer, or cannot have one yet, since it was asked for."""
        return self.final(index) is not None or _is_within(tuple(self._asked), index, index + 1)

    def final(self, index: int) -> Outcome | None:
        """Return the final outcome of *index*; ``None`` while there is none."""
        for first, stop, outcome in self._final:
            if first <= index < stop:
                return outcome
        return None

    def outcome(self, index: int) -> Outcome | None:
        """Return what is known of *index* now: its final outcome, ``sent`` or ``None``."""
        final = self.final(index)
        if final is None and any(a <= index < b for a, b in tuple(self._sent)):
            return SENT
        return final

    def is_lost(self, index: int) -> bool:
        """Return whether *index* ended with its lease."""
        final = self.final(index) if self._final else None
        return final is not None and final.kind is OutcomeKind.LEASE_LOST


class Unconfirmed:
    """Counts what is only sent, so that it is confirmed and forgotten before it is too much."""

    __slots__ = ("_count",)

    def __init__(self) -> None:
        self._count = 0

    def add(self, count: int) -> bool:
        """Count a report about *count* deliveries; return whether a barrier is due."""
        self._count += max(count, _LIGHTEST_REPORT)
        if self._count < _BARRIER_AFTER:
            return False
        self._count = 0
        return True


def _append(ranges: list[Range], first: int, stop: int) -> None:
    if ranges and ranges[-1][1] == first:
        ranges[-1] = (ranges[-1][0], stop)
    else:
        ranges.append((first, stop))


def _is_within(ranges: Sequence[Range], first: int, stop: int) -> bool:
    left = [(first, stop)]
    for a, b in ranges:
        _cut(left, a, b)
    return not left


def _cut(ranges: list[Range], first: int, stop: int) -> list[Range]:
    """Take *first* to *stop* out of *ranges*; return the parts that were there."""
    taken: list[Range] = []
    left: list[Range] = []
    for a, b in ranges:
        low, high = max(a, first), min(b, stop)
        if low >= high:
            left.append((a, b))
            continue
        taken.append((low, high))
        if a < low:
            left.append((a, low))
        if high < b:
            left.append((high, b))
    ranges[:] = left
    return taken
