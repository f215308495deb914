"""A message as a program writes it and as a broker hands it over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from typing_extensions import override

HeaderValue = str | bytes | int | float | bool | datetime | None
"""Which of these a broker can carry is its ``capabilities.headers``; datetimes are aware."""


class Headers(Mapping[str, HeaderValue]):
    """Headers with order and repeated names, as log brokers have them; immutable.

    As a mapping it gives the last value of a name.
    """

    __slots__ = ("_last", "pairs")

    def __init__(self, pairs: Iterable[tuple[str, HeaderValue]] = ()) -> None:
        self.pairs = tuple(pairs)
        self._last = dict(self.pairs)

    @override
    def __getitem__(self, name: str) -> HeaderValue:
        return self._last[name]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._last)

    @override
    def __len__(self) -> int:
        return len(self._last)

    def all(self, name: str) -> tuple[HeaderValue, ...]:
        """Return every value of *name*, in order."""
        return tuple(value for each, value in self.pairs if each == name)

    @property
    def has_repeats(self) -> bool:
        """Whether a name occurs more than once."""
        return len(self._last) != len(self.pairs)

    @override
    def __repr__(self) -> str:
        return f"Headers(<{len(self.pairs)} pairs>)"


NO_HEADERS = Headers()


class Message:
    """What a program publishes; made per message, so slotted and positional.

    Attributes:
        body: The bytes, as they are on the wire; ``None`` is a tombstone (log brokers only).
        key: Messages of one key keep their order on an ordered topic.
        routing_key: What ``Exact`` and ``Pattern`` filters look at; dot-separated words.
        headers: Name to value; header filters look at them.
        id: Stays the same for the life of the message; ``None`` until somebody names it.
        delay_s: Deliver no sooner than this many seconds after publishing.
        ttl_s: Do not deliver later than this many seconds after publishing.
        priority: Higher first, from 0; ``None`` is the lowest.
        timestamp_s: When it was published, in Unix seconds, as far as the broker tells.
    """

    __slots__ = (
        "body",
        "delay_s",
        "headers",
        "id",
        "key",
        "priority",
        "routing_key",
        "timestamp_s",
        "ttl_s",
    )

    def __init__(  # noqa: PLR0913, PLR0917  # one parameter per column of a message
        self,
        body: bytes | None,
        key: str | None = None,
        routing_key: str | None = None,
        headers: Mapping[str, HeaderValue] | None = None,
        id: str | None = None,  # noqa: A002  # the field's name in every broker
        delay_s: float | None = None,
        ttl_s: float | None = None,
        priority: int | None = None,
        timestamp_s: float | None = None,
    ) -> None:
        self.body = body
        self.key = key
        self.routing_key = routing_key
        self.headers = headers
        self.id = id
        self.delay_s = delay_s
        self.ttl_s = ttl_s
        self.priority = priority
        self.timestamp_s = timestamp_s

    @override
    def __repr__(self) -> str:
        size = "tombstone" if self.body is None else f"{len(self.body)} bytes"
        return f"<Message {self.id or 'without id'}, {size}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """Why and whence a message was dead-lettered, the same on every broker.

    Attributes:
        reason: ``rejected``, ``max attempts``, ``expired``, ``undecodable`` or the broker's word.
        detail: What the program said in ``reject(reason)``; empty if nothing.
        topic: The topic it was published to.
        subscription: The subscription that gave it up.
        attempts: How often it had been delivered; ``None`` if nobody counted.
        first_at_s: When it was first dead-lettered, in Unix seconds; ``None`` if unknown.
        redrives: How often it has been sent back since.
    """

    reason: str
    detail: str = ""
    topic: str | None = None
    subscription: str | None = None
    attempts: int | None = None
    first_at_s: float | None = None
    redrives: int = 0
