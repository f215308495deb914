"""One connection to a broker in this process."""

from __future__ import annotations

import platform
import threading
from collections.abc import Mapping, Sequence
from typing import Self
from weakref import WeakValueDictionary, finalize

from typing_extensions import override

from unibus.spi import (
    AcksLevel,
    Adapter,
    AdapterError,
    Backlog,
    Binding,
    BrokerIdentity,
    Change,
    Clock,
    ConfigurationError,
    Events,
    Flow,
    Profile,
    Receiver,
    Sender,
    Source,
    Spec,
    Subscription,
    SupportsBacklog,
    SupportsDelete,
    SupportsPurge,
    SystemClock,
    TopologyConflictError,
    UnibusError,
)
from unibus_memory import topology
from unibus_memory.broker import MemoryBroker
from unibus_memory.machine.chooser import chooser_of
from unibus_memory.options import MemoryOptions
from unibus_memory.profiles import family
from unibus_memory.receiver import MemoryReceiver
from unibus_memory.seeking import MemoryLogReceiver
from unibus_memory.sender import MemorySender


class _Brokers:
    """Named brokers of this process, alive as long as an adapter is connected to them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._named: WeakValueDictionary[str, MemoryBroker] = WeakValueDictionary()

    def get(self, options: MemoryOptions, clock: Clock) -> MemoryBroker:
        seed = options.adversary
        if not options.name:
            return MemoryBroker(clock, chooser_of(seed))
        with self._lock:
            broker = self._named.get(options.name)
            if broker is None:
                # The first bus closes its clock when it ends; the broker goes on with the others.
                if isinstance(clock, SystemClock):
                    clock = SystemClock()
                broker = self._named[options.name] = MemoryBroker(clock, chooser_of(seed))
                finalize(broker, clock.close)
            elif seed is not None and broker.chooser.seed != seed:
                raise ConfigurationError(
                    f"memory: the broker {options.name!r} was opened with adversary"
                    f" {broker.chooser.seed}, asked for {seed}; give it another name"
                )
            return broker


_BROKERS = _Brokers()


class MemoryAdapter(Adapter, SupportsBacklog, SupportsDelete, SupportsPurge):
    """Everything happens on the caller's thread and within microseconds.

    Only opening a receiver can take longer: it waits for the handlers of others that lose a share
    of the work to it.
    """

    def __init__(self, broker: MemoryBroker, options: MemoryOptions) -> None:
        self._broker = broker
        self._options = options

    @classmethod
    @override
    def open(
        cls, url: str, options: Mapping[str, object], *, clock: Clock, timeout_s: float
    ) -> Self:
        parsed = MemoryOptions.parse(url, options)
        return cls(_BROKERS.get(parsed, clock), parsed)

    @property
    @override
    def profiles(self) -> Sequence[Profile]:
        return family(self._options.profile)

    @property
    @override
    def identity(self) -> BrokerIdentity:
        return BrokerIdentity(
            system="unibus_memory",
            version="1",
            client=f"Python {platform.python_version()}",
            address=self._options.name or "private",
        )

    @property
    @override
    def native(self) -> MemoryBroker:
        return self._broker

    @override
    def open_sender(
        self, binding: Binding, acks: AcksLevel, source: Source, *, timeout_s: float
    ) -> Sender:
        self._broker.check(binding.spec)
        reports = binding.profile.capabilities.unroutable.value == "error"
        return MemorySender(self._broker, binding.spec, source, reports_unroutable=reports)

    @override
    def open_receiver(
        self, binding: Binding, flow: Flow, events: Events, *, timeout_s: float
    ) -> Receiver:
        spec, promises = binding.spec, binding.profile.capabilities
        if not isinstance(spec, Subscription):
            raise AdapterError(f"a receiver needs a subscription, not {spec!r}")
        goes_back = bool(promises.replay) and self._broker.has_log(spec.name)
        kind = MemoryLogReceiver if goes_back else MemoryReceiver
        receiver = kind(self._broker, spec, flow, events, promises)
        receiver.open(timeout_s)
        return receiver

    @override
    def inspect(self, specs: Sequence[Spec], *, timeout_s: float) -> Sequence[Spec]:
        found = map(self._broker.find, topology.halves(specs, self._options.profile))
        return [spec for spec in found if spec is not None]

    @override
    def plan(self, specs: Sequence[Spec], *, timeout_s: float) -> Sequence[Change]:
        return topology.plan(self._broker, specs, self._options.profile)

    @override
    def apply(self, change: Change, *, timeout_s: float) -> None:
        if change.kind == "refuse":
            raise TopologyConflictError(change.text)
        for half in topology.halves((change.spec,), self._options.profile):
            self._broker.declare(half, topology.profile_of(half, self._options.profile))

    @override
    def delete(self, spec: Spec, *, timeout_s: float) -> None:
        for half in reversed(topology.halves((spec,), self._options.profile)):
            self._broker.delete(half)

    @override
    def backlog(self, binding: Binding, *, timeout_s: float) -> int:
        count = self._broker.waiting(binding.spec.name)
        is_exact = binding.profile.capabilities.backlog.value is Backlog.EXACT
        return count if is_exact else self._broker.chooser.near(count)

    @override
    def purge(self, binding: Binding, *, timeout_s: float) -> None:
        self._broker.purge(binding.spec.name)

    @override
    def translate(self, error: Exception) -> UnibusError:
        return error if isinstance(error, UnibusError) else AdapterError(f"memory: {error!r}")

    @override
    def close(self, timeout_s: float) -> None:
        """Nothing to give back: handles were closed before, and a named broker lives on."""
