"""What the adapter promises, by profile and version of the broker, without the core's emulations.

Seen on RabbitMQ 3.10.8, 4.0.5 and 4.3.6; what a version in between has is taken from the older one
of its neighbours, which promises less.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final, Literal

from unibus import spi
from unibus.spi import emulated, native, none
from unibus_rabbitmq import delay, names, tables

QUORUM: Final = "rabbitmq"
CLASSIC: Final = "rabbitmq-classic"
STREAM: Final = "rabbitmq-stream"

CLASSIC_PRIORITIES: Final = 5
"""Levels of a classic queue; each costs the broker a queue of its own, and RabbitMQ's guide
(priority queues, "Maximum Number of Priorities") asks for at most five."""

Version = tuple[int, int]

_V4_0: Version = (4, 0)
_V4_3: Version = (4, 3)
_CONSUMER_TIMEOUT_S = 1800.0  # RabbitMQ's default, configuration consumer_timeout
_MIB = 1 << 20
_ALL_TYPES = frozenset({"str", "bytes", "int", "float", "bool", "datetime", "None"})
_ONE_HEADER_BYTES = 6  # its type and both lengths
_OTHER_PROPERTIES_BYTES = 16 * 1024  # ids, the key, and what unibus or the broker adds


def version_of(text: str) -> Version:
    """Return major and minor of the broker's version; of text that is none, the oldest."""
    match = re.match(r"(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def profiles(
    version: str,
    *,
    wire: Literal["own", "public"] = "own",
    default: str | None = None,
) -> tuple[spi.Profile, ...]:
    """Return the profiles of a broker of *version*, the one named *default* first.

    Args:
        version: As the broker says it.
        wire: Who codes traffic; pika cuts floats in headers to integers.
        default: From the URL.
    """
    found = version_of(version)
    common = _common(found, wire)
    offered = [
        spi.Profile(name=QUORUM, capabilities=_quorum(common, found)),
        spi.Profile(name=CLASSIC, capabilities=_classic(common, found)),
        spi.Profile(name=STREAM, capabilities=_stream(common), mode="stream"),
    ]
    return tuple(sorted(offered, key=lambda profile: profile.name != default))


def _common(version: Version, wire: str) -> spi.Capabilities:
    types = _ALL_TYPES if wire == "own" else _ALL_TYPES - {"float"}
    max_count = 1000
    limits = spi.HeaderLimits(
        max_count=max_count,
        max_bytes=128 * 1024 - _OTHER_PROPERTIES_BYTES - max_count * _ONE_HEADER_BYTES,
        max_name_bytes=tables.MAX_NAME_BYTES,
        types=types,
    )
    return spi.Capabilities(
        settle=native("individual"),
        ack_confirmed=none(value=False, why="AMQP 0-9-1 answers no settlement; a barrier asks"),
        fan_out=native(value=True),
        confirm=native(spi.Confirm.ROUTED, "mandatory publishes with confirms"),
        unroutable=native("error"),
        dedup=none(spi.DedupLimits(), "the id travels, the broker does not look at it"),
        transactions=none(spi.Transactions.NONE, "tx is atomic within one queue at best"),
        request_reply=none(value=False, why="there is no call for it yet"),
        browse=none(value=False, why="looking at a queue takes messages out and counts"),
        headers=native(limits, "timestamps are whole seconds, integers have 64 bits"),
        empty_body=native(value=True),
        tombstone=none(value=False, why="AMQP 0-9-1 has no body that is not there"),
        max_body_bytes=native(
            16 * _MIB if version >= _V4_0 else 128 * _MIB, "the default of max_message_size"
        ),
        max_batch=native(spi.BatchLimits()),
        at_most_once=native(value=True),
        at_least_once=native(value=True),
        durable=native(value=True),
        unmanaged=native(value=True),
        topology=native(value=True),
        ordered_pipeline=native(value=True, note="one channel"),
        buffered_bytes=none(value=False, why="RabbitMQ does not implement prefetch-size"),
        give_back_keeps_membership=none(
            value=False, why="giving back in order means closing the channel"
        ),
        max_name_bytes=native(names.MAX_NAME_BYTES),
    )


