"""The adapter for RabbitMQ: pika underneath, one I/O thread, own frames where they can be used."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Self

import pika
from typing_extensions import override

from unibus import spi
from unibus_rabbitmq import connection as connections
from unibus_rabbitmq import errors, names, options, positions, profiles, topology
from unibus_rabbitmq.connection import Connection
from unibus_rabbitmq.control import Control
from unibus_rabbitmq.deliveries import OwnReader, PikaReader, Shape
from unibus_rabbitmq.loop import Loop
from unibus_rabbitmq.publishing import Target
from unibus_rabbitmq.receiver import RabbitReceiver
from unibus_rabbitmq.rpc import Rpc
from unibus_rabbitmq.sender import RabbitSender
from unibus_rabbitmq.session import Plan
from unibus_rabbitmq.store import PositionStore
from unibus_rabbitmq.streams import Reading, StreamReceiver

_GOODBYE_S = 0.2
_READER = "reader"


class RabbitMQAdapter(spi.Adapter, spi.SupportsBacklog, spi.SupportsDelete, spi.SupportsPurge):
    """One broker, over a connection that consumes and asks, and one that publishes.

    They are two because a memory or disk alarm stops everything on a connection that publishes.
    """

    def __init__(self, settings: options.Options, clock: spi.Clock) -> None:
        self._settings = settings
        self._clock = clock
        is_own = settings.wire == "own" and not settings.tls
        self._has_own_frames = is_own and connections.is_tested(pika.__version__)
        self._loop = Loop("unibus-rabbitmq")
        self._consuming = self._connection()
        self._publishing: Connection | None = None
        self._lock = threading.Lock()
        self._version = "unknown"

    @classmethod
    @override
    def open(
        cls, url: str, options: Mapping[str, object], *, clock: spi.Clock, timeout_s: float
    ) -> Self:
        settings = _parse(url, options)
        adapter = cls(settings, clock)
        try:
            adapter._consuming.open(timeout_s)
        except Exception as error:
            adapter._loop.stop(_GOODBYE_S)
            raise _why_not(error, settings.address, timeout_s) from error
        found = getattr(adapter._consuming.native, "server_properties", None) or {}
        version = found.get("version", "unknown")
        adapter._version = version.decode() if isinstance(version, bytes) else str(version)
        return adapter

    def _connection(self) -> Connection:
        return Connection(self._loop, self._settings.parameters, own_frames=self._has_own_frames)

    @property
    @override
    def profiles(self) -> Sequence[spi.Profile]:
        return profiles.profiles(
            self._version,
            wire="own" if self._has_own_frames else "public",
            default=self._settings.profile,
        )

    @property
    @override
    def identity(self) -> spi.BrokerIdentity:
        return spi.BrokerIdentity(
            system="rabbitmq",
            version=self._version,
            client=f"pika {pika.__version__}",
            address=self._settings.address,
        )

    @property
    @override
    def native(self) -> object:
        return self._consuming.native

    @override
    def open_sender(
        self, binding: spi.Binding, acks: spi.AcksLevel, source: spi.Source, *, timeout_s: float
    ) -> spi.Sender:
        end = time.monotonic() + timeout_s
        with Rpc(self._consuming, timeout_s) as rpc:
            topology.check(rpc, binding, receiving=False)
        return self._sender(source, _target(binding, acks), end)

    def _sender(self, source: spi.Source, target: Target, end: float) -> RabbitSender:
        with self._lock:
            if self._publishing is None:
                publishing = self._connection()
                publishing.open(_left_s(end))
                self._publishing = publishing
        where = self._settings.address
        sender = RabbitSender(self._publishing, source, target, wall=self._clock.wall, where=where)
        sender.open(_left_s(end))
        return sender

    @override
    def open_receiver(
        self, binding: spi.Binding, flow: spi.Flow, events: spi.Events, *, timeout_s: float
    ) -> spi.Receiver:
        end = time.monotonic() + timeout_s
        with Rpc(self._consuming, timeout_s) as rpc:
            topology.check(rpc, binding, receiving=True)
        plan = self._plan(binding, flow)
        own = [self._connection() for _ in plan.queues] if plan.owns else []
        try:
            for each in own:
                each.open(_left_s(end))
            connections = own or [self._consuming]
            receiver = self._receiver(connections, events, plan, _subscription(binding), end)
            receiver.open(_left_s(end))
        except BaseException:
            for each in own:
                each.close(_GOODBYE_S)
            raise
        return receiver

    def _receiver(
        self,
        connections: Sequence[Connection],
        events: spi.Events,
        plan: Plan,
        spec: spi.Subscription,
        end: float,
    ) -> RabbitReceiver:
        where = self._settings.address
        if not plan.is_log:
            return RabbitReceiver(connections, events, plan, where=where)
        store = self._store(spec, plan.queues[0], end) if spec.managed else None
        reading = Reading(spec.name, positions.of_start(spec.start), store)
        return StreamReceiver(connections[0], events, plan, reading, where=where)

    def _store(self, spec: spi.Subscription, stream: str, end: float) -> PositionStore:
        queue = names.position_queue(spec)

        def store_end(timeout_s: float) -> None:
            positions.remember_end(self._settings.parameters(timeout_s), stream, queue)

        with Rpc(self._consuming, _left_s(end)) as rpc:
            if spec.start == "latest" and not Control(rpc).count(queue):
                # Known from now on: else what comes before its first delivery could be missed.
                store_end(_left_s(end))
        store = PositionStore(spec.name, queue, names.derived(spec.name, _READER))
        store.end = store_end
        target = Target(names.Address("", queue))
        store.sender = self._sender(store, target, end)
        return store

    def _plan(self, binding: spi.Binding, flow: spi.Flow) -> Plan:
        spec = _subscription(binding)
        is_ordered = spec.managed and spec.mode == "queue" and names.partitions(spec.topic) > 0
        limit = min(flow.max_unsettled, self._settings.prefetch or flow.max_unsettled)
        reader = OwnReader() if self._has_own_frames else PikaReader()
        queues = names.queues(binding)
        is_log = spec.mode == "stream"
        is_counted = binding.profile.name == profiles.QUORUM
        return Plan(
            queues,
            flow._replace(max_unsettled=limit),
            Shape(reader, is_counted, queues[0] if is_log else None),
            is_ordered,
            owns=is_log or (is_ordered and not self._has_own_frames),
        )

    @override
    def inspect(self, specs: Sequence[spi.Spec], *, timeout_s: float) -> Sequence[spi.Spec]:
        with Rpc(self._consuming, timeout_s) as rpc:
            return topology.inspect(rpc, specs, self._settings.profile)

    @override
    def plan(self, specs: Sequence[spi.Spec], *, timeout_s: float) -> Sequence[spi.Change]:
        with Rpc(self._consuming, timeout_s) as rpc:
            return topology.plan(rpc, specs, self._settings.profile)

    @override
    def apply(self, change: spi.Change, *, timeout_s: float) -> None:
        end = time.monotonic() + timeout_s

        def begin(stream: str, position_queue: str) -> None:
            parameters = self._settings.parameters(_left_s(end))
            positions.remember_end(parameters, stream, position_queue)

        with Rpc(self._consuming, timeout_s) as rpc:
            topology.apply(rpc, change, begin)

    @override
    def delete(self, spec: spi.Spec, *, timeout_s: float) -> None:
        with Rpc(self._consuming, timeout_s) as rpc:
            topology.delete(rpc, spec)

    @override
    def purge(self, binding: spi.Binding, *, timeout_s: float) -> None:
        with Rpc(self._consuming, timeout_s) as rpc:
            topology.purge(rpc, binding)

    @override
    def backlog(self, binding: spi.Binding, *, timeout_s: float) -> int:
        with Rpc(self._consuming, timeout_s) as rpc:
            return topology.backlog(rpc, binding)

    @override
    def translate(self, error: Exception) -> spi.UnibusError:
        return errors.translate(error, self._settings.address)

    @override
    def close(self, timeout_s: float) -> None:
        end = time.monotonic() + timeout_s
        for each in (self._publishing, self._consuming):
            if each is not None:
                each.close(_left_s(end))
        self._loop.stop(_left_s(end))


def _why_not(error: Exception, where: str, timeout_s: float) -> spi.UnibusError:
    """Return why there is no connection; nothing was sent, so nothing is unknown."""
    translated = errors.translate(error, where)
    if not translated.outcome_unknown:
        return translated
    return spi.UnavailableError(
        f"no answer that is RabbitMQ's from {where} within {timeout_s:g} s; check host and port,"
        " and that it runs"
    )


def _parse(url: str, given: Mapping[str, object]) -> options.Options:
    return options.parse(url, given)


def _left_s(end: float) -> float:
    return max(0.05, end - time.monotonic())


def _subscription(binding: spi.Binding) -> spi.Subscription:
    spec: Any = binding.spec
    if not isinstance(spec, spi.Subscription):
        raise spi.ConfigurationError(f"Topic {spec.name!r} cannot be received from")
    return spec


def _target(binding: spi.Binding, acks: spi.AcksLevel) -> Target:
    spec = binding.spec
    topic = spec if isinstance(spec, spi.Topic) else spec.topic
    is_copy = isinstance(spec, spi.Subscription) and spec.mode == "stream"
    return Target(
        names.address(binding),
        lanes=names.partitions(topic) if topic.managed else 0,
        subscription=spec.name if is_copy else None,
        is_confirmed=acks != "none",
    )
