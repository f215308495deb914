"""Messages as RabbitMQ carries them, both ways: bytes and values, no I/O.

=============== ==============================================================================
a message's     is on the wire
=============== ==============================================================================
body            the body, as it is
routing key     the routing key; ``unibus-routing-key`` where that holds the address of a queue
key             ``unibus-key``
id              ``message_id``; ``unibus-id`` if it is longer than 255 bytes
headers         headers, each in the AMQP type of its value
lifetime        ``expiration`` for the broker, ``unibus-expires-at`` for the consumer
priority        ``priority``; a message without one has 0, which RabbitMQ 4.3 would take for 4
published at    ``timestamp``
=============== ==============================================================================

A foreign message may have values that no ``HeaderValue`` is, see ``tables.header_value``, and no
id: then it is a digest of the message, so two that are the same in all things have one id. AMQP
properties that the model has no word for travel as reserved headers (``unibus-content-type``...),
so that a copy of the message has them too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Final, NamedTuple

from unibus import spi
from unibus_rabbitmq import deaths, delay, tables
from unibus_rabbitmq.fields import MAX_SHORT_BYTES, Encoded, encode_fields

header_names = spi.header_names

MAX_TTL_MS: Final = 315_360_000_000
"""3,650 days; one millisecond more is a 406 (RabbitMQ 3.10 and 4.3)."""
BYTES: Final = f"{header_names.PREFIX}bytes"
"""Names of the headers whose values are bytes, a JSON array: streams of RabbitMQ 4 hand them out as
text where they happen to be UTF-8."""

_BROKERS = frozenset({
    "BCC", "CC", "x-acquired-count", "x-cc", "x-death", "x-delivery-count", "x-exchange",
    "x-routing-key", "x-stream-filter-value", "x-stream-offset",
})  # fmt: skip
_BROKERS_PREFIXES = ("x-first-death-", "x-last-death-", "x-opt-")
_CARRIED = {  # a reserved header for each property that the model has no word for
    f"{header_names.PREFIX}{name.replace('_', '-')}": name
    for name in (
        "content_type", "content_encoding", "correlation_id", "reply_to", "type", "app_id",
    )
}  # fmt: skip
_CARRIED_NAMES = frozenset(_CARRIED)
_MAPPED = frozenset({
    header_names.KEY, header_names.ROUTING_KEY, header_names.PARTITION, header_names.ID, BYTES,
})  # fmt: skip


class _Timing(NamedTuple):
    delay_s: float | None
    ttl_s: float | None
    priority: int | None


_NO_TIMING = _Timing(None, None, None)


def encode(
    outgoing: spi.Outgoing,
    index: int,
    *,
    direct: bool,
    message_id: str,
    persistent: bool,
    now_s: float,
    extra: Mapping[str, spi.HeaderValue] | None = None,
) -> bytes:
    """Return flags and properties of message *index*, as they follow the size of the body.

    Args:
        outgoing: The batch it is in.
        index: Which one.
        direct: The routing key on the wire is an address, so the message's own is a header.
        message_id: The id, the program's own or made up.
        persistent: Whether it is to survive a restart of the broker.
        now_s: Unix seconds.
        extra: Headers of the way it takes: those of ``delay.route``, and its lane.

    Raises:
        MessageRejectedError: A value that RabbitMQ has no room for.
    """
    timing = _NO_TIMING
    if outgoing.timings and (given := outgoing.timings[index]) is not None:
        timing = _Timing(*given)
    headers = _program_headers(outgoing, index) if outgoing.headers else {}
    fields: dict[str, object] = {
        "delivery_mode": 2 if persistent else 1,
        "priority": timing.priority or 0,
        "timestamp": int(now_s),
    }
    if not _CARRIED_NAMES.isdisjoint(headers):
        fields |= {
            name: headers.pop(header) for header, name in _CARRIED.items() if header in headers
        }
    _name_key_and_id(outgoing, index, headers, fields, message_id=message_id, direct=direct)
    if timing.ttl_s is not None:
        _limit_life(timing, headers, fields, now_s)
    if extra:
        headers.update(extra)
    if headers:
        fields["headers"] = headers
    return encode_fields(fields)


def properties(
    outgoing: spi.Outgoing,
    index: int,
    *,
    direct: bool,
    message_id: str,
    persistent: bool,
    now_s: float,
    extra: Mapping[str, spi.HeaderValue] | None = None,
) -> Encoded:
    """Return what ``encode`` returns, for pika."""
    raw = encode(
        outgoing,
        index,
        direct=direct,
        message_id=message_id,
        persistent=persistent,
        now_s=now_s,
        extra=extra,
    )
    return Encoded(raw)


def _program_headers(outgoing: spi.Outgoing, index: int) -> dict[str, spi.HeaderValue]:
    given = outgoing.headers[index] if outgoing.headers else None
    if not given:
        return {}
    headers = dict(given)
    for name in headers:
        if is_brokers(name):
            raise spi.MessageRejectedError(
                f"header {name!r} means something to RabbitMQ itself; give it another name"
            )
    binary = [name for name, value in headers.items() if type(value) is bytes]
    if binary:
        headers[BYTES] = json.dumps(binary, ensure_ascii=False)
    return headers


def _name_key_and_id(
    outgoing: spi.Outgoing,
    index: int,
    headers: dict[str, spi.HeaderValue],
    fields: dict[str, object],
    *,
    message_id: str,
    direct: bool,
) -> None:
    if outgoing.keys and (key := outgoing.keys[index]) is not None:
        headers[header_names.KEY] = key
    if direct and outgoing.routing_keys and (own := outgoing.routing_keys[index]) is not None:
        headers[header_names.ROUTING_KEY] = own
    if len(message_id) <= MAX_SHORT_BYTES and len(message_id.encode()) <= MAX_SHORT_BYTES:
        fields["message_id"] = message_id
    else:
        headers[header_names.ID] = message_id


def _limit_life(
    timing: _Timing, headers: dict[str, spi.HeaderValue], fields: dict[str, object], now_s: float
) -> None:
    ttl_s = timing.ttl_s or 0.0
    ttl_ms = int(ttl_s * 1000)
    if ttl_ms > MAX_TTL_MS:
        raise spi.MessageRejectedError(
            f"a lifetime of {ttl_s:g} s; RabbitMQ takes at most {MAX_TTL_MS // 1000} s"
        )
    headers[header_names.EXPIRES_AT] = str(int(now_s * 1000) + ttl_ms)
    if not timing.delay_s:
        # In a delay queue the broker would take the end of a life for the end of the wait.
        fields["expiration"] = str(ttl_ms)


def is_brokers(name: str) -> bool:
    """Return whether RabbitMQ itself reads or writes the header *name*: programs may not."""
    return name in _BROKERS or name.startswith(_BROKERS_PREFIXES)


def message(
    body: bytes,
    exchange: str,
    routing_key: str,
    properties: Mapping[str, object],
    *,
    origin: str | None = None,
) -> spi.Message:
    """Return what was delivered, as a program sees it; reserved headers included.

    Args:
        body: The bytes.
        exchange: What the broker says it was published to.
        routing_key: With which routing key.
        properties: From ``fields.decode`` or ``fields.of_pika``.
        origin: The broker's own name for it, if it has one: taken for an id that is missing.

    Raises:
        Exception: A header cannot be a ``HeaderValue`` by any rule.
    """
    given = properties.get("headers")
    raw: Mapping[str, object] = _named(given) if isinstance(given, dict) else {}
    priority, timestamp = properties.get("priority"), properties.get("timestamp")
    made = spi.Message(
        body,
        _text(raw.get(header_names.KEY)),
        _routing_key(exchange, routing_key, raw),
        _headers(raw, properties),
        _text(raw.get(header_names.ID)) or _text(properties.get("message_id")) or origin,
        priority=priority if isinstance(priority, int) else None,
        timestamp_s=float(timestamp) if isinstance(timestamp, int) else None,
    )
    if made.id is None:
        made.id = _digest(made)
    return made


def _named(headers: Mapping[str | bytes, object]) -> Mapping[str, object]:
    """Return *headers* with names that are text; pika leaves one that is not UTF-8 as bytes."""
    return {
        name.decode(errors="backslashreplace") if isinstance(name, bytes) else name: value
        for name, value in headers.items()
    }


def _text(value: object) -> str | None:
    return None if value is None else str(tables.header_value(value))


def _routing_key(exchange: str, routing_key: str, raw: Mapping[str, object]) -> str | None:
    if (own := raw.get(header_names.ROUTING_KEY)) is not None:
        return _text(own)
    if deaths.DEATHS in raw and (before := deaths.routing_key(raw[deaths.DEATHS])) is not None:
        return before or None
    is_address = not exchange or raw.get(delay.TO) == ""
    return None if is_address else routing_key or None


def _headers(
    raw: Mapping[str, object], properties: Mapping[str, object]
) -> dict[str, spi.HeaderValue]:
    headers = {
        name: tables.header_value(value)
        for name, value in raw.items()
        if name not in _MAPPED and not is_brokers(name) and not name.startswith(delay.HEADER_PREFIX)
    }
    if (binary := raw.get(BYTES)) is not None:
        for name in json.loads(str(binary)):
            if isinstance(value := headers.get(name), str):
                headers[name] = value.encode()
    if deaths.DEATHS in raw and header_names.DEATH_REASON not in headers:
        headers.update(deaths.reserved_headers(raw[deaths.DEATHS]))
    headers.update(
        (header, _text(properties[name])) for header, name in _CARRIED.items() if name in properties
    )
    return headers


def _digest(found: spi.Message) -> str:
    """Return an id for a message without one: the same at every delivery of it.

    Not of where it lies: dead-lettering moves it.
    """
    names = sorted((found.headers or {}).items())
    rest = (found.routing_key, found.key, found.timestamp_s, found.priority)
    about = repr((rest, [each for each in names if not header_names.is_reserved(each[0])]))
    digest = hashlib.blake2b(about.encode(), digest_size=16)
    digest.update(found.body or b"")
    return f"digest-{digest.hexdigest()}"
