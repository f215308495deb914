"""Delayed publishing: a ladder of queues whose messages move on when their time is over.

Level *i* is a headers exchange and a quorum queue, both of one name, whose messages live for
``RESOLUTION_MS << i``. A message carries one header for each level that it has to wait in; the
exchange of a level puts it into the queue if the header of that level is there, and else hands it
to the next level as its alternate exchange; a message that has waited is dead-lettered there. So a
wait is the sum of some levels, all messages of one queue have the same lifetime, and none waits
behind another. The last exchange delivers: to the exchange the message was meant for, with the
routing key it always had, or to the queue that this names.

Messages move at least once: each queue keeps a message until what comes next has it. One that
nobody takes would be kept forever and block that, so everything delivered also goes to a sink,
where its lifetime is over at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

from unibus import spi
from unibus_rabbitmq.names import Address
from unibus_rabbitmq.objects import ALTERNATE, Binding, Exchange, Queue

RESOLUTION_MS: Final = 100
LEVELS: Final = 20
MAX_S: Final = RESOLUTION_MS * ((1 << LEVELS) - 1) / 1000
"""Longest wait: all levels, 29 hours."""

HEADER_PREFIX: Final = f"{spi.header_names.PREFIX}delay-"
"""Of the headers that this module writes; a receiver takes them off."""
TO: Final = f"{HEADER_PREFIX}to"
"""The exchange to deliver to; empty for the default one."""

# The odd ~ keeps them apart from every topic and subscription, see names.py.
DELIVER: Final = "unibus~delay-deliver"
TO_QUEUE: Final = "unibus~delay-queue"
RECORD: Final = Exchange(
    name="unibus~delay",
    type="fanout",
    internal=True,
    arguments={ALTERNATE: f"{LEVELS} levels from {RESOLUTION_MS} ms"},
)
"""Declared last: if it is there, the ladder is complete."""
_SINK = "unibus~delay-sink"
_MATCH_ALL = {"x-match": "all"}


class Route(NamedTuple):
    """How to publish a message so that it arrives later: to *exchange*, with *headers* added.

    The routing key is that of the address it is meant for.
    """

    exchange: str
    headers: Mapping[str, spi.HeaderValue]


def route(address: Address, delay_s: float) -> Route:
    """Return the way to *address* that takes *delay_s* seconds, or a little longer.

    Raises:
        MessageRejectedError: The delay is longer than the ladder.
        UnsupportedError: Somebody else declared what is at *address*, and the ladder does not lead
            there: the message would be accepted and lost.
    """
    if not address.is_ours:
        raise spi.UnsupportedError(
            f"a delayed publish to {address.exchange or address.routing_key!r}, which is not"
            " managed: no delay queue leads there; publish without delay, or let unibus declare it"
        )
    units = math.ceil(delay_s * 1000 / RESOLUTION_MS)
    if units >= 1 << LEVELS:
        raise spi.MessageRejectedError(
            f"a delay of {delay_s:.1f} s; the delay queues hold a message back for at most"
            f" {MAX_S:.1f} s"
        )
    headers: dict[str, spi.HeaderValue] = {TO: address.exchange}
    headers.update((_header(level), True) for level in range(LEVELS) if units >> level & 1)
    first = units.bit_length() - 1
    return Route(_level(first) if units else DELIVER, headers)


def objects() -> tuple[Exchange | Queue, ...]:
    """Return the exchanges and queues of the ladder; what is named by another comes before it."""
    ladder: list[Exchange | Queue] = [
        Exchange(name=DELIVER, type="headers"),
        Exchange(name=TO_QUEUE, type="direct"),
        Queue(name=_SINK, arguments={"x-queue-type": "classic", "x-message-ttl": 0}),
    ]
    for level in range(LEVELS):
        below = _level(level - 1) if level else DELIVER
        name = _level(level)
        ladder.append(Exchange(name=name, type="headers", arguments={ALTERNATE: below}))
        ladder.append(Queue(name=name, arguments=_queue_arguments(level, below)))
    return tuple(ladder)


def bindings() -> tuple[Binding, ...]:
    """Return what connects the parts of the ladder."""
    levels = (
        Binding(source=name, queue=name, arguments={**_MATCH_ALL, _header(level): True})
        for level in range(LEVELS)
        for name in (_level(level),)
    )
    return (
        Binding(source=DELIVER, queue=_SINK, arguments=_MATCH_ALL),
        Binding(source=DELIVER, exchange=TO_QUEUE, arguments={**_MATCH_ALL, TO: ""}),
        *levels,
    )


def to_exchange(exchange: str) -> Binding:
    """Return what lets the ladder deliver to *exchange*."""
    return Binding(source=DELIVER, exchange=exchange, arguments={**_MATCH_ALL, TO: exchange})


def to_queue(queue: str) -> Binding:
    """Return what lets the ladder deliver to *queue*."""
    return Binding(source=TO_QUEUE, queue=queue, key=queue)


def _level(level: int) -> str:
    return f"unibus~delay-{level:02d}"


def _header(level: int) -> str:
    return f"{HEADER_PREFIX}{level:02d}"


def _queue_arguments(level: int, below: str) -> dict[str, object]:
    return {
        "x-queue-type": "quorum",
        "x-message-ttl": RESOLUTION_MS << level,
        "x-dead-letter-exchange": below,
        "x-dead-letter-strategy": "at-least-once",
        # Without it at-least-once is at-most-once, and nobody says so.
        "x-overflow": "reject-publish",
    }
