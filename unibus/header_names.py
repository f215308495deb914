"""Names of the headers that unibus itself writes; programs may not set them.

They are ordinary headers on the wire, written only when needed, so that any client can read them.
What an adapter can carry in a field of the broker's own (id, key, attempt) it carries there.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from unibus.message import NO_HEADERS, Headers, HeaderValue

PREFIX: Final = "unibus-"

ID: Final = "unibus-id"
"""The id of the message, where the broker has no field that a publisher can set."""
KEY: Final = "unibus-key"
"""The order key, where the broker has no field for it."""
PARTITION: Final = "unibus-partition"
"""The ordered lane the key was hashed to, where the publisher chooses it."""
ROUTING_KEY: Final = "unibus-routing-key"
"""The routing key, where the broker has no field or the field holds an address."""
ATTEMPTS: Final = "unibus-attempts"
"""Deliveries made before this copy was published, as decimal text."""
NOT_BEFORE: Final = "unibus-not-before"
"""Unix milliseconds before which this copy is not to be delivered, as decimal text."""
EXPIRES_AT: Final = "unibus-expires-at"
"""Unix milliseconds after which the message is not to be delivered, as decimal text."""
TOPIC: Final = "unibus-topic"
"""The topic it was first published to, on copies that lie elsewhere."""
SUBSCRIPTION: Final = "unibus-subscription"
"""The subscription that a copy belongs to, on retries and dead letters."""
DEATH_REASON: Final = "unibus-death-reason"
DEATH_DETAIL: Final = "unibus-death-detail"
DEATH_ATTEMPTS: Final = "unibus-death-attempts"
DEATH_FIRST_AT: Final = "unibus-death-first-at"
"""Unix milliseconds of the first dead-lettering, as decimal text."""
REDRIVES: Final = "unibus-redrives"
"""How often the message was sent back from a dead letter queue, as decimal text."""


def is_reserved(name: str) -> bool:
    """Return whether *name* is unibus's own."""
    return name.startswith(PREFIX)


def program_headers(headers: Mapping[str, HeaderValue] | None) -> Mapping[str, HeaderValue]:
    """Return *headers* without the reserved ones, not to be changed; repeated names stay."""
    if not headers:
        return NO_HEADERS
    if not any(map(is_reserved, headers)):
        # A view: an adapter may hand out the same headers again with the next attempt.
        return headers if isinstance(headers, Headers) else MappingProxyType(headers)
    pairs = headers.pairs if isinstance(headers, Headers) else headers.items()
    return Headers((name, value) for name, value in pairs if not is_reserved(name))
