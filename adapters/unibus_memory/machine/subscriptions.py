"""One subscription: its spec, what it wants, and the store that fits them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from unibus.spi import (
    Outgoing,
    Predicate,
    Subscription,
    UnibusError,
    UnsupportedError,
    compile_filter,
)
from unibus_memory.machine.books import Book, Log, Place, lane_names
from unibus_memory.machine.chooser import Chooser
from unibus_memory.machine.chunks import Lane, Run
from unibus_memory.machine.grouped import GroupedSubscription
from unibus_memory.machine.held import Loss
from unibus_memory.machine.lanes import LanedSubscription
from unibus_memory.machine.log import LogReader
from unibus_memory.machine.nature import Nature
from unibus_memory.machine.queue import Queue
from unibus_memory.machine.shared import SharedSubscription
from unibus_memory.machine.store import Moment, Store

_COPIES = -1  # the number of a lane that is no partition


class SubscriptionState:
    """One subscription.

    Attributes:
        spec: As it was declared.
        nature: How its profile behaves.
        is_reader: It reads the log; nothing has to be handed to it.
        store: Its messages.
        copies: Where messages for it alone are stored.
    """

    __slots__ = (
        "_book",
        "_chooser",
        "_is_wanted",
        "copies",
        "is_reader",
        "nature",
        "spec",
        "store",
    )

    def __init__(self, spec: Subscription, nature: Nature, book: Book, chooser: Chooser) -> None:
        self.spec = spec
        self.nature = nature
        self.is_reader = nature.reads
        self._is_wanted: Predicate | None = None
        count = nature.lane_count(spec.topic) if nature.lanes and not self.is_reader else 1
        # A copy has no place in the topic's log.
        names = [Lane(f"{each.name}/copy", _COPIES) for each in lane_names(spec.name, count)]
        self.copies = Book(names, is_log=self.is_reader, retention_s=None)
        self._book = book
        self._chooser = chooser
        self.store = self._new_store()
        self.change(spec)
        self._start()

    @property
    def buries(self) -> bool:
        """Whether what is given up goes to a dead letter queue."""
        return self.nature.buries and self.spec.dead_letter is not None

    @property
    def has_log(self) -> bool:
        """Whether what it reads is kept."""
        return bool(self._book.logs())

    def change(self, spec: Subscription) -> None:
        """Do as *spec* says from now on, as far as that can be changed."""
        self.spec = spec
        self.store.limit(spec.max_attempts if self.buries else None)
        is_ours = isinstance(spec.filter, self.nature.filters)
        self._is_wanted = compile_filter(spec.filter) if is_ours else None

    def matching(self, batch: Outgoing) -> Sequence[int]:
        """Return the indexes of *batch* that the filter lets pass."""
        wanted = self._is_wanted
        every = range(len(batch))
        return every if wanted is None else [i for i in every if wanted(batch.message(i))]

    def kept(self, log: Log, position: int) -> Iterator[Run]:
        """Yield what *log* has from *position* on, as far as the filter lets it pass."""
        wanted = self._is_wanted
        for run in log.runs(position):
            if wanted is None:
                yield run
            else:
                message = run.message
                yield from run.picked(i for i in range(run.length) if wanted(message(i)))

    def seek(self, member: object, place: Place, cause: UnibusError, at: Moment) -> list[Loss]:
        """Go on at *place* in the log; what is held has to be read again.

        Raises:
            UnsupportedError: There is no log.
        """
        store = self.store
        if isinstance(store, LanedSubscription):
            return store.seek(member, place, cause, at)
        if not isinstance(store, Queue) or not self._book.logs():
            raise UnsupportedError("there is no log to go back in; use a stream")
        losses = []
        for number, log in enumerate(self._book.logs()):
            if (position := place(log)) is not None:
                losses += store.end_leases(cause, at, counted=False)
                # What is for this subscription alone is not in the log.
                copies = [run for run in store.drain() if run.chunk.lane.number == _COPIES]
                store.forget_attempts()
                store.publish(number, [*copies, *self.kept(log, position)])
        return losses

    def grow(self) -> None:
        """Read the lanes too that its topic has got since."""
        if isinstance(self.store, LanedSubscription) and self.is_reader:
            for log in self._book.logs()[self.store.size :]:
                self.store.add([LogReader(log, 0, self._get_wanted)])

    def _get_wanted(self) -> Predicate | None:
        return self._is_wanted

    def _start(self) -> None:
        """Have what is kept, as far as the spec asks for what was published before."""
        if self.is_reader or self.spec.start in (None, "latest"):
            return
        for number, log in enumerate(self._book.logs()):
            self.store.publish(number, self.kept(log, _position(log, self.spec.start)))

    def _new_store(self) -> Store:
        spec, nature, ordering = self.spec, self.nature, self.spec.topic.ordering
        if spec.mode == "stream" and not self._book.logs():
            raise UnsupportedError(
                f"Subscription {spec.name!r}: {spec.topic.name!r} keeps no log; subscribe to a"
                " topic, not to a queue"
            )
        if self.is_reader:
            return LanedSubscription(spec.name, self._readers(), nature.sharing, self._chooser)
        if ordering == "none":
            return SharedSubscription(
                self._chooser,
                levels=nature.levels,
                repeats=nature.repeats,
                expires=nature.expires,
            )
        if nature.lanes:
            lanes = [[SharedSubscription(expires=nature.expires)] for _ in self.copies.lanes]
            return LanedSubscription(spec.name, lanes, "first", self._chooser)
        return GroupedSubscription(
            self._chooser, keeps_whole_order=ordering == "topic", expires=nature.expires
        )

    def _readers(self) -> list[list[LogReader]]:
        lanes = [
            [LogReader(log, _position(log, self.spec.start), self._get_wanted)]
            for log in self._book.logs()
        ]
        # What is for this subscription alone is read along with the first lane.
        lanes[0] += [LogReader(log, 0) for log in self.copies.logs()]
        return lanes


def _position(log: Log, start: str | datetime | None) -> int:
    if isinstance(start, datetime):
        return log.position_at(start.timestamp())
    return log.start if start == "earliest" else log.end
