"""What the hold layer knows of a message that it has received, holds or has passed on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from unibus.emulation.provenance import decoded
from unibus.specs import OrderingName
from unibus.spi import Incoming, Lease

WHOLE_TOPIC = ""
"""The key of every message where the whole topic is ordered."""

Order = tuple[int, int]
"""Where a message stands among all that were received: number of its batch, index in it."""

Place = tuple[object, int]
"""Ticket and index of a delivery of the inner receiver."""


class Source:
    """A batch of the inner receiver, and the keys of its messages once they were asked for."""

    __slots__ = ("_keys", "_ordering", "incoming", "number")

    def __init__(self, incoming: Incoming, number: int, ordering: OrderingName) -> None:
        self.incoming = incoming
        self.number = number
        self._ordering = ordering
        self._keys: list[str | None] | None = None

    def key(self, index: int) -> str | None:
        """Return the key that message *index* keeps its order under; ``None`` if under none."""
        if self._ordering == "topic":
            return WHOLE_TOPIC
        if self._ordering == "none":
            return None
        if self._keys is None:
            size = len(self.incoming)
            messages = (decoded(self.incoming, each) for each in range(size))
            self._keys = [None if message is None else message.key for message in messages]
        return self._keys[index]


class Item:
    """One message that is held, or was handed out again.

    Attributes:
        failures: How often it was nacked.
        due: Monotonic second before which it is not to be handed out.
    """

    __slots__ = ("due", "failures", "index", "source")

    def __init__(self, source: Source, index: int, failures: int, due: float) -> None:
        self.source = source
        self.index = index
        self.failures = failures
        self.due = due

    @property
    def order(self) -> Order:
        """Where it stands among all messages."""
        return self.source.number, self.index

    @property
    def key(self) -> str | None:
        """The key that it keeps its order under."""
        return self.source.key(self.index)

    @property
    def place(self) -> Place:
        """What the inner receiver calls it."""
        return self.source.incoming.ticket, self.index

    @property
    def lease(self) -> Lease:
        """The inner receiver's lease of it."""
        return self.source.incoming.lease(self.index)


class Ticket:
    """Names a view, and knows what of it is unsettled; keeps no native message alive.

    Attributes:
        layer: The layer that made it.
        open: A byte for each index, 1 while no verdict about it has come.
        left: How many are open.
        recalled: The lost lease of each index that was called back.
        inner: The ticket of the inner receiver's batch, if this is it as a whole.
        places: Otherwise what the inner receiver calls each index.
        where: The index of each place.
    """

    __slots__ = ("__weakref__", "inner", "layer", "left", "open", "places", "recalled", "where")

    def __init__(
        self, layer: object, size: int, inner: object, places: Sequence[Place] | None = None
    ) -> None:
        self.layer = layer
        self.open = bytearray(b"\1") * size
        self.left = size
        self.recalled: dict[int, Lease] = {}
        self.inner = inner
        self.places = places
        self.where = {place: index for index, place in enumerate(places or ())}

    def close(self, first: int, count: int) -> None:
        """Note that a verdict about a range has come; twice is once."""
        self.left -= self.open.count(1, first, first + count)
        self.open[first : first + count] = bytes(count)

    def still_open(self, first: int, count: int) -> Iterator[int]:
        """Yield the open indexes of a range."""
        stop = first + count
        index = self.open.find(1, first, stop)
        while index >= 0:
            yield index
            index = self.open.find(1, index + 1, stop)

    def inner_ranges(self, first: int, count: int) -> Iterator[tuple[object, int, int]]:
        """Yield a range as ranges of batches of the inner receiver."""
        if self.places is None:
            yield self.inner, first, count
            return
        stop = first + count
        while first < stop:
            ticket, start = self.places[first]
            length = 1
            while first + length < stop and self.places[first + length] == (ticket, start + length):
                length += 1
            yield ticket, start, length
            first += length
