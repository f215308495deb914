"""Writes docs/reference/capabilities.md: what each profile promises, from the adapters themselves.

Run ``python docs/capability_table.py`` after changing a profile or an emulation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from math import inf
from pathlib import Path
from typing import Any, Final

from unibus.binding import reach
from unibus.capabilities import (
    BatchLimits,
    Capabilities,
    DelayLimits,
    Grade,
    HeaderLimits,
    LeaseLimits,
    Profile,
    Support,
)
from unibus_memory.profiles import PROFILES
from unibus_rabbitmq.profiles import profiles as rabbitmq_profiles

PAGE: Final = Path(__file__).parent / "reference" / "capabilities.md"
VERSIONS: Final = ("3.10", "4.0", "4.3")
"""The RabbitMQs that the adapter was seen with; what differs between them is told apart."""

_HEAD: Final = """\
# Capabilities

What each profile promises, unibus's additions included: what `bus.capabilities` says in a program.

* Plain: the broker keeps it. **E**: unibus keeps it on top of what the broker has;
  [how](#how-it-is-emulated) stands below.
* no: nobody keeps it. Asking for it raises `UnsupportedError` before any I/O.
* *On ordered topics* something else is promised.
* 4.3: RabbitMQ from that version on.

What each name means is in [`Capabilities`](api.md#unibus.Capabilities).
`python docs/capability_table.py` writes this page.
"""
_UNITS: Final = ((3600, "h"), (60, "min"), (1, "s"))
_SIZES: Final = ((1 << 20, "MiB"), (1 << 10, "KiB"), (1, "bytes"))
_TYPES: Final = HeaderLimits().types

Adapter = Mapping[str, Mapping[str, Profile]]
"""Profiles by name, then by version; a broker without versions has one, the empty string."""


def page() -> str:
    """Return the text of the page."""
    memory = {each.name: {"": each} for each in PROFILES.values()}
    rabbitmq: dict[str, dict[str, Profile]] = {}
    for version in VERSIONS:
        for each in rabbitmq_profiles(version):
            rabbitmq.setdefault(each.name, {})[version] = each
    lines = [*_section("memory", memory), *_section("RabbitMQ", rabbitmq)]
    every = [*memory.values(), *rabbitmq.values()]
    lines += _emulations(profile for versions in every for profile in versions.values())
    return "\n".join([_HEAD, *lines])


def _section(title: str, adapter: Adapter) -> Iterable[str]:
    yield f"## {title}\n"
    yield f"| | {' | '.join(f'`{name}`' for name in adapter)} |"
    yield f"|---|{'---|' * len(adapter)}"
    for name in Capabilities().grades():
        plain = _row(adapter, name, is_ordered=False)
        ordered = _row(adapter, name, is_ordered=True)
        yield f"| `{name}` | {' | '.join(plain)} |"
        if ordered != plain:
            yield f"| *on ordered topics* | {' | '.join(ordered)} |"
    yield ""


def _row(adapter: Adapter, name: str, *, is_ordered: bool) -> Sequence[str]:
    return [_cell(versions, name, is_ordered=is_ordered) for versions in adapter.values()]


def _cell(versions: Mapping[str, Profile], name: str, *, is_ordered: bool) -> str:
    """Return what the oldest version promises, and from which one on it is something else."""
    told: list[str] = []
    last = None
    for version, profile in versions.items():
        text = _grade(getattr(reach(profile, is_ordered=is_ordered), name), name)
        if text != last:
            told.append(f"{version}: {text}" if told else text)
        last = text
    return "; ".join(told)


def _grade(grade: Grade[Any], name: str) -> str:
    if grade.support is Support.NONE:
        return "no"
    text = _value(grade.value, name)
    return f"**E** {text}" if grade.support is Support.EMULATED else text


def _value(value: object, name: str) -> str:
    if value is True:
        return "yes"
    if isinstance(value, int | float | None) and not isinstance(value, Enum):
        return _number(value, name)
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, frozenset):
        return ", ".join(sorted(map(str, value)))
    return ", ".join(_LIMITS[type(value)](value)) if type(value) in _LIMITS else str(value)


def _lease(limits: LeaseLimits) -> Iterable[str]:
    yield _number(limits.max_s, "s")
    if limits.default_s not in {None, limits.max_s}:
        yield f"{_number(limits.default_s, 's')} by default"
    if limits.extendable:
        yield "extendable"


def _delay(limits: DelayLimits) -> Iterable[str]:
    yield _number(limits.max_s, "s")
    if limits.resolution_s:
        yield f"in steps of {_number(limits.resolution_s, 's')}"


def _headers(limits: HeaderLimits) -> Iterable[str]:
    yield _number(limits.max_count, "")
    if limits.max_bytes is not None:
        yield _number(limits.max_bytes, "bytes")
    if limits.max_name_bytes is not None:
        yield f"names of {_number(limits.max_name_bytes, 'bytes')}"
    if missing := _TYPES - limits.types:
        yield f"no {' '.join(sorted(missing))}"
    if limits.repeats:
        yield "repeats"


def _batch(limits: BatchLimits) -> Iterable[str]:
    yield _number(limits.max_messages, "")
    yield _number(limits.max_bytes, "bytes")


_LIMITS: Final[Mapping[type, Callable[[Any], Iterable[str]]]] = {
    LeaseLimits: _lease,
    DelayLimits: _delay,
    HeaderLimits: _headers,
    BatchLimits: _batch,
}


def _number(value: float | None, name: str) -> str:
    if value is None or value == inf:
        return "any"
    units = _SIZES if name.endswith("bytes") else _UNITS if name.endswith("s") else ((1, ""),)
    size, unit = next((each for each in units if value >= each[0]), units[-1])
    return f"{value / size:,.4g} {unit}".strip()


def _emulations(profiles: Iterable[Profile]) -> Iterable[str]:
    told: dict[tuple[str, str], set[str]] = {}
    for profile in profiles:
        for is_ordered in (False, True):
            for name, grade in reach(profile, is_ordered=is_ordered).grades().items():
                if grade.support is Support.EMULATED:
                    told.setdefault((grade.how, grade.cost), set()).add(name)
    yield "## How it is emulated\n"
    yield "| what | how | cost |\n|---|---|---|"
    for (how, cost), names in told.items():
        yield f"| {', '.join(f'`{each}`' for each in sorted(names))} | {how} | {cost} |"
    yield ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
