"""What consumers ask of the broker: to take part, to take, to settle, to go elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from unibus.spi import (
    ConnectionLostError,
    LeaseLostError,
    Link,
    UnibusError,
    Verdict,
    VerdictKind,
)
from unibus_memory.machine.books import Place
from unibus_memory.machine.held import Held, Loss
from unibus_memory.machine.lanes import LanedSubscription, LaneState
from unibus_memory.machine.store import Moment, Settled
from unibus_memory.machine.subscriptions import SubscriptionState
from unibus_memory.monitor import Monitor
from unibus_memory.takers import Taker

_REVOKING_S: Final = 60.0  # how long a lane waits for the handlers of its owner


class Consumers:
    """Thread-safe. Only ``join`` blocks, for the handlers of other consumers.

    Args:
        monitor: The machine.
    """

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    def join(self, name: str, taker: Taker, patience_s: float) -> None:
        """Register a consumer, or one that rested; others give up lanes to it.

        A lane on which a handler works is given up when that has ended.

        Args:
            name: Of the subscription.
            taker: Who consumes.
            patience_s: How long to wait for that; afterwards it goes on without the caller.

        Raises:
            NotFoundError: The subscription does not exist.
            UnsupportedError: There is no place for another one.
        """
        monitor = self._monitor
        with monitor.lock:
            monitor.directory.subscription(name).store.join(taker)
            takers = monitor.takers.setdefault(name, [])
            if taker not in takers:
                takers.append(taker)
        end = monitor.clock.now() + patience_s
        while moving := monitor.ask(name, _surplus):
            idle = [lane for lanes in moving.values() for lane in lanes if not lane.is_at_work]
            self._move(name, idle)
            if len(idle) < sum(map(len, moving.values())):
                # Waiting for handlers blocks, and this may be the thread of one of them.
                thread = threading.Thread(
                    target=self._revoke,
                    args=(name, moving),
                    name="unibus-memory-rebalance",
                    daemon=True,
                )
                thread.start()
                thread.join(max(0.0, end - monitor.clock.now()))

    def leave(self, name: str, taker: Taker, held: Iterable[Held], *, counted: bool) -> None:
        """Forget a consumer, and take back what it held; *counted* as an attempt or not."""
        monitor = self._monitor
        with monitor.lock:
            takers = monitor.takers.get(name, [])
            if taker in takers:
                takers.remove(taker)
        cause = LeaseLostError("the consumer was closed")

        def work(state: SubscriptionState, at: Moment) -> None:
            state.store.give_back(taker, held, cause, at, counted=counted)
            state.store.leave(taker, at)

        monitor.change(name, work)

    def take(self, name: str, taker: Taker, limit: int, lease_s: float | None) -> Held | None:
        """Hand out the foremost messages; ``None`` if nothing waits."""
        held = self._monitor.take(name, taker, limit, lease_s)
        if held is None and self._monitor.ask(name, lambda state, _: state.store.is_out(taker)):
            self.join(name, taker, 0.0)
            held = self._monitor.take(name, taker, limit, lease_s)
        return held

    def drop(self, name: str, taker: Taker, held: Iterable[Held]) -> None:
        """Lose a consumer, which comes back at once."""
        cause = ConnectionLostError("the connection to the memory broker was lost")
        taker.link(Link.DOWN, cause)

        def work(state: SubscriptionState, at: Moment) -> Sequence[Loss]:
            losses = state.store.give_back(taker, held, cause, at, counted=True)
            state.store.rest(taker, at)
            return losses

        self._monitor.lose(name, work)
        taker.link(Link.UP, None)
        self.join(name, taker, 0.0)

    def settle(
        self, name: str, held: Held, verdict: Verdict, *, counted: bool
    ) -> Sequence[Settled] | None:
        """Do what *verdict* says of a range of *held*; *counted* is for a release.

        Returns:
            What has become final by that; ``None`` if it came too late.
        """
        first, count, kind = verdict.first, verdict.count, verdict.kind

        def work(state: SubscriptionState, at: Moment) -> Sequence[Settled] | None:
            # Looked at under the lock: the lease may just have run out.
            if held.lease(first).lost is not None:
                return None
            store = state.store
            match kind:
                case VerdictKind.ACK:
                    return store.done(held, first, count)
                case VerdictKind.REJECT if state.buries:
                    return store.bury(held, first, count, verdict.reason)
                case VerdictKind.REJECT:
                    return store.done(held, first, count)
                case VerdictKind.EXTEND:
                    store.renew(held, first, count, at.now + verdict.delay_s)
                    return ()
            is_failure = kind is VerdictKind.NACK or counted
            delay_s = verdict.delay_s
            return store.back(held, first, count, counted=is_failure, delay_s=delay_s, at=at)

        return self._monitor.change(name, work)

    def give_back(
        self, name: str, taker: Taker, held: Iterable[Held], cause: UnibusError, *, counted: bool
    ) -> Sequence[Loss]:
        """Take back what a consumer holds, who rests; return what it lost."""

        def work(state: SubscriptionState, at: Moment) -> Sequence[Loss]:
            losses = state.store.give_back(taker, held, cause, at, counted=counted)
            state.store.rest(taker, at)
            return losses

        return self._monitor.change(name, work) or ()

    def seek(self, name: str, taker: Taker, place: Place) -> None:
        """Go on reading at *place*.

        Raises:
            UnsupportedError: There is no log.
        """
        cause = LeaseLostError("the subscription was moved by seek")
        self._monitor.lose(name, lambda state, at: state.seek(taker, place, cause, at))

    def uncovered(self, name: str, taker: Taker) -> Sequence[Settled]:
        """Return what is settled above something open: it is not final until that is settled."""
        return self._monitor.ask(name, lambda state, _: state.store.uncovered(taker)) or ()

    def is_idle(self, name: str, taker: Taker) -> bool:
        """Return whether a consumer has no share of the work."""
        return bool(self._monitor.ask(name, lambda state, _: state.store.is_idle(taker)))

    def _revoke(self, name: str, moving: Mapping[object, list[LaneState]]) -> None:
        """Move lanes once nobody works on them."""
        monitor = self._monitor
        with monitor.lock:
            owners = [each for each in monitor.takers.get(name, ()) if each in moving]
        try:
            for owner in owners:
                leases = [lane.lease for lane in moving[owner] if lane.lease is not None]
                owner.revoking(leases, _REVOKING_S)
        finally:
            self._move(name, [lane for lanes in moving.values() for lane in lanes])

    def _move(self, name: str, lanes: Sequence[LaneState]) -> None:
        cause = LeaseLostError("the lane was given to another consumer")
        self._monitor.lose(name, lambda state, at: _moved(state, lanes, cause, at))


def _surplus(state: SubscriptionState, _at: Moment) -> Mapping[object, list[LaneState]]:
    store = state.store
    return store.surplus() if isinstance(store, LanedSubscription) else {}


def _moved(
    state: SubscriptionState, lanes: Sequence[LaneState], cause: UnibusError, at: Moment
) -> Sequence[Loss]:
    store = state.store
    return store.move(lanes, cause, at) if isinstance(store, LanedSubscription) else ()
