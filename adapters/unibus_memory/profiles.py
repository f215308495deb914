"""What the memory broker promises, by profile; so far its own."""

from __future__ import annotations

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

MEMORY: Final = Profile(name="memory", capabilities=_EVERYTHING)
"""Logs and the profiles of the other brokers are not written yet."""

PROFILES: Final = {MEMORY.name: MEMORY}
