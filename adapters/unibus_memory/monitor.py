"""The machine behind one lock: what is done to it, and who is woken by that."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final, TypeVar

from unibus.spi import Clock, Outgoing, Topic
from unibus_memory.alarms import Alarms
from unibus_memory.machine.chooser import Chooser
from unibus_memory.machine.held import Held, Loss
from unibus_memory.machine.store import Moment
from unibus_memory.machine.subscriptions import SubscriptionState
from unibus_memory.machine.topics import Directory, Target
from unibus_memory.profiles import NATURES
from unibus_memory.takers import Taker

T = TypeVar("T")
_DELAYED: Final = ""  # the alarm of messages that are not stored yet; no name is empty


class Monitor:
    """Thread-safe; blocks only for its own lock, and holds it while it calls nobody.

    Attributes:
        clock: Tells the time and calls back.
        lock: To be held while *directory* or *takers* is used.
        directory: The machine.
        takers: The consumers of each subscription, by its name.
        chooser: Decides what the promises leave open.
    """

    def __init__(self, clock: Clock, chooser: Chooser) -> None:
        self.clock = clock
        self.chooser = chooser
        self.lock = threading.Lock()
        self.directory = Directory(NATURES, chooser)
        self.takers: dict[str, list[Taker]] = {}
        self._alarms = Alarms(clock, self._fall_due)

    def publish(self, target: Target, batch: Outgoing) -> Collection[int]:
        """Store *batch*; return the indexes, ascending, of what no subscription wanted.

        Raises:
            NotFoundError: The target does not exist.
        """
        with self.lock:
            at = self.moment()
            states, unwanted = self.directory.publish(target, batch, at)
            wake = self._settle_down(states, at)
        _wake(wake)
        return unwanted

    def take(self, name: str, taker: Taker, limit: int, lease_s: float | None) -> Held | None:
        """Hand out the foremost messages; ``None`` if nothing waits."""
        with self.lock:
            state = self.directory.subscriptions.get(name)
            if state is None:
                return None
            at, store = self.moment(), state.store
            held = store.take(taker, self.chooser.size(limit), lease_s, at)
            self._alarms.set(name, store.next_due())
            wake = self._settle_down((state,), at) if store.dead else ()
        _wake(wake)
        return held

    def ask(self, name: str, work: Callable[[SubscriptionState, Moment], T]) -> T | None:
        """Return what *work* says of a subscription; ``None`` if that is gone."""
        with self.lock:
            state = self.directory.subscriptions.get(name)
            return None if state is None else work(state, self.moment())

    def change(self, name: str, work: Callable[[SubscriptionState, Moment], T]) -> T | None:
        """Do *work* on a subscription, and wake who can go on; ``None`` if it is gone."""
        with self.lock:
            state = self.directory.subscriptions.get(name)
            if state is None:
                return None
            at = self.moment()
            result = work(state, at)
            wake = self._settle_down((state,), at)
        _wake(wake)
        return result

    def lose(self, name: str, work: Callable[[SubscriptionState, Moment], Sequence[Loss]]) -> None:
        """Do *work*, which ends leases, and tell their holders."""
        if losses := self.change(name, work):
            with self.lock:
                takers = tuple(self.takers.get(name, ()))
            for taker in takers:
                taker.lose(losses)

    def moment(self) -> Moment:
        """Return what time it is."""
        return Moment(self.clock.now(), self.clock.wall())

    def is_awaited(self, target: Target) -> bool:
        """Return whether a consumer that found nothing would hear of a publish to *target*."""
        with self.lock:
            names: Iterable[str] = (target.name,)
            if isinstance(target, Topic):
                topic = self.directory.topics.get(target.name)
                names = topic.subscriptions if topic is not None else ()
            takers = self.takers
            return any(taker.is_waiting for name in names for taker in takers.get(name, ()))

    def _settle_down(self, states: Iterable[SubscriptionState], at: Moment) -> Sequence[Taker]:
        """Bury the dead and set the alarms; return whom to wake. The lock is held."""
        stirred = dict.fromkeys(states)
        for state in tuple(stirred):
            for dead in state.store.take_dead():
                stirred |= dict.fromkeys(self.directory.bury(state, dead, at))
        takers: list[Taker] = []
        for state in stirred:
            name, can_give = state.spec.name, state.store.can_give
            self._alarms.set(name, state.store.next_due())
            takers += [each for each in self.takers.get(name, ()) if can_give(each)]
        self._alarms.set(_DELAYED, self.directory.next_due())
        return takers

    def _fall_due(self, name: str) -> None:
        with self.lock:
            self._alarms.clear(name)
            wake: Sequence[Taker] = ()
            if name == _DELAYED:
                at = self.moment()
                wake = self._settle_down(self.directory.wake(at), at)
        _wake(wake)
        if name != _DELAYED:
            self.lose(name, lambda state, at: state.store.wake(at))


def _wake(takers: Iterable[Taker]) -> None:
    for taker in takers:
        taker.wake()
