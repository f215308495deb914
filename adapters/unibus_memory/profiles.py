"""What the memory broker promises, by profile: its own, and no more than its namesakes promise.

As in the adapters of the real brokers, these are the adapter's promises; the core's emulations come
on top. A broker is opened with the profiles of one family: what a program finds on the real one.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf
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
    native,
)
from unibus_memory.machine.nature import Nature
from unibus_memory.namesakes.base import COMMON, Namesake
from unibus_memory.namesakes.kafka import KAFKA
from unibus_memory.namesakes.rabbitmq import RABBITMQ
from unibus_memory.namesakes.sqs import SQS

_PRIORITIES: Final = 10
_OWN: Final = replace(
    COMMON,
    ordering=native(Ordering.TOPIC),
    on_nack=native("blocks"),
    settle=native("individual"),
    nack=native(value=True),
    nack_delay_s=native(inf),
    release=native("uncounted"),
    lease=native(LeaseLimits(extendable=True)),
    ack_confirmed=native(value=True),
    attempts=native(Attempts.EXACT),
    competing=native(None),
    groups=native(value=True),
    filter_exact=native(value=True),
    filter_pattern=native(value=True),
    filter_headers=native(value=True),
    acks=native(frozenset({"all", "leader", "none"})),
    replay=native(Replay.TIME, "by streams"),
    start=native(frozenset({"declared", "earliest", "latest", "time"})),
    delay=native(DelayLimits(max_s=inf), "that nobody takes it is not reported"),
    ttl=native(value=True),
    priority=native(_PRIORITIES, "not on ordered topics"),
    dead_letter=native(value=True),
    headers=native(HeaderLimits(repeats=True)),
    tombstone=native(value=True),
    max_body_bytes=native(None),
    max_batch=native(BatchLimits()),
    backlog=native(Backlog.EXACT),
    give_back_keeps_membership=native(value=True),
    max_name_bytes=native(None),
)
_MEMORY: Final = Namesake(
    Profile(name="memory", capabilities=_OWN, mode="any"),
    Nature(
        log="topics",
        filters=(Exact, Pattern, HeaderMatch),
        levels=_PRIORITIES,
        expires=True,
        buries=True,
        alters=frozenset({"filter", "lease_s", "retention_s"}),
        refuses=frozenset({"ordering", "mode", "topic", "max_attempts", "dead_letter"}),
    ),
)

_FAMILIES: Final = ((_MEMORY,), RABBITMQ, KAFKA, SQS)
_ALL: Final = tuple(each for family in _FAMILIES for each in family)

PROFILES: Final = {each.profile.name: each.profile for each in _ALL}
"""Every profile by name."""

NATURES: Final = {each.profile.name: each.nature for each in _ALL}
"""How each behaves."""


def family(name: str) -> tuple[Profile, ...]:
    """Return the profile *name* and those that the broker of that name has beside it."""
    members = next(each for each in _FAMILIES if name in {one.profile.name for one in each})
    others = (each.profile for each in members if each.profile.name != name)
    return (PROFILES[name], *others)
