"""Filters at the consumer, where the broker has none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from typing_extensions import override

from unibus.capabilities import Capabilities, emulated
from unibus.emulation.layer import Setting
from unibus.emulation.provenance import decoded
from unibus.emulation.selection import SelectingLayer
from unibus.filters import compile_filter
from unibus.specs import Exact, Filter, HeaderMatch, Pattern, Subscription
from unibus.spi import Events, Incoming

_HOW = "filtered at the consumer"
_COST = "what does not match is received and acknowledged too"


def grade_name(chosen: Filter) -> str:
    """Return the name of the capability that *chosen* needs."""
    match chosen:
        case Exact():
            return "filter_exact"
        case Pattern():
            return "filter_pattern"
        case HeaderMatch():
            return "filter_headers"


def is_needed(capabilities: Capabilities, subscription: Subscription) -> bool:
    """Return whether the subscription has a filter that the broker does not apply."""
    chosen = subscription.filter
    return chosen is not None and not getattr(capabilities, grade_name(chosen))


def transform(capabilities: Capabilities, _subscription: Subscription) -> Capabilities:
    """Return *capabilities* with every filter that the broker lacks."""
    grade = emulated(value=True, how=_HOW, cost=_COST)
    return replace(
        capabilities,
        filter_exact=capabilities.filter_exact or grade,
        filter_pattern=capabilities.filter_pattern or grade,
        filter_headers=capabilities.filter_headers or grade,
    )


class FilterLayer(SelectingLayer):
    """Passes on what matches, and acknowledges the rest."""

    def __init__(self, events: Events, setting: Setting) -> None:
        super().__init__(events)
        self._matches = compile_filter(setting.subscription.filter)

    @override
    def pick(self, batch: Incoming) -> Sequence[int] | None:
        matches = self._matches
        passed = []
        for index in range(len(batch)):
            message = decoded(batch, index)
            # What cannot be decoded passes: the core rejects it, which keeps it.
            if message is None or matches(message):
                passed.append(index)
        return None if len(passed) == len(batch) else passed