def _queue(common: spi.Capabilities, **changes: Any) -> spi.Capabilities:  # noqa: ANN401  # grades
    """Return what both kinds of queue promise."""
    queue = replace(
        common,
        ordering=emulated(
            spi.Ordering.TOPIC,
            how="keys are hashed to queues with a single active consumer each",
            cost=f"{names.DEFAULT_PARTITIONS} queues a subscription, and a header a message",
        ),
        on_nack=native("overtakes"),
        nack=native(value=True),
        competing=native(None),
        filter_exact=native(value=True),
        filter_pattern=native(value=True),
        filter_headers=native(
            value=True, note="bytes and text of the same bytes are one value to RabbitMQ"
        ),
        start=native(frozenset({"declared"})),
        delay=emulated(
            spi.DelayLimits(max_s=delay.MAX_S, resolution_s=delay.RESOLUTION_MS / 1000),
            how="a ladder of queues whose messages move on when their time is over",
            cost=f"{delay.LEVELS} queues a virtual host, up to as many hops a message;"
            " that nobody takes it is not reported",
        ),
        ttl=native(value=True, note="at the head of the queue"),
        backlog=native(spi.Backlog.EXACT, "what waits in the queue; not what waits for its delay"),
    )
    return replace(queue, **changes)


def _quorum(common: spi.Capabilities, version: Version) -> spi.Capabilities:
    return _queue(
        common,
        lease=native(_timeout(), "the channel; unsettled for longer, the broker closes it"),
        release=native("uncounted" if version >= _V4_3 else "counted"),
        attempts=native(spi.Attempts.EXACT, "x-delivery-count"),
        acks=native(frozenset({"all", "none"})),
        priority=_quorum_priority(version),
        dead_letter=native(value=True, note="at least once, from the broker's delivery limit on"),
    )


def _quorum_priority(version: Version) -> spi.Grade[int]:
    if version >= _V4_3:
        return native(32, "strict")
    if version >= _V4_0:
        return none(1, "two classes, drawn two to one: higher does not come first")
    return none(1, "quorum queues have none before 4.0")


def _classic(common: spi.Capabilities, version: Version) -> spi.Capabilities:
    # Since 4.3 only quorum queues look at the time a consumer takes.
    lease = spi.LeaseLimits() if version >= _V4_3 else _timeout()
    return _queue(
        common,
        lease=native(lease, "the channel"),
        release=native("uncounted", "nothing is counted"),
        attempts=none(spi.Attempts.NONE, "a flag says that it was delivered before"),
        acks=native(frozenset({"leader", "none"})),
        priority=native(CLASSIC_PRIORITIES),
    )


def _stream(common: spi.Capabilities) -> spi.Capabilities:
    return replace(
        common,
        ordering=native(spi.Ordering.TOPIC),
        settle=emulated(
            "individual",
            how="the position that is stored lies below the first unsettled message",
            cost="after a crash, what was settled above that comes again",
        ),
        lease=native(spi.LeaseLimits(), "nobody else reads for the subscription"),
        competing=native(1, "a second reader is refused"),
        groups=emulated(
            value=True,
            how="positions lie in a queue of one message for each subscription",
            cost="a small queue a subscription, and a publish now and then",
        ),
        unroutable=native("error", "the log keeps what no subscription asks for"),
        acks=native(frozenset({"all", "none"})),
        replay=native(spi.Replay.TIME),
        start=native(frozenset({"declared", "earliest", "latest", "time"})),
    )


def _timeout() -> spi.LeaseLimits:
    return spi.LeaseLimits(max_s=_CONSUMER_TIMEOUT_S, default_s=_CONSUMER_TIMEOUT_S)
