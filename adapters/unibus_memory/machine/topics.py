"""Topics, their subscriptions, and what is routed from the ones to the others."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from unibus.spi import NotFoundError, Outgoing, Subscription, Topic
from unibus_memory.machine.books import Book, Placement, lane_names
from unibus_memory.machine.chooser import PLAIN, Chooser
from unibus_memory.machine.chunks import copied
from unibus_memory.machine.deaths import letters
from unibus_memory.machine.nature import Nature
from unibus_memory.machine.store import Dead, Moment
from unibus_memory.machine.subscriptions import SubscriptionState

Target = Topic | Subscription
Routed = tuple[list[SubscriptionState], Collection[int]]
"""Who got something of a batch, and the indexes of what nobody wants, ascending."""


class TopicState:
    """One topic: its spec, where its messages are, and who is subscribed.

    Attributes:
        spec: As it was declared.
        nature: How its profile behaves.
        subscriptions: By name.
    """

    __slots__ = ("_books", "nature", "spec", "subscriptions")

    def __init__(self, spec: Topic, nature: Nature) -> None:
        self.spec = spec
        self.nature = nature
        self.subscriptions: dict[str, SubscriptionState] = {}
        self._books: dict[bool, Book] = {}
        self.book(nature)

    @property
    def is_log(self) -> bool:
        """Whether it keeps everything, also what no subscription asks for."""
        if self.nature.log == "topics" and self.spec.retention_s is None:
            return any(each.spec.mode == "stream" for each in self.subscriptions.values())
        return True in self._books

    def book(self, nature: Nature) -> Book:
        """Return where messages lie for subscriptions of *nature*.

        Queues and streams of one topic can be of different natures: then there are two.
        """
        keeps = nature.keeps(self.spec)
        if keeps not in self._books:
            names = lane_names(self.spec.name, nature.lane_count(self.spec))
            retention_s = self.spec.retention_s or nature.retention_s
            self._books[keeps] = Book(names, is_log=keeps, retention_s=retention_s)
        return self._books[keeps]

    def change(self, spec: Topic, nature: Nature) -> None:
        """Do as *spec* says from now on, as far as that can be changed."""
        self.spec = spec
        book = self.book(nature)
        names = lane_names(spec.name, nature.lane_count(spec))
        book.change(names, spec.retention_s or nature.retention_s)
        for each in self.subscriptions.values():
            each.grow()

    def subscribe(self, spec: Subscription, nature: Nature, chooser: Chooser) -> SubscriptionState:
        """Add a subscription, from now on or from where it asks to begin."""
        book = self.book(nature)
        state = self.subscriptions[spec.name] = SubscriptionState(spec, nature, book, chooser)
        return state

    def route(self, batch: Outgoing, wall: float) -> Routed:
        """Store *batch*; return who got something, and the indexes of what nobody wants."""
        queues = [each for each in self.subscriptions.values() if not each.is_reader]
        wanted = {each: each.matching(batch) for each in queues}
        unwanted = () if self.is_log else _without(len(batch), wanted.values())
        if len(unwanted) == len(batch):
            return [], unwanted
        if unwanted:
            kept = sorted({*range(len(batch))} - {*unwanted})
            places = {index: place for place, index in enumerate(kept)}
            batch = copied(batch, kept)
            wanted = {
                each: [places[index] for index in indexes] for each, indexes in wanted.items()
            }
        for keeps, book in self._books.items():
            users = [each for each in queues if each.nature.keeps(self.spec) is keeps]
            if keeps or users:
                _hand_out(book.append(batch, wall), {each: wanted[each] for each in users})
        readers = [each for each in self.subscriptions.values() if each.is_reader]
        return [each for each in queues if wanted[each]] + readers, unwanted


class Later(NamedTuple):
    """A message that is not to be delivered yet.

    Attributes:
        due: When it is, in monotonic seconds.
        order: Which of those due at once goes first.
        target: Where it was published to.
        batch: It.
    """

    due: float
    order: int
    target: Target
    batch: Outgoing


class Directory:
    """Every topic and subscription by name. Not thread-safe.

    Args:
        natures: How each profile behaves.
        chooser: Decides what the promises leave open.
    """

    def __init__(self, natures: Mapping[str, Nature], chooser: Chooser = PLAIN) -> None:
        self.topics: dict[str, TopicState] = {}
        self.subscriptions: dict[str, SubscriptionState] = {}
        self._natures = natures
        self._chooser = chooser
        self._later: list[Later] = []
        self._order = itertools.count()

    # What there is.

    def declare_topic(self, spec: Topic, profile: str) -> None:
        """Make the topic exist; one that exists keeps its messages and changes what it can."""
        state = self.topics.get(spec.name)
        if state is None:
            self.topics[spec.name] = TopicState(spec, self._natures[profile])
        else:
            state.change(spec, self._natures[profile])

    def declare_subscription(self, spec: Subscription, profile: str) -> None:
        """Make the subscription exist; one that exists keeps its messages, as topics do.

        Raises:
            NotFoundError: Its topic does not exist.
        """
        topic = self.topic(spec.topic.name)
        state = self.subscriptions.get(spec.name)
        if state is None:
            self.subscriptions[spec.name] = topic.subscribe(
                spec, self._natures[profile], self._chooser
            )
        else:
            state.change(spec)

    def topic(self, name: str) -> TopicState:
        """Return a topic.

        Raises:
            NotFoundError: It does not exist.
        """
        if (state := self.topics.get(name)) is None:
            raise NotFoundError(
                f"topic {name!r} does not exist; declare it with bus.topology.apply(...)"
            )
        return state

    def subscription(self, name: str) -> SubscriptionState:
        """Return a subscription.

        Raises:
            NotFoundError: It does not exist.
        """
        if (state := self.subscriptions.get(name)) is None:
            raise NotFoundError(
                f"subscription {name!r} does not exist; declare it with bus.topology.apply(...)"
            )
        return state

    def delete_topic(self, name: str) -> list[str]:
        """Remove a topic; return the names of its subscriptions, which go with it."""
        topic = self.topics.pop(name, None)
        names = list(topic.subscriptions) if topic else []
        for each in names:
            self.delete_subscription(each)
        return names

    def delete_subscription(self, name: str) -> None:
        """Remove a subscription and what waits in it; quiet if it does not exist."""
        state = self.subscriptions.pop(name, None)
        if state is None:
            return
        state.store.close()
        if (topic := self.topics.get(state.spec.topic.name)) is not None:
            topic.subscriptions.pop(name, None)

    # What is published.

    def publish(self, target: Target, batch: Outgoing, at: Moment) -> Routed:
        """Store *batch*; return who got something, and the indexes of what nobody wants.

        What is to be delayed is kept aside, and who gets it is found out when it is due.

        Raises:
            NotFoundError: The target does not exist.
        """
        self.check(target)
        delayed = _delayed(batch)
        if not delayed:
            return self._store(target, batch, at.wall)
        for index, delay_s in delayed.items():
            single = copied(batch, [index])
            heapq.heappush(self._later, Later(at.now + delay_s, next(self._order), target, single))
        prompt = [index for index in range(len(batch)) if index not in delayed]
        if not prompt:
            return [], ()
        states, unwanted = self._store(target, copied(batch, prompt), at.wall)
        return states, [prompt[index] for index in unwanted]

    def bury(self, state: SubscriptionState, dead: Dead, at: Moment) -> list[SubscriptionState]:
        """Move messages to the dead letter queue of *state*; return who got something.

        Without one they are dropped. One that is gone takes nothing: then they wait again.
        """
        target = state.spec.dead_letter
        if target is None or not state.nature.buries:
            return []
        if target not in self.topics:
            state.store.publish(max(dead.run.chunk.lane.number, 0), (dead.run,))
            return [state]
        return self.topics[target].route(letters(dead, state.spec, at.wall), at.wall)[0]

    def next_due(self) -> float | None:
        """Return when the first delayed message is due."""
        return self._later[0].due if self._later else None

    def wake(self, at: Moment) -> list[SubscriptionState]:
        """Store what is due; return who got something."""
        stirred = []
        while self._later and self._later[0].due <= at.now:
            later = heapq.heappop(self._later)
            if later.target.name in self._names(later.target):
                stirred += self._store(later.target, later.batch, at.wall)[0]
        return stirred

    def _store(self, target: Target, batch: Outgoing, wall: float) -> Routed:
        if isinstance(target, Topic):
            return self.topics[target.name].route(batch, wall)
        state = self.subscriptions[target.name]
        _hand_out(state.copies.append(batch, wall), {state: range(len(batch))})
        return [state], ()

    def check(self, target: Target) -> None:
        """Refuse a target that does not exist.

        Raises:
            NotFoundError: It does not.
        """
        if isinstance(target, Topic):
            self.topic(target.name)
        else:
            self.subscription(target.name)

    def _names(self, target: Target) -> Collection[str]:
        return self.topics if isinstance(target, Topic) else self.subscriptions


def _hand_out(
    placements: Sequence[Placement], wanted: Mapping[SubscriptionState, Sequence[int]]
) -> None:
    """Give each subscription what it wants of a batch that was stored."""
    for number, run, indexes in placements:
        for state, picked in wanted.items():
            if isinstance(picked, range):  # all of it
                state.store.publish(number, (run,))
            elif offsets := _offsets(indexes, picked):
                state.store.publish(number, run.picked(offsets))


def _offsets(indexes: Sequence[int], picked: Sequence[int]) -> Sequence[int]:
    """Return where in *indexes*, ascending, those stand that were *picked*."""
    if indexes == range(len(indexes)):
        return picked
    chosen = frozenset(picked)
    return [offset for offset, index in enumerate(indexes) if index in chosen]


def _without(count: int, wanted: Collection[Sequence[int]]) -> Collection[int]:
    """Return the indexes below *count* that are in none of *wanted*."""
    if any(isinstance(each, range) for each in wanted):
        return ()
    found = {index for each in wanted for index in each}
    return [index for index in range(count) if index not in found]


def _delayed(batch: Outgoing) -> dict[int, float]:
    """Return the delays of those messages that have one."""
    if batch.timings is None:
        return {}
    return {index: timing[0] for index, timing in enumerate(batch.timings) if timing and timing[0]}
