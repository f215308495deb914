"""An adapter, seen through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

from typing_extensions import override

from unibus.errors import UnibusError
from unibus.spi import (
    AcksLevel,
    Adapter,
    Binding,
    BrokerIdentity,
    Change,
    Clock,
    Events,
    Flow,
    Profile,
    Receiver,
    Sender,
    Source,
    Spec,
    SupportsBacklog,
    SupportsDelete,
    SupportsPurge,
)


class AdapterWrap(Adapter, SupportsBacklog, SupportsDelete, SupportsPurge):
    """An adapter, seen through; made over one that is open."""

    def __init__(self, inner: Adapter) -> None:
        self.inner = inner

    def source(self, source: Source, binding: Binding) -> Source:
        """Return what the adapter's sender of *binding* pulls from."""
        del binding
        return source

    def sender(self, sender: Sender, binding: Binding) -> Sender:
        """Return what the core gets for the adapter's *sender*."""
        del binding
        return sender

    def events(self, events: Events, binding: Binding) -> Events:
        """Return what the adapter's receiver of *binding* reports to."""
        del binding
        return events

    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        """Return what the core gets for the adapter's *receiver*."""
        del binding
        return receiver

    @classmethod
    @override
    def open(
        cls, url: str, options: Mapping[str, object], *, clock: Clock, timeout_s: float
    ) -> Self:
        raise NotImplementedError("a wrapper is made over an adapter that is open")

    @property
    @override
    def profiles(self) -> Sequence[Profile]:
        return self.inner.profiles

    @property
    @override
    def identity(self) -> BrokerIdentity:
        return self.inner.identity

    @property
    @override
    def native(self) -> object:
        return self.inner.native

    @override
    def open_sender(
        self, binding: Binding, acks: AcksLevel, source: Source, *, timeout_s: float
    ) -> Sender:
        wrapped = self.source(source, binding)
        sender = self.inner.open_sender(binding, acks, wrapped, timeout_s=timeout_s)
        return self.sender(sender, binding)

    @override
    def open_receiver(
        self, binding: Binding, flow: Flow, events: Events, *, timeout_s: float
    ) -> Receiver:
        wrapped = self.events(events, binding)
        receiver = self.inner.open_receiver(binding, flow, wrapped, timeout_s=timeout_s)
        return self.receiver(receiver, binding)

    @override
    def inspect(self, specs: Sequence[Spec], *, timeout_s: float) -> Sequence[Spec]:
        return self.inner.inspect(specs, timeout_s=timeout_s)

    @override
    def plan(self, specs: Sequence[Spec], *, timeout_s: float) -> Sequence[Change]:
        return self.inner.plan(specs, timeout_s=timeout_s)

    @override
    def apply(self, change: Change, *, timeout_s: float) -> None:
        self.inner.apply(change, timeout_s=timeout_s)

    @override
    def translate(self, error: Exception) -> UnibusError:
        return self.inner.translate(error)

    @override
    def close(self, timeout_s: float) -> None:
        self.inner.close(timeout_s)

    @override
    def backlog(self, binding: Binding, *, timeout_s: float) -> int:
        assert isinstance(self.inner, SupportsBacklog), "declared and not there"
        return self.inner.backlog(binding, timeout_s=timeout_s)

    @override
    def delete(self, spec: Spec, *, timeout_s: float) -> None:
        assert isinstance(self.inner, SupportsDelete), "declared and not there"
        self.inner.delete(spec, timeout_s=timeout_s)

    @override
    def purge(self, binding: Binding, *, timeout_s: float) -> None:
        assert isinstance(self.inner, SupportsPurge), "declared and not there"
        self.inner.purge(binding, timeout_s=timeout_s)
