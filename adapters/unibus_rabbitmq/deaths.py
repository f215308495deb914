"""What RabbitMQ writes on a message that it dead-letters itself, in unibus's words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from unibus import spi
from unibus_rabbitmq import names

DEATHS: Final = "x-death"
_LADDER = "unibus~delay"
_REASONS = {"delivery_limit": "max attempts", "rejected": "rejected", "expired": "expired"}


def reserved_headers(deaths: object) -> dict[str, spi.HeaderValue]:
    """Return the reserved headers that say the same as the header ``x-death``; maybe none.

    Waiting in the delay ladder is no death. Of several deaths the last one counts, which comes
    first; the broker does not tell how often the message had been delivered.
    """
    entry = _last(deaths)
    if entry is None:
        return {}
    reason = str(entry.get("reason", "unknown"))
    headers: dict[str, spi.HeaderValue] = {
        spi.header_names.DEATH_REASON: _REASONS.get(reason, reason),
        spi.header_names.SUBSCRIPTION: _subscription(str(entry.get("queue", ""))),
    }
    if exchange := entry.get("exchange"):
        headers[spi.header_names.TOPIC] = names.decode(str(exchange))[0]
    if isinstance(when := entry.get("time"), datetime):
        headers[spi.header_names.DEATH_FIRST_AT] = str(int(when.timestamp() * 1000))
    return headers


def routing_key(deaths: object) -> str | None:
    """Return the routing key that the message had before it died; ``None`` if it had no own."""
    entry = _last(deaths)
    if entry is None or not entry.get("exchange"):
        return None
    keys = entry.get("routing-keys")
    return str(keys[0]) if isinstance(keys, list) and keys else None


def _last(deaths: object) -> Mapping[str, object] | None:
    if not isinstance(deaths, list):
        return None
    for entry in deaths:
        if isinstance(entry, dict) and not str(entry.get("queue", "")).startswith(_LADDER):
            return entry
    return None


def _subscription(queue: str) -> str:
    name, word = names.decode(queue)
    return name if word is None or word.isdecimal() else queue
