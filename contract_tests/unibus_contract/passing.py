"""A moment that lies between what was published and what will be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from unibus_contract.consuming import RecordingConsumer
from unibus_contract.workbench import Bench

_MORE_S = 0.05


def moment_between(bench: Bench, idle: RecordingConsumer) -> datetime:
    """Return a moment, and let time pass until it lies well behind, while *idle* gets nothing.

    It is as far from what was published as what comes next will be from it: further than a broker
    may round (RabbitMQ's timestamps are whole seconds).
    """
    margin_s = bench.timing.delay_s
    moment = datetime.now(UTC) + timedelta(seconds=margin_s)
    assert idle.is_quiet(2 * margin_s + _MORE_S), "nothing is published meanwhile"
    return moment
