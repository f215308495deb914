"""Amazon SQS with SNS in front of it: standard and FIFO queues."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from unibus.spi import (
    Attempts,
    Backlog,
    BatchLimits,
    Confirm,
    DelayLimits,
    Exact,
    HeaderLimits,
    HeaderMatch,
    LeaseLimits,
    Ordering,
    Profile,
    native,
    none,
)
from unibus_memory.machine.nature import Nature
from unibus_memory.namesakes.base import COMMON, MIB, Namesake

_LEASE_MAX_S: Final = 43_200.0  # SQS quotas: visibility timeout
_LEASE_S: Final = 30.0  # SQS CreateQueue: default VisibilityTimeout
_NAME_BYTES: Final = 80  # SQS quotas: queue name
_ATTRIBUTES: Final = 8  # SQS quotas: 10, less the two that unibus needs
_DELAY_MAX_S: Final = 900.0  # SQS quotas: message timer
_TYPES: Final = frozenset({"str", "bytes", "int", "float", "bool"})

_STANDARD: Final = replace(
    COMMON,
    ordering=none(Ordering.NONE, "standard queues have none"),
    on_nack=native("overtakes"),
    settle=native("individual"),
    nack=native(value=True),
    nack_delay_s=native(_LEASE_MAX_S),
    release=native("counted"),
    lease=native(LeaseLimits(max_s=_LEASE_MAX_S, default_s=_LEASE_S, extendable=True)),
    ack_confirmed=native(value=True),
    attempts=native(Attempts.EXACT),
    competing=native(None),
    filter_exact=native(value=True),
    filter_pattern=none(value=False, why="a wildcard of SNS crosses dots"),
    filter_headers=native(value=True),
    confirm=native(Confirm.DURABLE),
    unroutable=none("dropped", "SNS takes what no subscription matches"),
    acks=native(frozenset({"all"})),
    start=native(frozenset({"declared"})),
    delay=native(DelayLimits(max_s=_DELAY_MAX_S, resolution_s=1.0)),
    dead_letter=native(value=True, note="the redrive policy, for what nobody settles"),
    headers=native(HeaderLimits(max_count=_ATTRIBUTES, max_name_bytes=256, types=_TYPES)),
    tombstone=none(value=False, why="SQS has no body that is not there"),
    max_body_bytes=native(MIB),
    max_batch=native(BatchLimits(max_messages=10, max_bytes=MIB)),
    backlog=native(Backlog.APPROXIMATE),
    give_back_keeps_membership=native(value=True),
    max_name_bytes=native(_NAME_BYTES),
)
_FIFO: Final = replace(
    _STANDARD,
    ordering=native(Ordering.KEY),
    on_nack=native("blocks"),
    delay=none(DelayLimits(), "FIFO queues delay only as a whole"),
)
_NATURE: Final = Nature(
    filters=(Exact, HeaderMatch),
    buries=True,
    breaks=False,
    alters=frozenset({"filter", "lease_s", "max_attempts", "dead_letter"}),
    refuses=frozenset({"ordering", "topic", "profile"}),
)

SQS: Final = (
    Namesake(Profile(name="sqs", capabilities=_STANDARD), replace(_NATURE, repeats=True)),
    Namesake(Profile(name="sqs-fifo", capabilities=_FIFO), _NATURE),
)
