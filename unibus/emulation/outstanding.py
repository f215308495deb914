"""What the hold layer has passed on: to be called back, and to be named to the core."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from weakref import WeakValueDictionary

from unibus.emulation.held import Item, Order, Place, Source, Ticket
from unibus.emulation.views import ItemsView, View, WholeView
from unibus.spi import Lease


class Outstanding:
    """The batches that were passed on and are not settled. Not thread-safe: the layer locks.

    Args:
        layer: Whose batches they are.
        counts: Whether attempts include the nacks that were answered by holding.
    """

    def __init__(self, layer: object, *, counts: bool) -> None:
        self._layer = layer
        self._counts = counts
        self._views: dict[Ticket, View] = {}
        # Weak, both: a ticket lives as long as somebody waits for what becomes of its deliveries. A
        # "sent" may become "settled" at any later barrier, so there is no last answer to wait for.
        self._whole: WeakValueDictionary[object, Ticket] = WeakValueDictionary()
        self._moved: WeakValueDictionary[Place, Ticket] = WeakValueDictionary()

    def pass_whole(self, source: Source) -> View:
        """Return a whole batch as it is passed on."""
        inner = source.incoming.ticket
        ticket = Ticket(self._layer, len(source.incoming), inner)
        self._whole[inner] = ticket
        view = self._views[ticket] = WholeView(ticket, source, counts=self._counts)
        return view

    def pass_items(self, items: Sequence[Item]) -> View:
        """Return *items* as a batch that is passed on."""
        places = [item.place for item in items]
        ticket = Ticket(self._layer, len(items), None, places)
        for place in places:
            self._moved[place] = ticket
        view = self._views[ticket] = ItemsView(ticket, items, counts=self._counts)
        return view

    def view(self, ticket: Ticket) -> View | None:
        """Return the batch of *ticket*; ``None`` if nothing of it is unsettled."""
        return self._views.get(ticket)

    def close(self, ticket: Ticket, first: int, count: int) -> None:
        """Note that a verdict about a range has come."""
        ticket.close(first, count)
        if not ticket.left:
            self._views.pop(ticket, None)

    def recall(self, earliest: Mapping[str, Order], lease: Lease) -> list[Item]:
        """Call back what follows each of *earliest* under its key; it gets the lost *lease*."""
        recalled = []
        for ticket, view in list(self._views.items()):
            for index in list(ticket.still_open(0, len(view))):
                key = view.key(index)
                order = earliest.get(key) if key is not None else None
                if order is not None and view.order(index) > order:
                    was = view.item(index)
                    recalled.append(Item(was.source, was.index, was.failures, 0.0))
                    ticket.recalled[index] = lease
                    self.close(ticket, index, 1)
        return recalled

    def close_lost(self) -> None:
        """Forget what lies under a lost lease: no verdict about it will come."""
        for ticket, view in list(self._views.items()):
            for first, length, lease in view.inner_leases():
                if lease.lost is not None:
                    self.close(ticket, first, length)

    def clear(self) -> None:
        """Forget everything that is unsettled."""
        self._views.clear()

    def outwards(self, ticket: object, first: int, count: int) -> Iterator[tuple[Ticket, int, int]]:
        """Yield what a range of a batch of the inner receiver is to the core."""
        whole = self._whole.get(ticket)
        stop = first + count
        if self._moved:
            for index in range(first, stop):
                moved = self._moved.get((ticket, index))
                if moved is None:
                    continue
                if whole is not None and index > first:
                    yield whole, first, index - first
                yield moved, moved.where[ticket, index], 1
                first = index + 1
        if whole is not None and first < stop:
            yield whole, first, stop - first
