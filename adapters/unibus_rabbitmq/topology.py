"""Plan, apply, inspect, delete, purge and backlog, over a connection that may block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from unibus import spi
from unibus_rabbitmq import declare, drift, names
from unibus_rabbitmq.control import Connection, Control
from unibus_rabbitmq.drift import Half, Work, half_of
from unibus_rabbitmq.objects import Binding, Exchange, Queue


def plan(
    connection: Connection, specs: Sequence[spi.Spec], default: str | None
) -> tuple[spi.Change, ...]:
    """Return what would have to be done so that *specs* exist; nothing is changed.

    *default* is the profile of specs that name none.
    """
    return tuple(drift.changes(Control(connection), specs, default))


def apply(connection: Connection, change: spi.Change, begin: Callable[[str, str], None]) -> None:
    """Do *change*; doing it twice is doing it once, also from two processes.

    Args:
        connection: May block.
        change: From ``plan``.
        begin: Told a stream and a position queue, stores in it where the stream ends.

    Raises:
        TopologyConflictError: It is one that cannot be done.
    """
    work = change.native
    if not isinstance(work, Work):
        raise spi.TopologyConflictError(change.text)
    control = Control(connection)
    for item in work.objects:
        control.declare(item)
    for binding in work.bind:
        control.bind(binding)
    for binding in work.unbind:
        control.unbind(binding)
    if work.begins is not None and not control.count(work.begins[1]):
        begin(*work.begins)
    if work.outdated is not None:
        control.delete_exchange(work.outdated.name)
    if work.record is not None:
        control.declare(work.record)
        if work.about is not None and work.record.auto_delete:
            control.bind(Binding(source=work.record.name, exchange=work.about))


def inspect(
    connection: Connection, specs: Sequence[spi.Spec], default: str | None
) -> tuple[spi.Spec, ...]:
    """Return those of *specs* that exist, subscriptions with the filter they are bound by."""
    control = Control(connection)
    found = (_inspect(control, spec, default) for spec in specs)
    return tuple(spec for spec in found if spec is not None)


def _inspect(control: Control, spec: spi.Spec, default: str | None) -> spi.Spec | None:
    half = half_of(spec)
    if not half.managed:
        return None if any(drift.changes(control, [spec], default)) else spec
    want = declare.wanted(half, default)
    record = () if want.record is None else (want.record,)
    if not all(control.is_there(item) for item in (*want.objects, *record)):
        return None
    if isinstance(spec, spi.Subscription):
        return replace(spec, filter=drift.bound_filter(control, spec, want))
    return spec


def delete(connection: Connection, spec: spi.Spec) -> None:
    """Remove *spec* and what waits in it; quiet if it does not exist.

    Raises:
        UnsupportedError: Somebody else declared it.
    """
    half = half_of(spec)
    if not half.managed:
        raise spi.UnsupportedError(
            f"{type(half).__name__} {half.name!r} is not managed; delete it where it was declared"
        )
    control = Control(connection)
    exchanges, queues = _of_topic(half) if isinstance(half, spi.Topic) else _of(half)
    for exchange in exchanges:
        control.delete_exchange(exchange)
    for queue in queues:
        control.delete_queue(queue)


# Records go first: what is only half deleted is not taken for complete.


def _of_topic(topic: spi.Topic) -> tuple[Sequence[str], Sequence[str]]:
    if topic.point_to_point:
        return (), ()
    derived = (names.TOPIC, names.HEADERS, names.EXACT)
    exchanges = [names.derived(topic.name, word) for word in derived]
    return [*exchanges, names.encode(topic.name)], [names.stream_queue(topic)]


def _of(subscription: spi.Subscription) -> tuple[Sequence[str], Sequence[str]]:
    record = names.derived(subscription.name, names.SUBSCRIPTION)
    if subscription.mode == "stream":
        return [record], [names.position_queue(subscription)]
    lanes = names.shards(subscription)
    if not lanes:
        return [record], [names.encode(subscription.name)]
    unkeyed = f"{names.UNKEYED}-{len(lanes)}"
    derived = [names.derived(subscription.name, word) for word in (names.SHARDS, unkeyed)]
    return [record, *derived], lanes


def purge(connection: Connection, binding: spi.Binding) -> None:
    """Remove what waits in the subscription ``binding.spec``; what consumers hold stays held.

    Raises:
        UnsupportedError: It is a stream. RabbitMQ would answer with the end of the connection.
    """
    _refuse_stream(binding, "purged")
    control = Control(connection)
    for queue in names.queues(binding):
        control.purge(queue)


def backlog(connection: Connection, binding: spi.Binding) -> int:
    """Return how many messages wait in the queues of the subscription ``binding.spec``.

    Raises:
        UnsupportedError: It is a stream.
    """
    _refuse_stream(binding, "counted")
    control = Control(connection)
    return sum(control.count(queue) for queue in names.queues(binding))


def _refuse_stream(binding: spi.Binding, done: str) -> None:
    spec = binding.spec
    if isinstance(spec, spi.Subscription) and spec.mode == "stream":
        raise spi.UnsupportedError(
            f"Subscription {spec.name!r} reads a stream, which cannot be {done}; RabbitMQ keeps it"
            " for all its readers"
        )


def check(connection: Connection, binding: spi.Binding, *, receiving: bool) -> None:
    """Fail unless what ``binding.spec`` is published to, or received from, is there.

    Needs no right to declare: a user with data rights only may ask.

    Raises:
        ChannelClosedByBroker: 404, and the text names what is missing.
        TopologyConflictError: The exchange is of another type than ``native`` says.
    """
    control = Control(connection)
    if receiving:
        for queue in names.queues(binding):
            control.require(_queue(queue))
        return
    exchange, routing_key, _ = names.address(binding)
    if exchange:
        control.require(Exchange(name=exchange, type="topic"))
    elif routing_key is not None:
        control.require(_queue(routing_key))
    _check_type(control, binding.spec)


def _queue(name: str) -> Queue:
    return Queue(name=name, arguments={})


def _check_type(control: Control, half: Half) -> None:
    if half.managed:
        return
    for change in drift.changes(control, [half], None):
        raise spi.TopologyConflictError(change.text)
