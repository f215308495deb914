"""The receiving side of an adapter, seen through."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from unibus.outcome import Outcome
from unibus.spi import (
    Events,
    Incoming,
    Lease,
    LeaseRange,
    Link,
    Message,
    Receiver,
    SeekTarget,
    SupportsSeek,
    Verdict,
)


class IncomingWrap(Incoming):
    """An adapter's batch, seen through; it has the ticket of the inner one."""

    def __init__(self, inner: Incoming) -> None:
        super().__init__(inner.ticket)
        self.inner = inner

    @override
    def __len__(self) -> int:
        return len(self.inner)

    @override
    def bodies(self) -> Sequence[bytes | None]:
        return self.inner.bodies()

    @override
    def message(self, index: int) -> Message:
        return self.inner.message(index)

    @override
    def attempt(self, index: int) -> int | None:
        return self.inner.attempt(index)

    @override
    def position(self, index: int) -> str | None:
        return self.inner.position(index)

    @override
    def native(self, index: int) -> object:
        return self.inner.native(index)

    @override
    def leases(self) -> Sequence[LeaseRange]:
        return self.inner.leases()


class EventsWrap(Events):
    """The core's inbox, seen through."""

    def __init__(self, inner: Events) -> None:
        self.inner = inner

    @override
    def ready(self) -> None:
        self.inner.ready()

    @override
    def verdicts(self) -> Sequence[Verdict]:
        return self.inner.verdicts()

    @override
    def settled(self, ticket: object, first: int, count: int, outcome: Outcome) -> None:
        self.inner.settled(ticket, first, count, outcome)

    @override
    def revoking(self, leases: Sequence[Lease], budget_s: float) -> None:
        self.inner.revoking(leases, budget_s)

    @override
    def lost(self, leases: Sequence[Lease], cause: Exception) -> None:
        self.inner.lost(leases, cause)

    @override
    def state(self, state: Link, cause: Exception | None) -> None:
        self.inner.state(state, cause)


class ReceiverWrap(Receiver, SupportsSeek):
    """An adapter's receiver, seen through."""

    def __init__(self, inner: Receiver) -> None:
        self.inner = inner

    @override
    def take(self) -> Incoming | None:
        return self.inner.take()

    @override
    def settle(self, verdicts: Sequence[Verdict]) -> None:
        self.inner.settle(verdicts)

    @override
    def barrier(self) -> None:
        self.inner.barrier()

    @override
    def pause(self, give_back: bool = False) -> None:
        self.inner.pause(give_back)

    @override
    def resume(self) -> None:
        self.inner.resume()

    @override
    def is_idle(self) -> bool:
        return self.inner.is_idle()

    @override
    def close(self, timeout_s: float) -> None:
        self.inner.close(timeout_s)

    @override
    def seek(self, target: SeekTarget, *, timeout_s: float) -> None:
        assert isinstance(self.inner, SupportsSeek), "the adapter declares replay and has no seek"
        self.inner.seek(target, timeout_s=timeout_s)
