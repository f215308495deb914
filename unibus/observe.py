"""How unibus names what it tells: loggers, events and attributes.

Attributes are those of the OpenTelemetry semantic conventions for messaging; what they do not have
begins with ``unibus.``. They travel as ``extra`` of the log record, so that a handler can export
them without parsing the text. Bodies, keys, header values and passwords never appear.
"""

from __future__ import annotations

import logging
from typing import Final

SYSTEM: Final = "messaging.system"
DESTINATION: Final = "messaging.destination.name"
SUBSCRIPTION: Final = "messaging.destination.subscription.name"
MESSAGE_ID: Final = "messaging.message.id"
BATCH_COUNT: Final = "messaging.batch.message_count"
OPERATION: Final = "messaging.operation.name"
SERVER: Final = "server.address"
ERROR: Final = "error.type"
EVENT: Final = "event.name"
CLIENT: Final = "unibus.client"
BROKER_VERSION: Final = "unibus.broker.version"

OPENED: Final = "unibus.bus.opened"
CLOSED: Final = "unibus.bus.closed"
NOT_CLOSED: Final = "unibus.bus.not_closed"
LINK_DOWN: Final = "unibus.link.down"
LINK_UP: Final = "unibus.link.up"
LINK_FATAL: Final = "unibus.link.fatal"
TOPOLOGY_CHANGED: Final = "unibus.topology.changed"

Attribute = str | int | float | bool


def logger(module: str) -> logging.Logger:
    """Return the logger of a module of unibus, e.g. ``logger("outbox")``: ``unibus.outbox``."""
    return logging.getLogger(f"unibus.{module}")


def fields(event: str, **attributes: Attribute) -> dict[str, Attribute]:
    """Return the ``extra`` of a log record that reports *event*.

    The names of *attributes* are those of this module's constants, in lower case.
    """
    return {EVENT: event, **{_NAMES[name]: value for name, value in attributes.items()}}


_NAMES: Final = {
    "system": SYSTEM,
    "destination": DESTINATION,
    "subscription": SUBSCRIPTION,
    "message_id": MESSAGE_ID,
    "batch_count": BATCH_COUNT,
    "operation": OPERATION,
    "server": SERVER,
    "error": ERROR,
    "client": CLIENT,
    "broker_version": BROKER_VERSION,
}
