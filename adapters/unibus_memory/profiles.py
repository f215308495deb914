"""What the memory broker promises, by profile: its own, and no more than its namesakes promise.

As in the adapters of the real brokers, these are the adapter's promises; the core's emulations come
on top. The logs (``kafka``, ``kafka-share``, ``rabbitmq-stream``) are not written yet.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Final

from unibus.spi import (
    Attempts,
    Backlog,
    BatchLimits,
    Capabilities,
    Confirm,
    DelayLimits,
    HeaderLimits,
    LeaseLimits,
    Ordering,
    Profile,
    native,
    none,
)

_EVERYTHING: Final = Capabilities(
    ordering=native(Ordering.TOPIC),
    on_nack=native("blocks"),
    ordered_pipeline=native(value=True),
    settle=native("individual"),
    nack=native(value=True),
    nack_delay_s=native(inf),
    release=native("uncounted"),
    lease=native(LeaseLimits(extendable=True)),
    ack_confirmed=native(value=True),
    attempts=native(Attempts.EXACT),
    competing=native(None),
    fan_out=native(value=True),
    filter_exact=native(value=True),
    filter_pattern=native(value=True),
    filter_headers=native(value=True),
    confirm=native(Confirm.ROUTED),
    unroutable=native("error"),
    acks=native(frozenset({"all", "leader", "none"})),
    delay=native(DelayLimits(max_s=inf)),
    headers=native(HeaderLimits(repeats=True)),
    empty_body=native(value=True),
    tombstone=native(value=True),
    max_body_bytes=native(None),
    max_batch=native(BatchLimits()),
    backlog=native(Backlog.EXACT),
    at_most_once=native(value=True),
    at_least_once=native(value=True),
    unmanaged=native(value=True),
    topology=native(value=True),
    max_name_bytes=native(None),
)

_KIB = 1024
_MIB = 1 << 20
_TEXT = frozenset({"str", "bytes", "int", "float", "bool"})
_SQS_LEASE_MAX_S = 43_200.0  # SQS quotas: visibility timeout
_SQS_LEASE_S = 30.0  # SQS CreateQueue: default VisibilityTimeout
_SQS_NAME_BYTES = 80  # SQS quotas: queue name
_SQS_ATTRIBUTES = 8  # SQS quotas: 10, less the two that unibus needs
_AMQP_NAME_BYTES = 255  # AMQP 0-9-1 4.2.5.3: short strings

_QUORUM: Final = replace(
    _EVERYTHING,
    ordering=native(Ordering.TOPIC),
    on_nack=native("overtakes"),
    nack_delay_s=none(0.0, "a nack comes back at once"),
    lease=native(LeaseLimits(max_s=1800.0, default_s=None)),
    ack_confirmed=none(value=False, why="AMQP 0-9-1 answers no settlement"),
    acks=native(frozenset({"all", "none"})),
    headers=native(HeaderLimits(max_count=1000, max_bytes=106 * _KIB, max_name_bytes=255)),
    tombstone=none(value=False, why="AMQP 0-9-1 has no body that is not there"),
    max_body_bytes=native(16 * _MIB),
    max_name_bytes=native(_AMQP_NAME_BYTES),
)
_CLASSIC: Final = replace(
    _QUORUM,
    attempts=none(Attempts.NONE, "a flag says that it was delivered before"),
    acks=native(frozenset({"leader", "none"})),
)
_SQS: Final = replace(
    _EVERYTHING,
    ordering=none(Ordering.NONE, "standard queues have none"),
    on_nack=native("overtakes"),
    nack_delay_s=native(_SQS_LEASE_MAX_S),
    release=native("counted"),
    lease=native(LeaseLimits(max_s=_SQS_LEASE_MAX_S, default_s=_SQS_LEASE_S, extendable=True)),
    filter_pattern=none(value=False, why="a wildcard of SNS crosses dots"),
    confirm=native(Confirm.DURABLE),
    unroutable=none("dropped", "SNS takes what no subscription matches"),
    acks=native(frozenset({"all"})),
    delay=native(DelayLimits(max_s=900.0, resolution_s=1.0)),
    headers=native(HeaderLimits(max_count=_SQS_ATTRIBUTES, max_name_bytes=256, types=_TEXT)),
    tombstone=none(value=False, why="SQS has no body that is not there"),
    max_body_bytes=native(_MIB),
    max_batch=native(BatchLimits(max_messages=10, max_bytes=_MIB)),
    backlog=native(Backlog.APPROXIMATE),
    max_name_bytes=native(_SQS_NAME_BYTES),
)
_SQS_FIFO: Final = replace(
    _SQS,
    ordering=native(Ordering.KEY),
    on_nack=native("blocks"),
    delay=none(DelayLimits(), "FIFO queues delay only as a whole"),
)

_ALL: Final = (
    Profile(name="memory", capabilities=_EVERYTHING),
    Profile(name="rabbitmq", capabilities=_QUORUM),
    Profile(name="rabbitmq-classic", capabilities=_CLASSIC),
    Profile(name="sqs", capabilities=_SQS),
    Profile(name="sqs-fifo", capabilities=_SQS_FIFO),
)
PROFILES: Final = {profile.name: profile for profile in _ALL}
