"""What topics and subscriptions are called at the broker, and where to publish and receive.

A managed name is used as it is; what unibus declares beside it has ``~`` and a word after it. A
``~`` in a name is doubled, so no two of them ever meet and every one can be read back.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, NamedTuple

from unibus import spi

DEFAULT_PARTITIONS: Final = 4
"""Ordered lanes of a topic that does not say how many."""
MAX_NAME_BYTES: Final = 255 - len("~subscription")
"""Longest name of a topic or subscription: AMQP 0-9-1 has 255 bytes, less our longest word."""

HEADERS: Final = "headers"
EXACT: Final = "exact"
STREAM: Final = "stream"
SHARDS: Final = "shards"
UNKEYED: Final = "unkeyed"
POSITION: Final = "position"
TOPIC: Final = "topic"
SUBSCRIPTION: Final = "subscription"

_DERIVED = re.compile(r"(?P<name>(?:[^~]|~~)+)~(?P<word>[a-z0-9-]+)", re.DOTALL)
_KINDS = ("exchange", "queue", "stream")
_TYPES = ("direct", "fanout", "headers", "topic")


class Address(NamedTuple):
    """Where messages are published.

    Attributes:
        exchange: An exchange; empty for the default one, which delivers to the queue it is told.
        routing_key: That queue; ``None`` if the message's own routing key goes with it.
        is_ours: Whether unibus declared it, so that the delay ladder leads to it.
    """

    exchange: str
    routing_key: str | None
    is_ours: bool = True

    @property
    def is_direct(self) -> bool:
        """Whether the routing key on the wire is an address, not the message's own."""
        return self.routing_key is not None


class Native(NamedTuple):
    """An object of somebody else that a spec with ``managed=False`` stands for."""

    kind: str
    name: str
    type: str | None


def encode(name: str) -> str:
    """Return what a managed topic or subscription called *name* is called at the broker.

    Raises:
        ConfigurationError: RabbitMQ cannot or does not let us call anything that.
    """
    if name.startswith("amq."):
        raise spi.ConfigurationError(
            f"the name {name!r} begins with 'amq.', which RabbitMQ keeps for itself; choose another"
        )
    # RabbitMQ drops line ends from names without a word; no other control character helps either.
    if any(unicodedata.category(each) in ("Cc", "Cs") for each in name):
        raise spi.ConfigurationError(
            f"the name {name!r} has a control character or half a character in it; choose another"
        )
    native = name.replace("~", "~~")
    if (size := len(native.encode())) > MAX_NAME_BYTES:
        raise spi.ConfigurationError(
            f"the name {name[:40]!r}... takes {size} bytes; RabbitMQ's names have room for"
            f" {MAX_NAME_BYTES}"
        )
    return native


def derived(name: str, word: str) -> str:
    """Return what the object *word* that belongs to *name* is called at the broker."""
    return f"{encode(name)}~{word}"


def decode(native: str) -> tuple[str, str | None]:
    """Return the name that *native* belongs to, and its word if it is a derived one."""
    match = _DERIVED.fullmatch(native)
    if match is None:
        return native.replace("~~", "~"), None
    return match["name"].replace("~~", "~"), match["word"]


def partitions(topic: spi.Topic) -> int:
    """Return how many ordered lanes each subscription of *topic* has; 0 if it has no order."""
    if topic.ordering == "none":
        return 0
    if topic.ordering == "topic":
        return 1
    return topic.partitions or DEFAULT_PARTITIONS


def shards(subscription: spi.Subscription) -> tuple[str, ...]:
    """Return the queues of the ordered lanes, by number; empty if there is no order."""
    lanes = range(partitions(subscription.topic))
    return tuple(derived(subscription.name, str(lane)) for lane in lanes)


def stream_queue(topic: spi.Topic) -> str:
    """Return the stream that holds the log of *topic*."""
    return derived(topic.name, STREAM)


def position_queue(subscription: spi.Subscription) -> str:
    """Return the queue that holds how far a stream subscription has read."""
    return derived(subscription.name, POSITION)


def native(spec: spi.Topic | spi.Subscription) -> Native:
    """Return the object that an unmanaged *spec* stands for.

    Raises:
        ConfigurationError: ``native`` does not say what it is.
    """
    kind = spec.native.get("kind", "exchange" if isinstance(spec, spi.Topic) else "queue")
    name = spec.native.get("name", spec.name)
    type_ = spec.native.get("type")
    if kind not in _KINDS or (kind == "exchange" and isinstance(spec, spi.Subscription)):
        raise spi.ConfigurationError(
            f"{type(spec).__name__} {spec.name!r}: native kind is {kind!r}; a topic can be an"
            " 'exchange', and either can be a 'queue' or a 'stream'"
        )
    if type_ is not None and type_ not in _TYPES:
        raise spi.ConfigurationError(
            f"{type(spec).__name__} {spec.name!r}: native type is {type_!r}; an exchange can be"
            f" {', '.join(_TYPES)}"
        )
    return Native(kind, str(name), type_)


def address(binding: spi.Binding) -> Address:
    """Return where to publish to ``binding.spec``.

    A message for a lane also needs the header that names it.
    """
    spec = binding.spec
    return _topic(spec) if isinstance(spec, spi.Topic) else _subscription(spec)


def _topic(topic: spi.Topic) -> Address:
    if not topic.managed:
        kind, name, _ = native(topic)
        if kind == "exchange":
            return Address(name, None, is_ours=False)
        return Address("", name, is_ours=False)
    if not topic.point_to_point:
        return Address(encode(topic.name), None)
    if partitions(topic):
        return Address(derived(topic.name, SHARDS), None)
    return Address("", encode(topic.name))


def _subscription(subscription: spi.Subscription) -> Address:
    if not subscription.managed:
        return Address("", native(subscription).name, is_ours=False)
    if subscription.mode == "stream":
        # All stream subscriptions read one log; a copy for one of them says so in a header.
        return Address("", stream_queue(subscription.topic))
    if partitions(subscription.topic):
        return Address(derived(subscription.name, SHARDS), None)
    return Address("", encode(subscription.name))


def queues(binding: spi.Binding) -> tuple[str, ...]:
    """Return what to consume from for the subscription ``binding.spec``; several if it has lanes.

    Raises:
        ConfigurationError: It is a topic.
        UnsupportedError: Somebody else's queue is asked to keep an order.
    """
    spec = binding.spec
    if isinstance(spec, spi.Topic):
        raise spi.ConfigurationError(
            f"Topic {spec.name!r} cannot be received from; name a subscription"
        )
    if not spec.managed:
        _refuse_order(spec)
        return (native(spec).name,)
    if spec.mode == "stream":
        return (stream_queue(spec.topic),)
    return shards(spec) or (encode(spec.name),)


def _refuse_order(subscription: spi.Subscription) -> None:
    if partitions(subscription.topic):
        raise spi.UnsupportedError(
            f"Subscription {subscription.name!r}: an order needs queues that unibus declares, and"
            " it is not managed; leave ordering out, or let unibus declare it"
        )
