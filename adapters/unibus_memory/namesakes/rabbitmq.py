"""RabbitMQ: what every version from 3.10 on promises, and no more.

Where versions differ, the weakest counts: what a program gets here, it gets everywhere.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from unibus.spi import (
    Attempts,
    Backlog,
    BatchLimits,
    DelayLimits,
    Exact,
    HeaderLimits,
    HeaderMatch,
    LeaseLimits,
    Ordering,
    Pattern,
    Profile,
    Replay,
    emulated,
    native,
    none,
)
from unibus_memory.machine.nature import Nature
from unibus_memory.namesakes.base import COMMON, KIB, MIB, Namesake

_PARTITIONS: Final = 4  # the RabbitMQ adapter's default
_NAME_BYTES: Final = 242  # AMQP 0-9-1 4.2.5.3: 255, less what the adapter adds to derived names
_DELAY_MAX_S: Final = 104_857.5  # the adapter's ladder of 20 queues from 0.1 s on
_CONSUMER_TIMEOUT_S: Final = 1800.0  # RabbitMQ's default, configuration consumer_timeout
_PRIORITIES: Final = 5  # RabbitMQ's guide to priority queues asks for at most five
_HEADER_BYTES: Final = 106 * KIB  # a frame of 128 KiB, less the other properties

_AMQP: Final = replace(
    COMMON,
    settle=native("individual"),
    ack_confirmed=none(value=False, why="AMQP 0-9-1 answers no settlement; a barrier asks"),
    headers=native(
        HeaderLimits(max_count=1000, max_bytes=_HEADER_BYTES, max_name_bytes=255),
        "timestamps are whole seconds, integers have 64 bits",
    ),
    tombstone=none(value=False, why="AMQP 0-9-1 has no body that is not there"),
    max_body_bytes=native(16 * MIB),
    max_batch=native(BatchLimits()),
    buffered_bytes=none(value=False, why="RabbitMQ does not implement prefetch-size"),
    give_back_keeps_membership=none(value=False, why="giving back means closing the channel"),
    max_name_bytes=native(_NAME_BYTES),
)
_QUEUE: Final = replace(
    _AMQP,
    ordering=emulated(
        Ordering.TOPIC,
        how="keys are hashed to queues with a single active consumer each",
        cost=f"{_PARTITIONS} queues a subscription",
    ),
    on_nack=native("overtakes"),
    nack=native(value=True),
    lease=native(
        LeaseLimits(max_s=_CONSUMER_TIMEOUT_S, default_s=_CONSUMER_TIMEOUT_S), "the channel"
    ),
    competing=native(None),
    filter_exact=native(value=True),
    filter_pattern=native(value=True),
    filter_headers=native(value=True),
    start=native(frozenset({"declared"})),
    delay=emulated(
        DelayLimits(max_s=_DELAY_MAX_S, resolution_s=0.1),
        how="kept aside until it is due",
        cost="that nobody takes it is not reported",
    ),
    ttl=native(value=True, note="at the head of the queue"),
    backlog=native(Backlog.EXACT, "what waits in the queue; not what waits for its delay"),
)
_QUORUM: Final = replace(
    _QUEUE,
    release=native("counted", "from 4.3 on RabbitMQ can tell it from a failure"),
    attempts=native(Attempts.EXACT),
    acks=native(frozenset({"all", "none"})),
    priority=none(1, "quorum queues have none before 4.0"),
    dead_letter=native(value=True, note="from the delivery limit on"),
)
_CLASSIC: Final = replace(
    _QUEUE,
    release=native("uncounted", "nothing is counted"),
    attempts=none(Attempts.NONE, "a flag says that it was delivered before"),
    acks=native(frozenset({"leader", "none"})),
    priority=native(_PRIORITIES),
)
_STREAM: Final = replace(
    _AMQP,
    ordering=native(Ordering.TOPIC),
    settle=emulated(
        "individual",
        how="the position that is stored lies below the first unsettled message",
        cost="after a crash, what was settled above that comes again",
    ),
    lease=native(LeaseLimits(), "nobody else reads for the subscription"),
    competing=native(1, "a second reader is refused"),
    groups=emulated(
        value=True, how="each subscription has a position of its own", cost="nothing here"
    ),
    unroutable=native("error", "the log keeps what no subscription asks for"),
    acks=native(frozenset({"all", "none"})),
    replay=native(Replay.TIME),
    start=native(frozenset({"declared", "earliest", "latest", "time"})),
)
_FILTERS: Final = (Exact, Pattern, HeaderMatch)
_REFUSED: Final = frozenset({"ordering", "partitions", "mode", "topic", "profile"})
_QUEUES: Final = Nature(
    partitions=_PARTITIONS,
    lanes=True,
    filters=_FILTERS,
    expires=True,
    alters=frozenset({"filter"}),
    refuses=_REFUSED | {"max_attempts", "dead_letter"},
)

RABBITMQ: Final = (
    Namesake(Profile(name="rabbitmq", capabilities=_QUORUM), replace(_QUEUES, buries=True)),
    Namesake(
        Profile(name="rabbitmq-classic", capabilities=_CLASSIC),
        replace(_QUEUES, levels=_PRIORITIES),
    ),
    Namesake(
        Profile(name="rabbitmq-stream", capabilities=_STREAM, mode="stream"),
        Nature(
            log="all", reads=True, sharing="sole", refuses=_REFUSED | {"retention_s", "dead_letter"}
        ),
    ),
)
