"""Tells the log when a sender loses or finds the way to its broker: a program cannot see that."""

from __future__ import annotations

from unibus import observe
from unibus.errors import UnibusError
from unibus.spi import Link

_log = observe.logger("producer")


def report_link(link: Link, name: str, cause: UnibusError) -> None:
    """Log that the way from the producer of *name* is up, down, or lost for good."""
    if link is Link.UP:
        extra = observe.fields(observe.LINK_UP, destination=name)
        _log.info("%s: the way to the broker is open", name, extra=extra)
        return
    event = observe.LINK_DOWN if link is Link.DOWN else observe.LINK_FATAL
    extra = observe.fields(event, destination=name, error=type(cause).__name__)
    _log.warning("%s: %s: %s", name, link.value, cause, extra=extra)
