"""What every layer has: it stands between a receiver and the core, and passes everything on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import random

from typing_extensions import override

from unibus.clock import Clock
from unibus.errors import UnsupportedError
from unibus.outcome import Outcome
from unibus.retry import Backoff, Random
from unibus.specs import Subscription
from unibus.spi import (
    Binding,
    Events,
    Flow,
    Incoming,
    Lease,
    Link,
    Receiver,
    SeekTarget,
    SupportsSeek,
    Verdict,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What layers work with.

    Attributes:
        binding: What is received; its spec is a subscription.
        flow: How much the receiver may hold.
        clock: Tells the time and calls back.
        backoff: How long to wait when a copy cannot be published.
        random: The chance in it.
    """

    binding: Binding
    flow: Flow
    clock: Clock
    backoff: Backoff = field(default_factory=Backoff)
    random: Random = random

    @property
    def subscription(self) -> Subscription:
        """What is received."""
        spec = self.binding.spec
        assert isinstance(spec, Subscription)  # noqa: S101  # a receiver is of a subscription
        return spec

    @property
    def lease_s(self) -> float | None:
        """How long to extend a lease by; ``None`` if that is not possible or not needed."""
        limits = self.binding.capabilities.lease.value
        return (self.subscription.lease_s or limits.default_s) if limits.extendable else None


class Layer(Receiver, SupportsSeek, Events):
    """A receiver round another one, and its events; passes everything on as it is.

    The core calls ``take`` from one thread at a time, as it has to for the order's sake; all else
    may come from any thread, also from inside a callback. A layer holds no lock of its own while
    it calls anybody.
    """

    def __init__(self, events: Events) -> None:
        self._events = events
        self._inner: Receiver

    def attach(self, inner: Receiver) -> None:
        """Stand round *inner*, which was opened with this layer as its events."""
        self._inner = inner

    def settle_inner(self, verdicts: Sequence[Verdict]) -> None:
        """Have the inner receiver settle what this layer decided."""
        self._inner.settle(verdicts)

    def barrier_inner(self) -> None:
        """Have the inner receiver confirm what this layer decided."""
        self._inner.barrier()

    def pass_on(self, verdicts: Sequence[Verdict]) -> Sequence[Verdict]:
        """Return what the inner receiver is to do about *verdicts*."""
        return verdicts

    @override
    def take(self) -> Incoming | None:
        return self._inner.take()

    @override
    def settle(self, verdicts: Sequence[Verdict]) -> None:
        if passed := self.pass_on(verdicts):
            self._inner.settle(passed)

    @override
    def barrier(self) -> None:
        self._inner.barrier()

    @override
    def pause(self, give_back: bool = False) -> None:
        self._inner.pause(give_back)

    @override
    def resume(self) -> None:
        self._inner.resume()

    @override
    def is_idle(self) -> bool:
        return self._inner.is_idle()

    @override
    def close(self, timeout_s: float) -> None:
        self._inner.close(timeout_s)

    @override
    def seek(self, target: SeekTarget, *, timeout_s: float) -> None:
        if not isinstance(self._inner, SupportsSeek):
            raise UnsupportedError(
                "seek is asked of a subscription that keeps no log; use a stream"
            )
        self._inner.seek(target, timeout_s=timeout_s)

    @override
    def ready(self) -> None:
        self._events.ready()

    @override
    def verdicts(self) -> Sequence[Verdict]:
        verdicts = self._events.verdicts()
        return self.pass_on(verdicts) if verdicts else verdicts

    @override
    def settled(self, ticket: object, first: int, count: int, outcome: Outcome) -> None:
        self._events.settled(ticket, first, count, outcome)

    @override
    def revoking(self, leases: Sequence[Lease], budget_s: float) -> None:
        self._events.revoking(leases, budget_s)

    @override
    def lost(self, leases: Sequence[Lease], cause: Exception) -> None:
        self._events.lost(leases, cause)

    @override
    def state(self, state: Link, cause: Exception | None) -> None:
        self._events.state(state, cause)
