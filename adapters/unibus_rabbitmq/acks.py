"""Which acks leave for a broker that takes ``multiple`` ones: pure bookkeeping of delivery tags."""

from __future__ import annotations


class Fold:
    """Turns settlements in any order into few acks.

    A multiple ack has to name a tag that is still outstanding (RabbitMQ closes the channel with a
    406 otherwise) and covers everything below it. So it names the highest tag that is to be acked
    below the first unsettled one; what is settled above a hole is acked one by one.
    """

    __slots__ = ("_above", "_top", "_waiting", "low")

    def __init__(self) -> None:
        self.low = 1
        """The first tag that is not settled."""
        self._top = 0
        self._waiting = 0
        # Settled tags above the first unsettled one; True: its ack has not left.
        self._above: dict[int, bool] = {}

    def ack(self, first: int, count: int) -> None:
        """Note that *count* tags from *first* on are to be acked."""
        if first == self.low:
            self.low = first + count
            self._top = self.low - 1
            self._close_up()
        else:
            self._above.update(dict.fromkeys(range(first, first + count), True))
            self._waiting += count

    def answered(self, first: int, count: int = 1) -> None:
        """Note that *count* tags from *first* on were answered by a frame of their own."""
        if first == self.low:
            self.low = first + count
            self._close_up()
        else:
            self._above.update(dict.fromkeys(range(first, first + count), False))

    def multiple(self) -> int:
        """Return the tag of a multiple ack that is to leave now; 0 if none is."""
        top, self._top = self._top, 0
        return top

    @property
    def has_stragglers(self) -> bool:
        """Whether acks wait for a hole below them to be settled."""
        return self._waiting > 0

    def stragglers(self) -> list[int]:
        """Return the tags above the hole to ack one by one now, ascending."""
        tags = sorted(tag for tag, waiting in self._above.items() if waiting)
        self._above.update(dict.fromkeys(tags, False))
        self._waiting = 0
        return tags

    def _close_up(self) -> None:
        above = self._above
        while above and (waiting := above.pop(self.low, None)) is not None:
            if waiting:
                self._top = self.low
                self._waiting -= 1
            self.low += 1
