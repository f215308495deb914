"""Kafka 4.x: consumer groups, and share groups."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from unibus.spi import (
    Attempts,
    Backlog,
    BatchLimits,
    Confirm,
    DelayLimits,
    HeaderLimits,
    LeaseLimits,
    Ordering,
    Profile,
    Replay,
    emulated,
    native,
    none,
)
from unibus_memory.machine.nature import Nature
from unibus_memory.namesakes.base import COMMON, Namesake

_PARTITIONS: Final = 4
_MAX_BODY_BYTES: Final = 1_000_000  # broker setting message.max.bytes: 1,048,588 with all else
_NAME_BYTES: Final = 249  # org.apache.kafka.common.internals.Topic
_RETENTION_S: Final = 7 * 24 * 3600.0  # broker setting log.retention.hours: 168
_SHARE_LOCK_S: Final = 30.0  # broker setting group.share.record.lock.duration.ms
_DELAY_MAX_S: Final = 24 * 3600.0

_COMMON: Final = replace(
    COMMON,
    confirm=native(Confirm.DURABLE),
    unroutable=none("dropped", "the log keeps what no subscription asks for"),
    start=native(frozenset({"declared", "earliest", "latest", "time"})),
    delay=emulated(
        DelayLimits(max_s=_DELAY_MAX_S),
        how="kept aside until it is due",
        cost="it is appended when it is due",
    ),
    headers=native(HeaderLimits(types=frozenset({"str", "bytes", "None"}), repeats=True)),
    tombstone=native(value=True),
    max_body_bytes=native(_MAX_BODY_BYTES),
    max_batch=native(BatchLimits()),
    groups=native(value=True),
    max_name_bytes=native(_NAME_BYTES),
)
_GROUP: Final = replace(
    _COMMON,
    ordering=native(Ordering.KEY),
    on_nack=native("overtakes"),
    settle=emulated(
        "individual",
        how="the offset that is committed lies below the first unsettled message",
        cost="after a crash, what was settled above that comes again",
    ),
    lease=native(LeaseLimits(extendable=True), "membership in the group"),
    ack_confirmed=emulated(
        value=True,
        how="by the commit that covers it",
        cost="what lies above something unsettled is not committed",
    ),
    competing=native(_PARTITIONS, "one a partition, if the topic does not say how many"),
    acks=native(frozenset({"all", "leader", "none"})),
    replay=native(Replay.TIME),
    backlog=native(Backlog.EXACT),
    give_back_keeps_membership=none(value=False, why="the partitions go to other members"),
)
_SHARE: Final = replace(
    _COMMON,
    ordering=none(Ordering.NONE, "share groups have none"),
    on_nack=native("overtakes"),
    settle=native("individual"),
    nack=native(value=True),
    release=native("counted"),
    lease=native(LeaseLimits(max_s=_SHARE_LOCK_S, default_s=_SHARE_LOCK_S), "record lock"),
    ack_confirmed=native(value=True),
    attempts=native(Attempts.APPROXIMATE, "a restart of the broker begins anew"),
    competing=native(None),
    acks=native(frozenset({"all", "leader", "none"})),
    backlog=native(Backlog.APPROXIMATE),
    give_back_keeps_membership=native(value=True),
)

_LOG: Final = Nature(
    log="all",
    partitions=_PARTITIONS,
    retention_s=_RETENTION_S,
    alters=frozenset({"retention_s", "partitions"}),
    refuses=frozenset({"topic", "profile"}),
)

KAFKA: Final = (
    Namesake(
        Profile(name="kafka", capabilities=_GROUP, mode="any"),
        replace(_LOG, reads=True),
    ),
    Namesake(
        Profile(name="kafka-share", capabilities=_SHARE, on_request=True),
        replace(_LOG, forgets_attempts=True),
    ),
)
