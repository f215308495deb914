"""The broker in this process: what there is, what is published, and what can befall it."""

from __future__ import annotations

from collections.abc import Collection
from weakref import WeakSet

from unibus.spi import (
    Clock,
    ConnectionLostError,
    LeaseLostError,
    Link,
    NotFoundError,
    Outgoing,
    Topic,
    UnibusError,
)
from unibus_memory.consumers import Consumers
from unibus_memory.machine.chooser import PLAIN, Chooser, Freedom
from unibus_memory.machine.topics import Target
from unibus_memory.monitor import Monitor
from unibus_memory.offers import Offers
from unibus_memory.takers import Linked


class MemoryBroker:
    """Topics, subscriptions and who takes from them. Thread-safe.

    Attributes:
        clock: Tells the time and calls back.
        offers: What was published and nobody has asked for yet.
        consumers: What consumers ask.
        senders: Who else is told when it goes down.
        chooser: Decides what the promises leave open.
    """

    def __init__(self, clock: Clock, chooser: Chooser = PLAIN) -> None:
        self.clock = clock
        self.chooser = chooser
        self.offers = Offers(clock)
        self.senders: WeakSet[Linked] = WeakSet()
        self._monitor = Monitor(clock, chooser)
        self.consumers = Consumers(self._monitor)
        self._is_restarting = False

    # What there is.

    def declare(self, spec: Target, profile: str) -> None:
        """Make a topic or subscription of *profile* exist; twice is once.

        Consumers of a subscription that was deleted go on with the one that takes its place.

        Raises:
            NotFoundError: The topic of a subscription does not exist.
            UnsupportedError: A stream is asked of what keeps no log.
        """
        self.offers.catch_up()
        monitor = self._monitor
        with monitor.lock:
            if isinstance(spec, Topic):
                monitor.directory.declare_topic(spec, profile)
                return
            is_new = spec.name not in monitor.directory.subscriptions
            monitor.directory.declare_subscription(spec, profile)
            takers = tuple(monitor.takers.get(spec.name, ())) if is_new else ()
            for taker in takers:
                monitor.directory.subscriptions[spec.name].store.join(taker)
        for taker in takers:
            taker.link(Link.UP, None)

    def find(self, spec: Target) -> Target | None:
        """Return the spec of that name as it was declared; ``None`` if there is none."""
        directory = self._monitor.directory
        with self._monitor.lock:
            if isinstance(spec, Topic):
                topic = directory.topics.get(spec.name)
                return topic.spec if topic else None
            subscription = directory.subscriptions.get(spec.name)
            return subscription.spec if subscription else None

    def check(self, target: Target) -> None:
        """Refuse a target that does not exist.

        Raises:
            NotFoundError: It does not.
        """
        with self._monitor.lock:
            self._monitor.directory.check(target)

    def has_log(self, subscription: str) -> bool:
        """Return whether what *subscription* reads is kept."""
        return bool(self._monitor.ask(subscription, lambda state, _: state.has_log))

    def delete(self, spec: Target) -> None:
        """Remove a topic with its subscriptions, or a subscription; quiet if there is none."""
        self.offers.catch_up()
        monitor, names = self._monitor, [spec.name]
        cause = NotFoundError(f"{type(spec).__name__.lower()} {spec.name!r} was deleted")
        if isinstance(spec, Topic):
            with monitor.lock:
                topic = monitor.directory.topics.get(spec.name)
                names = list(topic.subscriptions) if topic else []
        for name in names:
            self._end_leases(name, cause)
        with monitor.lock:
            if isinstance(spec, Topic):
                monitor.directory.delete_topic(spec.name)
            else:
                monitor.directory.delete_subscription(spec.name)
            takers = [taker for name in names for taker in monitor.takers.get(name, ())]
        for taker in takers:
            taker.link(Link.DOWN, cause)

    def names(self) -> frozenset[str]:
        """Return the names of all topics and subscriptions there are."""
        with self._monitor.lock:
            directory = self._monitor.directory
            return frozenset(directory.topics) | frozenset(directory.subscriptions)

    # What is in it.

    def is_awaited(self, target: Target) -> bool:
        """Return whether a consumer that found nothing would hear of a publish to *target*."""
        return self._monitor.is_awaited(target)

    def publish(self, target: Target, batch: Outgoing) -> Collection[int]:
        """Store *batch*; return the indexes, ascending, of what no subscription wanted.

        Raises:
            NotFoundError: The target does not exist.
        """
        return self._monitor.publish(target, batch)

    def waiting(self, subscription: str) -> int:
        """Return how many messages wait.

        Raises:
            NotFoundError: The subscription does not exist.
        """
        self.offers.catch_up()
        with self._monitor.lock:
            return self._monitor.directory.subscription(subscription).store.waiting

    def purge(self, subscription: str) -> None:
        """Drop what waits.

        Raises:
            NotFoundError: The subscription does not exist.
        """
        self.offers.catch_up()
        with self._monitor.lock:
            self._monitor.directory.subscription(subscription).store.purge()

    # What befalls it.

    def restart(self) -> None:
        """Go down and come up again: every lease ends, nothing that was stored is lost."""
        self._is_restarting = False
        self.offers.catch_up()
        cause = ConnectionLostError("the memory broker was restarted")
        with self._monitor.lock:
            states = tuple(self._monitor.directory.subscriptions.values())
            takers = [taker for group in self._monitor.takers.values() for taker in group]
        linked: list[Linked] = [*takers, *self.senders]
        for each in linked:
            each.link(Link.DOWN, cause)
        for state in states:
            self._end_leases(state.spec.name, cause)
            if state.nature.forgets_attempts:
                self._monitor.ask(state.spec.name, lambda each, _: each.store.forget_attempts())
        for each in linked:
            each.link(Link.UP, None)

    def breaks(self, target: Target) -> bool:
        """Return whether the way to *target* is one that breaks, and tempt fate by going it."""
        with self._monitor.lock:
            directory = self._monitor.directory
            found = (
                directory.topics.get(target.name)
                if isinstance(target, Topic)
                else directory.subscriptions.get(target.name)
            )
        if found is None or not found.nature.breaks:
            return False
        if not self._is_restarting and self.chooser.uses(Freedom.RESTART):
            self._is_restarting = True
            self.clock.call_at(self.clock.now(), self.restart)
        return True

    def expire_leases(self, subscription: str) -> None:
        """End every lease of *subscription* at once, as if its time had come."""
        self._end_leases(subscription, LeaseLostError("the lease was ended by the broker"))

    def _end_leases(self, subscription: str, cause: UnibusError) -> None:
        self._monitor.lose(subscription, lambda state, at: state.store.end_leases(cause, at))
