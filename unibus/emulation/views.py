"""Batches as the hold layer passes them on: each delivery can be called back and had again."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence

from typing_extensions import override

from unibus.emulation.held import Item, Order, Source, Ticket
from unibus.message import Message
from unibus.spi import Incoming, Lease, LeaseRange, Verdict


class View(Incoming):
    """A batch as it is passed on.

    Attributes:
        slip: Its ticket.
        counts: Whether attempts include the nacks that were answered here.
    """

    __slots__ = ("_recalled", "counts", "slip")

    def __init__(self, slip: Ticket, *, counts: bool) -> None:
        super().__init__(slip)
        self.slip = slip
        self.counts = counts
        self._recalled: Sequence[LeaseRange] = ()

    @abstractmethod
    def item(self, index: int) -> Item:
        """Return delivery *index* as something that can be held."""

    @abstractmethod
    def key(self, index: int) -> str | None:
        """Return the key that delivery *index* keeps its order under."""

    @abstractmethod
    def order(self, index: int) -> Order:
        """Return where delivery *index* stands among all messages."""

    @abstractmethod
    def inner_leases(self) -> Sequence[LeaseRange]:
        """Return the inner receiver's leases."""

    @override
    def __len__(self) -> int:
        return len(self.slip.open)

    @override
    def leases(self) -> Sequence[LeaseRange]:
        ranges = self.inner_leases()
        recalled = self.slip.recalled
        if not recalled:
            return ranges
        if sum(length for _, length, _ in self._recalled) != len(recalled):
            self._recalled = tuple(_grouped(sorted(recalled.items())))
        return tuple(_overlaid(ranges, self._recalled))

    @override
    def message(self, index: int) -> Message:
        item = self.item(index)
        return item.source.incoming.message(item.index)

    @override
    def attempt(self, index: int) -> int | None:
        item = self.item(index)
        counted = item.source.incoming.attempt(item.index)
        return (counted or 1) + item.failures if self.counts else counted

    @override
    def position(self, index: int) -> str | None:
        item = self.item(index)
        return item.source.incoming.position(item.index)

    @override
    def native(self, index: int) -> object:
        item = self.item(index)
        return item.source.incoming.native(item.index)


class WholeView(View):
    """A batch of the inner receiver, whole and for the first time."""

    __slots__ = ("source",)

    def __init__(self, slip: Ticket, source: Source, *, counts: bool) -> None:
        super().__init__(slip, counts=counts)
        self.source = source

    @override
    def item(self, index: int) -> Item:
        return Item(self.source, index, 0, 0.0)

    @override
    def key(self, index: int) -> str | None:
        return self.source.key(index)

    @override
    def order(self, index: int) -> Order:
        return self.source.number, index

    @override
    def inner_leases(self) -> Sequence[LeaseRange]:
        return self.source.incoming.leases()

    @override
    def bodies(self) -> Sequence[bytes | None]:
        return self.source.incoming.bodies()

    @override
    def message(self, index: int) -> Message:
        return self.source.incoming.message(index)

    @override
    def attempt(self, index: int) -> int | None:
        counted = self.source.incoming.attempt(index)
        return counted or 1 if self.counts else counted


class ItemsView(View):
    """Messages that were held, in their order, or what of a batch need not be."""

    __slots__ = ("items",)

    def __init__(self, slip: Ticket, items: Sequence[Item], *, counts: bool) -> None:
        super().__init__(slip, counts=counts)
        self.items = items

    @override
    def item(self, index: int) -> Item:
        return self.items[index]

    @override
    def key(self, index: int) -> str | None:
        return self.items[index].key

    @override
    def order(self, index: int) -> Order:
        return self.items[index].order

    @override
    def inner_leases(self) -> Sequence[LeaseRange]:
        return tuple(_grouped([(index, item.lease) for index, item in enumerate(self.items)]))

    @override
    def bodies(self) -> Sequence[bytes | None]:
        return [item.source.incoming.bodies()[item.index] for item in self.items]


def _grouped(leases: Sequence[tuple[int, Lease]]) -> Iterator[LeaseRange]:
    """Yield leases of ascending indexes as ranges."""
    first = 0
    for here in range(1, len(leases) + 1):
        index, lease = leases[first]
        length = here - first
        if here == len(leases) or leases[here][1] is not lease or leases[here][0] != index + length:
            yield LeaseRange(index, length, lease)
            first = here


def _overlaid(below: Sequence[LeaseRange], above: Sequence[LeaseRange]) -> Iterator[LeaseRange]:
    """Yield *below*, which covers everything, with *above* laid over it."""
    for first, length, lease in below:
        at, stop = first, first + length
        for over_first, over_length, over_lease in above:
            low, high = max(over_first, at), min(over_first + over_length, stop)
            if low < high:
                if low > at:
                    yield LeaseRange(at, low - at, lease)
                yield LeaseRange(low, high - low, over_lease)
                at = high
        if at < stop:
            yield LeaseRange(at, stop - at, lease)


def inwards(verdict: Verdict, ticket: Ticket, first: int, count: int) -> Iterator[Verdict]:
    """Yield what *verdict* about a range of *ticket* is to the inner receiver."""
    view = verdict.incoming
    batch = view.item(first).source.incoming if isinstance(view, View) else None
    kind, delay_s, reason = verdict.kind, verdict.delay_s, verdict.reason
    for inner, start, length in ticket.inner_ranges(first, count):
        yield Verdict(inner, start, length, kind, delay_s, reason, batch)
