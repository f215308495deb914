"""Declares what is missing, and says what differs from what was declared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from unibus.spi import Change, NotFoundError, Queue, Spec, Subscription, Topic
from unibus_memory.broker import MemoryBroker
from unibus_memory.machine.nature import Nature
from unibus_memory.profiles import NATURES

_Half = Topic | Subscription


def halves(specs: Iterable[Spec], default: str) -> list[_Half]:
    """Return the halves of *specs*, topics first, each with the profile that carries it."""
    parts: list[_Half] = []
    for spec in specs:
        parts += (spec.topic, spec.subscription) if isinstance(spec, Queue) else (spec,)
    parts.sort(key=lambda part: isinstance(part, Subscription))
    return [replace(part, profile=profile_of(part, default)) for part in parts]


def profile_of(half: _Half, default: str) -> str:
    """Return the name of the profile that carries *half*."""
    topic = half.topic if isinstance(half, Subscription) else half
    return half.profile or topic.profile or default


def plan(broker: MemoryBroker, specs: Sequence[Spec], default: str) -> list[Change]:
    """Return what has to be done so that *specs* exist, on profile *default* if they name none.

    Raises:
        NotFoundError: An unmanaged one does not exist.
    """
    return [change for half in halves(specs, default) for change in _changes(broker, half)]


def _changes(broker: MemoryBroker, half: _Half) -> Iterator[Change]:
    found = broker.find(half)
    what = f"{type(half).__name__.lower()} {half.name}"
    if found is None and not half.managed:
        raise NotFoundError(f"{what} is not managed here and does not exist; declare it first")
    if found is None:
        yield Change(kind="create", spec=half, text=f"declare {what}")
    elif half.managed:
        yield from _alterations(half, found, what)


def _alterations(half: _Half, found: _Half, what: str) -> Iterator[Change]:
    nature = NATURES[half.profile or ""]
    asked, have = _values(half, nature), _values(found, nature)
    texts = {
        name: f"{name} is {have[name]!r}, asked for {asked[name]!r}"
        for name in asked
        if asked[name] != have[name]
    }
    lanes = _lanes(half, nature) - _lanes(found, nature)
    refused = nature.refuses if lanes >= 0 else nature.refuses | {"partitions"}
    if text := _listed(texts, refused):
        yield Change(kind="refuse", spec=half, text=f"{what}: {text}")
    elif text := _listed(texts, nature.alters):
        # Keys move to other lanes, past what still waits in the old ones.
        is_dangerous = lanes > 0 and isinstance(half, Topic) and half.ordering != "none"
        text = f"change {what}: {text}"
        yield Change(kind="danger" if is_dangerous else "alter", spec=half, text=text)


def _values(half: _Half, nature: Nature) -> dict[str, object]:
    """Return what can differ, as far as a broker of this nature keeps it."""
    if isinstance(half, Topic):
        return {
            "ordering": half.ordering,
            "partitions": _lanes(half, nature),
            "retention_s": half.retention_s or nature.retention_s,
        }
    names = ("mode", "filter", "lease_s", "max_attempts", "dead_letter", "profile")
    return {"topic": half.topic.name} | {name: getattr(half, name) for name in names}


def _lanes(half: _Half, nature: Nature) -> int:
    return nature.lane_count(half) if isinstance(half, Topic) else 1


def _listed(texts: dict[str, str], names: Iterable[str]) -> str:
    return ", ".join(text for name, text in texts.items() if name in names)
