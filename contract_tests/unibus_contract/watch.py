"""Sees what reaches an adapter, so that "refused before any I/O" can be proven."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from typing_extensions import override

from unibus import Bus
from unibus.clock import SystemClock
from unibus.errors import ConfigurationError
from unibus.spi import (
    AcksLevel,
    Adapter,
    Binding,
    Change,
    Clock,
    Events,
    Flow,
    Receiver,
    SeekTarget,
    Sender,
    Source,
    Spec,
    Verdict,
    VerdictKind,
)
from unibus_contract.harness import BrokerUnderTest
from unibus_contract.wrap import AdapterWrap, ReceiverWrap, SenderWrap

if TYPE_CHECKING:
    from unibus.requirements import Requirements


class Watch:
    """The names of the calls that reached an adapter and may have gone to the broker."""

    def __init__(self) -> None:
        self._calls: list[str] = []

    @property
    def count(self) -> int:
        """How many there were so far."""
        return len(self._calls)

    def since(self, count: int) -> Sequence[str]:
        """Return those after the first *count*."""
        return self._calls[count:]

    def saw(self, name: str) -> None:
        """Note one."""
        self._calls.append(name)


class _WatchedSender(SenderWrap):
    def __init__(self, inner: Sender, watch: Watch) -> None:
        super().__init__(inner)
        self._watch = watch

    @override
    def offer(self) -> None:
        self._watch.saw("offer")
        super().offer()


class _WatchedReceiver(ReceiverWrap):
    def __init__(self, inner: Receiver, watch: Watch) -> None:
        super().__init__(inner)
        self._watch = watch

    @override
    def settle(self, verdicts: Sequence[Verdict]) -> None:
        # An extension is the core's own doing: it keeps leases while nobody settles.
        for each in verdicts:
            if each.kind is not VerdictKind.EXTEND:
                self._watch.saw(each.kind.value)
        super().settle(verdicts)

    @override
    def seek(self, target: SeekTarget, *, timeout_s: float) -> None:
        self._watch.saw("seek")
        super().seek(target, timeout_s=timeout_s)


class _WatchedAdapter(AdapterWrap):
    def __init__(self, inner: Adapter, watch: Watch) -> None:
        super().__init__(inner)
        self._watch = watch

    @override
    def sender(self, sender: Sender, binding: Binding) -> Sender:
        return _WatchedSender(sender, self._watch)

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return _WatchedReceiver(receiver, self._watch)

    @override
    def open_sender(
        self, binding: Binding, acks: AcksLevel, source: Source, *, timeout_s: float
    ) -> Sender:
        self._watch.saw("open_sender")
        return super().open_sender(binding, acks, source, timeout_s=timeout_s)

    @override
    def open_receiver(
        self, binding: Binding, flow: Flow, events: Events, *, timeout_s: float
    ) -> Receiver:
        self._watch.saw("open_receiver")
        return super().open_receiver(binding, flow, events, timeout_s=timeout_s)

    @override
    def inspect(self, specs: Sequence[Spec], *, timeout_s: float) -> Sequence[Spec]:
        self._watch.saw("inspect")
        return super().inspect(specs, timeout_s=timeout_s)

    @override
    def plan(self, specs: Sequence[Spec], *, timeout_s: float) -> Sequence[Change]:
        self._watch.saw("plan")
        return super().plan(specs, timeout_s=timeout_s)

    @override
    def apply(self, change: Change, *, timeout_s: float) -> None:
        self._watch.saw("apply")
        super().apply(change, timeout_s=timeout_s)

    @override
    def backlog(self, binding: Binding, *, timeout_s: float) -> int:
        self._watch.saw("backlog")
        return super().backlog(binding, timeout_s=timeout_s)

    @override
    def delete(self, spec: Spec, *, timeout_s: float) -> None:
        self._watch.saw("delete")
        super().delete(spec, timeout_s=timeout_s)

    @override
    def purge(self, binding: Binding, *, timeout_s: float) -> None:
        self._watch.saw("purge")
        super().purge(binding, timeout_s=timeout_s)


class OverWrapped(BrokerUnderTest):
    """A broker that is reached through an adapter with something round it.

    Everything else is that of the broker it is made over.

    Args:
        inner: That broker.
        wrap: Puts something round an adapter.
        bus: What is opened over it: a subclass can misbehave in the core's place. By default that
            of *inner*, so that what is put round a saboteur is put round its bus, too.
    """

    def __init__(
        self,
        inner: BrokerUnderTest,
        wrap: Callable[[Adapter], Adapter],
        bus: type[Bus] | None = None,
    ) -> None:
        super().__init__(inner.label, inner.url, shown_url=inner.shown_url)
        self.evidence = inner.evidence
        self.timing, self.faults, self.native = inner.timing, inner.faults, inner.native
        self._inner = inner
        self._wrap = wrap
        inherited = inner.bus_class if isinstance(inner, OverWrapped) else Bus
        self.bus_class: type[Bus] = bus or inherited

    @override
    def url_of(self, profile: str) -> str:
        return self._inner.url_of(profile)

    @override
    def residue(self, prefix: str) -> Sequence[str]:
        return self._inner.residue(prefix)

    @override
    def connect(
        self,
        url: str,
        *,
        require: Requirements | None = None,
        options: Mapping[str, object] | None = None,
        timeout_s: float = 10.0,
    ) -> Bus:
        profile = _named_in(url)
        with ExitStack() as open_:
            clock = SystemClock()
            open_.callback(clock.close)
            adapter = self.adapter(url, options or {}, clock=clock, timeout_s=timeout_s)
            open_.callback(adapter.close, timeout_s)
            bus = self.bus_class.over(adapter, clock=clock, require=require, profile=profile)
            open_.pop_all()  # from now on they are the bus's
        return bus

    @override
    def adapter(
        self, url: str, options: Mapping[str, object], *, clock: Clock, timeout_s: float
    ) -> Adapter:
        return self._wrap(self._inner.adapter(url, options, clock=clock, timeout_s=timeout_s))


def _named_in(url: str) -> str | None:
    try:
        return dict(parse_qsl(urlsplit(url).query)).get("profile")
    except ValueError:  # as the core says it
        raise ConfigurationError("the URL is malformed") from None


def watched(broker: BrokerUnderTest) -> tuple[BrokerUnderTest, Watch]:
    """Return *broker* with a watch that sees what reaches its adapters."""
    watch = Watch()
    return OverWrapped(broker, lambda adapter: _WatchedAdapter(adapter, watch)), watch
