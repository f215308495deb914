"""Topics, subscriptions and filters as plain values; nothing here talks to a broker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

from typing_extensions import override

from unibus.errors import ConfigurationError
from unibus.message import HeaderValue
from unibus.requirements import Requirements

OrderingName = Literal["none", "key", "topic"]
_MAX_ROUTING_KEY_BYTES = 255  # AMQP 0-9-1 shortstr, the narrowest of the brokers


@dataclass(frozen=True, slots=True)
class Exact:
    """Only messages with exactly this routing key."""

    routing_key: str


@dataclass(frozen=True, slots=True, init=False)
class Pattern:
    """Messages whose routing key matches one of *patterns*, each in the form ``user.*.created.#``.

    ``*`` is exactly one word, ``#`` any number of words, none included; words are separated by
    dots and may be empty (AMQP 0-9-1 section 3.1.3.3).
    """

    patterns: tuple[str, ...]

    def __init__(self, *patterns: str) -> None:
        if not patterns:
            raise ConfigurationError("Pattern needs at least one pattern, e.g. Pattern('order.*')")
        object.__setattr__(self, "patterns", patterns)


@dataclass(frozen=True, slots=True)
class HeaderMatch:
    """Messages whose headers equal *headers*: all of them, or any.

    Values are compared with their type: 1 is not "1". A value of ``None`` means that the header
    is there at all.
    """

    headers: Mapping[str, HeaderValue]
    match: Literal["all", "any"] = "all"

    def __post_init__(self) -> None:
        if not self.headers:
            raise ConfigurationError("HeaderMatch needs at least one header to look at")
        if self.match not in ("all", "any"):
            raise ConfigurationError(f"HeaderMatch match is 'all' or 'any', not {self.match!r}")
        object.__setattr__(self, "headers", MappingProxyType(dict(self.headers)))

    @override
    def __hash__(self) -> int:
        return hash((tuple(sorted(self.headers)), self.match))


Filter = Exact | Pattern | HeaderMatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A name that programs publish to; ``Topic("orders", ordering="key")``.

    Attributes:
        name: What programs call it; adapters map it to a native name, reversibly.
        ordering: What order subscriptions see: ``none``, per ``key``, or of the whole ``topic``.
        partitions: How many ordered lanes; ``None`` leaves it to the broker's profile.
        retention_s: How long a log keeps messages; ``None`` is the broker's default.
        replication: Copies of each message; ``None`` is the broker's default.
        profile: The adapter's profile to use; ``None`` takes the first that fits.
        managed: False binds to what somebody else declared: nothing is created or changed.
        native: Native arguments; for an unmanaged topic, what native object it is.
        point_to_point: It has exactly one subscription, of the same name; made by ``Queue``.
    """

    name: str = field(kw_only=False)
    ordering: OrderingName = "none"
    partitions: int | None = None
    retention_s: float | None = None
    replication: int | None = None
    profile: str | None = None
    managed: bool = True
    native: Mapping[str, Any] = field(default_factory=dict, hash=False)
    point_to_point: bool = False

    def __post_init__(self) -> None:
        _check_name("Topic", self.name)
        _check_choice(self, "ordering", ("none", "key", "topic"))
        _check_positive(self, "partitions", "retention_s", "replication")
        object.__setattr__(self, "native", MappingProxyType(dict(self.native)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A named, durable interest in a topic; consumers of one subscription share its messages.

    Attributes:
        name: What programs call it; unique in its bus.
        topic: What it subscribes to.
        mode: ``queue`` settles message by message and forgets; ``stream`` reads a retained log
            by position and can go back.
        filter: Which messages; ``None`` is all of them.
        start: Where a new one begins: ``None`` when it is declared, ``earliest``, ``latest``, or
            an aware datetime. An existing one goes on where it was.
        lease_s: How long a delivery is held before the broker may hand it to another consumer;
            ``None`` is the profile's default.
        max_attempts: Deliveries of one message, at most; the last failure dead-letters it.
            ``None`` is without limit. A limit without ``dead_letter`` is refused: it would lose
            messages.
        dead_letter: The queue that takes what cannot be handled; declared with the subscription.
        profile: The adapter's profile to use; ``None`` takes the first that fits.
        require: What this subscription needs of it, beyond what follows from the other fields.
        emulate: ``allow`` or ``refuse`` emulations; ``None`` allows those that are lossless for
            every reader and refuses the others.
        managed: False binds to what somebody else declared: nothing is created or changed.
        native: Native arguments; for an unmanaged one, what native object it is.
    """

    name: str = field(kw_only=False)
    topic: Topic
    mode: Literal["queue", "stream"] = "queue"
    filter: Filter | None = None
    start: Literal["earliest", "latest"] | datetime | None = None
    lease_s: float | None = None
    max_attempts: int | None = None
    dead_letter: str | None = None
    profile: str | None = None
    require: Requirements | None = None
    emulate: Literal["allow", "refuse"] | None = None
    managed: bool = True
    native: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        _check_name("Subscription", self.name)
        _check_choice(self, "mode", ("queue", "stream"))
        _check_choice(self, "emulate", (None, "allow", "refuse"))
        _check_positive(self, "lease_s", "max_attempts")
        _check_filter(self.name, self.filter)
        self._check_start()
        if self.max_attempts is not None and self.dead_letter is None and self.managed:
            raise ConfigurationError(
                f"Subscription {self.name!r}: max_attempts without dead_letter would lose messages;"
                " name a dead_letter queue"
            )
        if self.dead_letter is not None:
            _check_name("dead_letter", self.dead_letter)
        object.__setattr__(self, "native", MappingProxyType(dict(self.native)))

    def _check_start(self) -> None:
        start = self.start
        if isinstance(start, datetime) and start.tzinfo is None:
            raise ConfigurationError(
                f"Subscription {self.name!r}: start is a naive datetime, which means another moment"
                " on another machine; give it a time zone, e.g. datetime.now(timezone.utc)"
            )
        if isinstance(start, str) and start not in ("earliest", "latest"):
            raise ConfigurationError(
                f"Subscription {self.name!r}: start is None, 'earliest', 'latest' or an aware"
                f" datetime, not {start!r}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A topic with one subscription of the same name: point to point.

    The fields are those of ``Topic`` and ``Subscription``. ``queue.topic`` and
    ``queue.subscription`` are its two halves; whatever takes a topic or a subscription takes a
    queue too.
    """

    name: str = field(kw_only=False)
    ordering: OrderingName = "none"
    partitions: int | None = None
    replication: int | None = None
    lease_s: float | None = None
    max_attempts: int | None = None
    dead_letter: str | None = None
    profile: str | None = None
    require: Requirements | None = None
    emulate: Literal["allow", "refuse"] | None = None
    managed: bool = True
    native: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "native", MappingProxyType(dict(self.native)))
        _ = self.subscription  # checks every field

    @property
    def topic(self) -> Topic:
        """The half that is published to."""
        return Topic(
            self.name,
            ordering=self.ordering,
            partitions=self.partitions,
            replication=self.replication,
            profile=self.profile,
            managed=self.managed,
            native=self.native,
            point_to_point=True,
        )

    @property
    def subscription(self) -> Subscription:
        """The half that is received from."""
        return Subscription(
            self.name,
            topic=self.topic,
            lease_s=self.lease_s,
            max_attempts=self.max_attempts,
            dead_letter=self.dead_letter,
            profile=self.profile,
            require=self.require,
            emulate=self.emulate,
            managed=self.managed,
            native=self.native,
        )


Spec = Topic | Subscription | Queue


def _check_name(what: str, name: object) -> None:
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"{what}: the name is {name!r}; it has to be a non-empty string")


def _check_choice(spec: Topic | Subscription, field_name: str, choices: tuple[object, ...]) -> None:
    value = getattr(spec, field_name)
    if value not in choices:
        raise ConfigurationError(
            f"{type(spec).__name__} {spec.name!r}: {field_name} is {value!r};"
            f" it can be {', '.join(map(repr, choices))}"
        )


def _check_positive(spec: Topic | Subscription, *field_names: str) -> None:
    for field_name in field_names:
        value = getattr(spec, field_name)
        if value is not None and value <= 0:
            raise ConfigurationError(
                f"{type(spec).__name__} {spec.name!r}: {field_name} is {value!r};"
                " it has to be greater than 0"
            )


def _check_filter(name: str, chosen: Filter | None) -> None:
    keys = chosen.patterns if isinstance(chosen, Pattern) else ()
    if isinstance(chosen, Exact):
        keys = (chosen.routing_key,)
    for key in keys:
        if len(key.encode()) > _MAX_ROUTING_KEY_BYTES:
            raise ConfigurationError(
                f"Subscription {name!r}: a filter of {len(key.encode())} bytes; routing keys have"
                f" at most {_MAX_ROUTING_KEY_BYTES}"
            )
