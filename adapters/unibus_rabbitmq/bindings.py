"""How a subscription's filter becomes bindings; pure, both ways.

=================== ============================================================================
filter              is bound
=================== ============================================================================
none                to the topic's exchange with ``#``
``Exact``           with the routing key; if a word of it is ``*`` or ``#``, at a direct exchange
``Pattern``         with each pattern
``HeaderMatch``     at a headers exchange, which is bound to the topic's with ``#``
=================== ============================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from unibus import spi
from unibus_rabbitmq import names
from unibus_rabbitmq.objects import Binding, Exchange

_COMPARABLE = (str, bool, int, type(None))


def source_of(topic: spi.Topic) -> str:
    """Return the exchange that messages of *topic* come from.

    Raises:
        ConfigurationError: It is somebody else's queue: nothing can be bound to that.
    """
    if topic.managed:
        return names.encode(topic.name)
    kind, name, _ = names.native(topic)
    if kind != "exchange":
        raise spi.ConfigurationError(
            f"Topic {topic.name!r} stands for the {kind} {name!r}, and a subscription is asked of"
            " it; receive from it with a Queue or Subscription of its own that is not managed"
        )
    return name


def target_of(subscription: spi.Subscription) -> Binding:
    """Return a binding that has only its target: where messages of *subscription* go."""
    if names.partitions(subscription.topic):
        return Binding(source="", exchange=names.derived(subscription.name, names.SHARDS))
    return Binding(source="", queue=names.encode(subscription.name))


def side_exchanges(subscription: spi.Subscription) -> tuple[Exchange, ...]:
    """Return the exchange that the filter needs beside the topic's, if it does."""
    side = _side(subscription.topic, subscription.filter)
    if side is None:
        return ()
    kind = "headers" if side == names.HEADERS else "direct"
    return (Exchange(name=names.derived(subscription.topic.name, side), type=kind),)


def _side(topic: spi.Topic, chosen: spi.Filter | None) -> str | None:
    if _type(topic) != "topic":
        return None
    if isinstance(chosen, spi.HeaderMatch):
        return names.HEADERS
    if isinstance(chosen, spi.Exact) and not {"*", "#"}.isdisjoint(chosen.routing_key.split(".")):
        return names.EXACT
    return None


def _type(topic: spi.Topic) -> str:
    return "topic" if topic.managed else names.native(topic).type or "topic"


def of_filter(subscription: spi.Subscription, chosen: spi.Filter | None) -> tuple[Binding, ...]:
    """Return what brings to *subscription* the messages of its topic that *chosen* lets through.

    Raises:
        UnsupportedError: The exchange cannot do it, or not as it is meant.
    """
    topic = subscription.topic
    source = source_of(topic)
    side = _side(topic, chosen)
    bound = []
    if side is not None:
        beside = names.derived(topic.name, side)
        bound.append(Binding(source=source, exchange=beside, key="#"))
        source = beside
    target = target_of(subscription)
    bound += (
        Binding(
            source=source,
            exchange=target.exchange,
            queue=target.queue,
            key=key,
            arguments=arguments,
        )
        for key, arguments in _matches(subscription, chosen)
    )
    return tuple(bound)


def _matches(
    subscription: spi.Subscription, chosen: spi.Filter | None
) -> Sequence[tuple[str, Mapping[str, object]]]:
    kind = _type(subscription.topic)
    match chosen:
        case None if kind != "direct":
            # A headers exchange ignores the key, and nothing to match is matched by everything.
            return [("#", {"x-match": "all"} if kind == "headers" else {})]
        case spi.Exact() if kind in ("topic", "direct"):
            return [(chosen.routing_key, {})]
        case spi.Pattern() if kind == "topic":
            return [(pattern, {}) for pattern in dict.fromkeys(chosen.patterns)]
        case spi.HeaderMatch() if kind in ("topic", "headers"):
            return [("", _header_arguments(subscription.name, chosen))]
        case _:
            what = "every message" if chosen is None else type(chosen).__name__
            raise spi.UnsupportedError(
                f"Subscription {subscription.name!r} asks for {what} of the exchange"
                f" {source_of(subscription.topic)!r}, which is of type {kind!r} and cannot choose"
                " so; change the filter, or name an exchange of another type"
            )


def _header_arguments(name: str, chosen: spi.HeaderMatch) -> Mapping[str, object]:
    for header, value in chosen.headers.items():
        if not isinstance(value, _COMPARABLE) or header == "x-match":
            raise spi.UnsupportedError(
                f"Subscription {name!r}: HeaderMatch on {header!r}, a {type(value).__name__};"
                " RabbitMQ compares text, integers, truth values and presence as they are meant,"
                " and has x-match for itself; choose another header or type"
            )
    # The plain forms overlook headers whose names begin with x-.
    return {"x-match": f"{chosen.match}-with-x", **chosen.headers}


def filter_text(chosen: spi.Filter | None) -> object:
    """Return *chosen* as JSON can hold it; short, since the broker cuts what it answers."""
    match chosen:
        case None:
            return None
        case spi.Exact():
            return chosen.routing_key
        case spi.Pattern():
            return list(chosen.patterns)
        case spi.HeaderMatch():
            return {chosen.match: {name: _plain(value) for name, value in chosen.headers.items()}}


def _plain(value: spi.HeaderValue) -> object:
    # Only where unibus filters at the consumer; RabbitMQ does not compare these.
    match value:
        case bytes():
            return {"bytes": value.hex()}
        case datetime():
            return {"time": value.isoformat()}
        case _:
            return value


def _value(plain: Any) -> spi.HeaderValue:  # noqa: ANN401  # parsed JSON
    match plain:
        case {"bytes": str(digits)}:
            return bytes.fromhex(digits)
        case {"time": str(moment)}:
            return datetime.fromisoformat(moment)
        case str() | int() | float() | None:
            return plain
        case _:
            raise ValueError("not the record of a header's value")


def read_filter(text: Any) -> spi.Filter | None:  # noqa: ANN401  # parsed JSON
    """Return the filter that ``filter_text`` has written.

    Raises:
        ValueError: It has not.
    """
    match text:
        case None:
            return None
        case str():
            return spi.Exact(text)
        case [*patterns] if patterns and all(isinstance(each, str) for each in patterns):
            return spi.Pattern(*patterns)
        case {"all": dict() as headers, **rest} if not rest:
            return spi.HeaderMatch({name: _value(each) for name, each in headers.items()}, "all")
        case {"any": dict() as headers, **rest} if not rest:
            return spi.HeaderMatch({name: _value(each) for name, each in headers.items()}, "any")
        case _:
            raise ValueError("not the record of a filter")
