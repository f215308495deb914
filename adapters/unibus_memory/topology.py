"""Declares what is missing, and says what differs from what was declared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from unibus.spi import Change, NotFoundError, Queue, Spec, Subscription, Topic
from unibus_memory.broker import MemoryBroker

_COMPARED = {
    Topic: ("ordering", "partitions", "retention_s"),
    Subscription: ("mode", "filter", "lease_s", "max_attempts", "dead_letter"),
}


def halves(specs: Iterable[Spec]) -> list[Topic | Subscription]:
    """Return *specs* with queues replaced by their two halves, topics first."""
    parts: list[Topic | Subscription] = []
    for spec in specs:
        parts += (spec.topic, spec.subscription) if isinstance(spec, Queue) else (spec,)
    return sorted(parts, key=lambda part: isinstance(part, Subscription))


def plan(broker: MemoryBroker, specs: Sequence[Spec]) -> list[Change]:
    """Return what has to be done so that *specs* exist.

    Raises:
        NotFoundError: An unmanaged one does not exist.
    """
    changes = []
    for spec in halves(specs):
        found = broker.find(spec)
        what = f"{type(spec).__name__.lower()} {spec.name}"
        if found is not None:
            if differences := _differences(spec, found):
                changes.append(Change(kind="refuse", spec=spec, text=f"{what}: {differences}"))
        elif spec.managed:
            changes.append(Change(kind="create", spec=spec, text=f"declare {what}"))
        else:
            raise NotFoundError(f"{what} is not managed here and does not exist; declare it first")
    return changes


def _differences(asked: Topic | Subscription, found: Topic | Subscription) -> str:
    if not asked.managed:
        return ""
    return ", ".join(
        f"{name} is {getattr(found, name)!r}, asked for {getattr(asked, name)!r}"
        for name in _COMPARED[type(asked)]
        if getattr(found, name) != getattr(asked, name)
    )
