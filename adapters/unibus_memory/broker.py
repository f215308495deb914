"""The broker in this process: a lock round the machine, wake-ups outside it, a clock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol

from unibus.spi import (
    Clock,
    ConnectionLostError,
    Lease,
    LeaseLostError,
    Link,
    Outgoing,
    Spec,
    Subscription,
    Timer,
    Topic,
    UnibusError,
)
from unibus_memory.machine.shared import Held
from unibus_memory.machine.topics import Directory, SubscriptionState
from unibus_memory.offers import Offers


class Taker(Protocol):
    """A consumer of a subscription, as the broker sees it."""

    @property
    def is_waiting(self) -> bool:
        """Whether it found nothing, and wants to hear of what comes."""

    def wake(self) -> None:
        """There is something to take. Called without the broker's lock."""

    def lose(self, leases: Sequence[Lease], cause: Exception) -> None:
        """Leases have ended, perhaps of others too. Called without the broker's lock."""

    def link(self, state: Link, cause: Exception | None) -> None:
        """The way to the broker changed. Called without the broker's lock."""


class MemoryBroker:
    """Topics, subscriptions and who takes from them. Thread-safe; blocks only for its own lock.

    Attributes:
        clock: Tells the time and calls back.
        offers: What was published and nobody has asked for yet.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.offers = Offers(clock)
        self._lock = threading.Lock()
        self._directory = Directory()
        self._takers: dict[str, list[Taker]] = {}
        self._timers: dict[str, tuple[float, Timer]] = {}

    def declare(self, spec: Spec) -> None:
        """Make a topic or subscription exist; a queue is declared by its two halves."""
        self.offers.catch_up()
        with self._lock:
            if isinstance(spec, Topic):
                self._directory.declare_topic(spec)
            elif isinstance(spec, Subscription):
                self._directory.declare_subscription(spec)
            else:
                self._directory.declare_topic(spec.topic)
                self._directory.declare_subscription(spec.subscription)

    def find(self, spec: Topic | Subscription) -> Topic | Subscription | None:
        """Return the spec of that name as it was declared; ``None`` if there is none."""
        with self._lock:
            if isinstance(spec, Topic):
                topic = self._directory.topics.get(spec.name)
                return topic.spec if topic else None
            subscription = self._directory.subscriptions.get(spec.name)
            return subscription.spec if subscription else None

    def demand(self, spec: Topic | Subscription) -> None:
        """Make sure that *spec* exists.

        Raises:
            NotFoundError: It does not.
        """
        with self._lock:
            if isinstance(spec, Topic):
                self._directory.topic(spec.name)
            else:
                self._directory.subscription(spec.name)

    def delete(self, spec: Spec) -> None:
        """Remove a topic with its subscriptions, or a subscription; quiet if there is none."""
        self.offers.catch_up()
        with self._lock:
            if isinstance(spec, Subscription):
                self._directory.delete_subscription(spec.name)
            else:
                self._directory.delete_topic(spec.name)

    def is_awaited(self, target: Topic | Subscription) -> bool:
        """Return whether a consumer that found nothing would hear of a publish to *target*."""
        with self._lock:
            names: Iterable[str] = (target.name,)
            if isinstance(target, Topic):
                topic = self._directory.topics.get(target.name)
                names = topic.subscriptions if topic is not None else ()
            takers = self._takers
            return any(taker.is_waiting for name in names for taker in takers.get(name, ()))

    def publish(self, target: Topic | Subscription, batch: Outgoing) -> Collection[int]:
        """Store *batch*; return the indexes, ascending, of what no subscription wanted.

        Raises:
            NotFoundError: The target does not exist.
        """
        clock = self.clock
        with self._lock:
            now, wall = clock.now(), clock.wall()
            wake: list[Taker] = []
            unwanted: Collection[int] = ()
            if isinstance(target, Topic):
                unwanted = range(len(batch))
                for state, run, indexes in self._directory.route(target.name, batch, wall):
                    state.messages.publish(run, indexes, now)
                    wake += self._stirred(state)
                    unwanted = _without(unwanted, indexes)
            else:
                state = self._directory.subscription(target.name)
                run = self._directory.address(target.name, batch, wall)
                state.messages.publish(run, None, now)
                wake += self._stirred(state)
        for taker in wake:
            taker.wake()
        return unwanted

    def join(self, subscription: str, taker: Taker) -> None:
        """Register a consumer.

        Raises:
            NotFoundError: The subscription does not exist.
        """
        with self._lock:
            self._directory.subscription(subscription)
            self._takers.setdefault(subscription, []).append(taker)

    def leave(self, subscription: str, taker: Taker) -> None:
        """Forget a consumer; what it holds is given back by ``give_back`` before."""
        with self._lock:
            takers = self._takers.get(subscription, [])
            if taker in takers:
                takers.remove(taker)

    def take(self, subscription: str, limit: int, lease_s: float | None) -> Held | None:
        """Hand out the foremost messages; ``None`` if nothing waits."""
        self.offers.catch_up()
        now = self.clock.now()
        with self._lock:
            state = self._directory.subscription(subscription)
            lease = Lease("receive", None if lease_s is None else now + lease_s)
            return state.messages.take(limit, lease)

    def change(self, subscription: str, work: Callable[[SubscriptionState, float], bool]) -> bool:
        """Do *work* on a subscription under the lock, then wake who can go on.

        Returns:
            What *work* returned; false if the subscription is gone.
        """
        with self._lock:
            state = self._directory.subscriptions.get(subscription)
            if state is None:
                return False
            result = work(state, self.clock.now())
            wake = self._stirred(state)
        for taker in wake:
            taker.wake()
        return result

    def expire(self, subscription: str, held: Held, taker: Taker) -> None:
        """End a lease whose time has come, unless all of it was settled or it was extended."""
        cause = LeaseLostError("the lease ran out before the delivery was settled")

        def end(state: SubscriptionState, now: float) -> bool:
            deadline = held.lease.deadline
            is_over = deadline is not None and deadline <= now and not held.is_settled
            if held.lease.lost is not None or not is_over:
                return False
            held.lease.lost = cause
            state.messages.back(held, 0, len(held), counted=True, delay_s=0, now=now)
            return True

        if self.change(subscription, end):
            taker.lose((held.lease,), cause)

    def restart(self) -> None:
        """Go down and come up again: every lease ends, nothing that was stored is lost."""
        self.offers.catch_up()
        cause = ConnectionLostError("the memory broker was restarted")
        with self._lock:
            takers = [taker for group in self._takers.values() for taker in group]
            names = tuple(self._directory.subscriptions)
        for taker in takers:
            taker.link(Link.DOWN, cause)
        for name in names:
            self._end_leases(name, cause)
        for taker in takers:
            taker.link(Link.UP, None)

    def expire_leases(self, subscription: str) -> None:
        """End every lease of *subscription* at once, as if its time had come."""
        self._end_leases(subscription, LeaseLostError("the lease was ended by the broker"))

    def names(self) -> frozenset[str]:
        """Return the names of all topics and subscriptions there are."""
        with self._lock:
            return frozenset(self._directory.topics) | frozenset(self._directory.subscriptions)

    def _end_leases(self, subscription: str, cause: UnibusError) -> None:
        ended: list[Lease] = []

        def end(state: SubscriptionState, now: float) -> bool:
            for held in tuple(state.messages.held):
                held.lease.lost = cause
                state.messages.back(held, 0, len(held), counted=True, delay_s=0, now=now)
                ended.append(held.lease)
            return bool(ended)

        if self.change(subscription, end):
            with self._lock:
                takers = tuple(self._takers.get(subscription, ()))
            for taker in takers:
                taker.lose(ended, cause)

    def waiting(self, subscription: str) -> int:
        """Return how many messages wait."""
        self.offers.catch_up()
        with self._lock:
            return self._directory.subscription(subscription).messages.waiting

    def purge(self, subscription: str) -> None:
        """Drop what waits."""
        self.offers.catch_up()
        with self._lock:
            self._directory.subscription(subscription).messages.purge()

    def _stirred(self, state: SubscriptionState) -> Sequence[Taker]:
        """Arm the timer of delayed messages; return whom to wake. Called under the lock."""
        name = state.spec.name
        due = state.messages.next_due()
        armed = self._timers.get(name)
        if due is not None and (armed is None or armed[0] > due):
            if armed is not None:
                armed[1].cancel()
            self._timers[name] = (due, self.clock.call_at(due, lambda: self._fall_due(name)))
        return tuple(self._takers.get(name, ())) if state.messages.can_give else ()

    def _fall_due(self, name: str) -> None:
        with self._lock:
            self._timers.pop(name, None)
        self.change(name, lambda state, now: state.messages.wake(now))


def _without(indexes: Collection[int], wanted: Sequence[int] | None) -> Collection[int]:
    """Return *indexes* less the *wanted* ones; ``None`` wants all."""
    if wanted is None or not indexes:
        return ()
    taken = set(wanted)
    return [index for index in indexes if index not in taken]
