"""What a topic or subscription needs at the broker; pure.

AMQP 0-9-1 cannot be asked which bindings there are. So what is bound is written down at the broker:
each topic and each subscription has a *record*, an exchange that routes nothing and is declared
last. Its alternate exchange, which need not exist, is the text; asking for another one is refused
with the text that is there. A record is bound to the exchange it speaks of and goes with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from unibus import spi
from unibus_rabbitmq import bindings, delay, names, profiles
from unibus_rabbitmq.objects import ALTERNATE, Binding, Exchange, Queue

NO_LIMIT: Final = (1 << 31) - 1
"""A delivery limit that is none: without one RabbitMQ 4 takes 20 and drops the message then, and
3.10 loses the order of what is given back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What has to be there.

    Attributes:
        objects: Exchanges and queues; what is named by another comes before it.
        bindings: What connects them.
        record: Says that they are connected, and how; ``None`` if nothing has to be.
        about: The exchange that the record goes with.
        begins: A stream, and the queue that is to hold where it ends, unless it holds something.
    """

    objects: tuple[Exchange | Queue, ...] = ()
    bindings: tuple[Binding, ...] = ()
    record: Exchange | None = None
    about: str | None = None
    begins: tuple[str, str] | None = None


def ladder() -> Wanted:
    """Return the delay ladder."""
    return Wanted(objects=delay.objects(), bindings=delay.bindings(), record=delay.RECORD)


def profile_of(spec: spi.Topic | spi.Subscription, default: str | None) -> str:
    """Return the profile that carries *spec*, by its name, that of its topic, or *default*.

    A queue cannot be on a profile of streams; it is on the first that carries it.
    """
    if isinstance(spec, spi.Topic):
        return spec.profile or default or profiles.QUORUM
    if spec.mode == "stream":
        return profiles.STREAM
    named = spec.profile or spec.topic.profile or default
    return profiles.QUORUM if named in (None, profiles.STREAM) else str(named)


def is_delayable(spec: spi.Topic | spi.Subscription, default: str | None) -> bool:
    """Return whether the delay ladder has to lead to *spec*."""
    return spec.managed and profile_of(spec, default) != profiles.STREAM


def wanted(spec: spi.Topic | spi.Subscription, default: str | None) -> Wanted:
    """Return what the managed *spec* needs.

    Args:
        spec: A topic or subscription; the topic half of a queue needs nothing.
        default: The profile of specs that name none.

    Raises:
        ConfigurationError: A name or a native argument that RabbitMQ does not take.
        UnsupportedError: A filter that RabbitMQ cannot apply as it is meant.
    """
    if isinstance(spec, spi.Topic):
        return Wanted() if spec.point_to_point else _topic(spec, default)
    if spec.mode == "stream":
        return _stream(spec)
    return _queue(spec, profile_of(spec, default))


def _topic(topic: spi.Topic, default: str | None) -> Wanted:
    exchange = names.encode(topic.name)
    given = {name: value for name, value in topic.native.items() if not name.startswith("x-")}
    objects: list[Exchange | Queue] = [Exchange(name=exchange, type="topic", arguments=given)]
    bound = [delay.to_exchange(exchange)] if is_delayable(topic, default) else []
    # A log has to be there before the first message, not before the first reader.
    if profile_of(topic, default) == profiles.STREAM or topic.retention_s is not None:
        objects.append(_log(topic))
        bound.append(_log_binding(topic, exchange))
    text = f"ordering={topic.ordering} lanes={names.partitions(topic)}"
    record = _record(names.derived(topic.name, names.TOPIC), text, is_tied=True)
    return Wanted(objects=tuple(objects), bindings=tuple(bound), record=record, about=exchange)


def _log(topic: spi.Topic) -> Queue:
    arguments: dict[str, object] = {"x-queue-type": "stream"}
    if topic.retention_s is not None:
        arguments["x-max-age"] = f"{max(1, round(topic.retention_s))}s"
    if topic.replication is not None:
        arguments["x-initial-cluster-size"] = topic.replication
    arguments.update((name, v) for name, v in topic.native.items() if name.startswith("x-"))
    return Queue(name=names.stream_queue(topic), arguments=arguments)


def _log_binding(topic: spi.Topic, exchange: str) -> Binding:
    return Binding(source=exchange, queue=names.stream_queue(topic), key="#")


def _stream(subscription: spi.Subscription) -> Wanted:
    topic = subscription.topic
    source = bindings.source_of(topic)
    position = Queue(
        name=names.position_queue(subscription),
        arguments={"x-queue-type": "classic", "x-max-length": 1},
    )
    is_from_now_on = subscription.start is None
    return Wanted(
        objects=(_log(topic), position),
        bindings=(_log_binding(topic, source),),
        record=_subscription_record(subscription, source, None),
        about=source if topic.managed else None,
        begins=(names.stream_queue(topic), position.name) if is_from_now_on else None,
    )


def _queue(subscription: spi.Subscription, profile: str) -> Wanted:
    lanes = names.shards(subscription)
    arguments = _queue_arguments(subscription, profile, is_lane=bool(lanes))
    objects: list[Exchange | Queue] = []
    if lanes:
        objects += _lane_exchanges(subscription, len(lanes))
    objects += (
        Queue(name=name, arguments=arguments)
        for name in lanes or (names.encode(subscription.name),)
    )
    bound = list(_lane_bindings(subscription, lanes))
    if lanes:
        bound.append(delay.to_exchange(names.derived(subscription.name, names.SHARDS)))
    else:
        bound.append(delay.to_queue(names.encode(subscription.name)))
    source = None
    if not subscription.topic.point_to_point:
        source = bindings.source_of(subscription.topic)
        objects += bindings.side_exchanges(subscription)
        bound += bindings.of_filter(subscription, subscription.filter)
    return Wanted(
        objects=tuple(objects),
        bindings=tuple(bound),
        record=_subscription_record(subscription, source, subscription.filter),
        about=source if subscription.topic.managed else None,
    )


def _queue_arguments(
    subscription: spi.Subscription, profile: str, *, is_lane: bool
) -> Mapping[str, object]:
    arguments: dict[str, object]
    if profile == profiles.CLASSIC:
        arguments = {"x-queue-type": "classic"}
        if not is_lane:
            arguments["x-max-priority"] = profiles.CLASSIC_PRIORITIES - 1
    else:
        limit = subscription.max_attempts
        arguments = {
            "x-queue-type": "quorum",
            "x-delivery-limit": NO_LIMIT if limit is None else limit - 1,
        }
        if subscription.topic.replication is not None:
            arguments["x-quorum-initial-group-size"] = subscription.topic.replication
    if is_lane:
        arguments["x-single-active-consumer"] = True
    if subscription.dead_letter is not None:
        arguments.update(_dead_letter_arguments(subscription.dead_letter, profile))
    return {**arguments, **_native_arguments(subscription)}


def _dead_letter_arguments(dead_letter: str, profile: str) -> Iterator[tuple[str, object]]:
    yield "x-dead-letter-exchange", ""
    yield "x-dead-letter-routing-key", names.encode(dead_letter)
    if profile != profiles.CLASSIC:
        yield "x-dead-letter-strategy", "at-least-once"
        # Without it at-least-once is at-most-once, and nobody says so.
        yield "x-overflow", "reject-publish"


def _native_arguments(subscription: spi.Subscription) -> Mapping[str, Any]:
    for name in subscription.native:
        if name == "x-queue-type" or not name.startswith("x-"):
            raise spi.ConfigurationError(
                f"Subscription {subscription.name!r}: native has {name!r}; there it takes arguments"
                " of a queue, x-..., and the profile names its type"
            )
    return subscription.native


def _lane_exchanges(subscription: spi.Subscription, lanes: int) -> tuple[Exchange, Exchange]:
    # The number of lanes is part of a name that the broker compares: asking for another number is
    # refused, and keys do not move to other lanes while messages wait.
    unkeyed = names.derived(subscription.name, f"{names.UNKEYED}-{lanes}")
    return (
        Exchange(name=unkeyed, type="fanout"),
        Exchange(
            name=names.derived(subscription.name, names.SHARDS),
            type="headers",
            arguments={ALTERNATE: unkeyed},
        ),
    )


def _lane_bindings(subscription: spi.Subscription, lanes: tuple[str, ...]) -> Iterator[Binding]:
    if not lanes:
        return
    shards = names.derived(subscription.name, names.SHARDS)
    for number, queue in enumerate(lanes):
        match = {"x-match": "all", spi.header_names.PARTITION: str(number)}
        yield Binding(source=shards, queue=queue, arguments=match)
    unkeyed = names.derived(subscription.name, f"{names.UNKEYED}-{len(lanes)}")
    yield Binding(source=unkeyed, queue=lanes[0])


def _record(name: str, text: str, *, is_tied: bool) -> Exchange:
    return Exchange(
        name=name, type="fanout", internal=True, auto_delete=is_tied, arguments={ALTERNATE: text}
    )


def _subscription_record(
    subscription: spi.Subscription, source: str | None, chosen: spi.Filter | None
) -> Exchange:
    text = json.dumps([source, bindings.filter_text(chosen)], separators=(",", ":"))
    name = names.derived(subscription.name, names.SUBSCRIPTION)
    is_tied = source is not None and subscription.topic.managed
    return _record(name, text, is_tied=is_tied)
