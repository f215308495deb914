"""Copies of a message that unibus publishes again, and what their headers tell; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from unibus import header_names as names
from unibus.message import DeadLetter, Headers, HeaderValue, Message
from unibus.specs import Subscription
from unibus.spi import Incoming

MAX_DETAIL: Final = 1000
"""Characters of what the program said; a header has to stay small on every broker."""

_MAX_DIGITS = 20
_LEAST_TTL_S = 0.001
_OF_ONE_COPY = (names.ATTEMPTS, names.NOT_BEFORE)


def decoded(batch: Incoming, index: int) -> Message | None:
    """Return delivery *index* decoded; ``None`` if it cannot be."""
    try:
        return batch.message(index)
    except Exception:  # noqa: BLE001  # any decoder's; the core rejects this delivery with it
        return None


def previous_attempts(message: Message) -> int:
    """Return how many deliveries were made before this copy was published."""
    return _number(message.headers, names.ATTEMPTS) or 0


def attempts(
    batch: Incoming, index: int, message: Message | None, *, is_counted: bool
) -> int | None:
    """Return which attempt this delivery is, earlier copies included.

    ``None`` where nobody counts: neither the broker nor (*is_counted*) unibus.
    """
    here = batch.attempt(index)
    if here is None and not is_counted:
        return None
    return (previous_attempts(message) if message else 0) + (here or 1)


def expires_at_s(message: Message) -> float | None:
    """Return when *message* is too old to be delivered, in Unix seconds; ``None`` if never."""
    moment = _number(message.headers, names.EXPIRES_AT)
    return None if moment is None else moment / 1000


def source_of(batch: Incoming, index: int) -> Message:
    """Return delivery *index* decoded; with nothing but its body if it cannot be."""
    return decoded(batch, index) or Message(batch.bodies()[index])


def retry_copy(
    source: Message,
    subscription: Subscription,
    *,
    attempts: int,
    delay_s: float | None,
    wall: float,
) -> Message:
    """Return what is published to *subscription* alone, so that *source* is had again.

    *wall*, the time now, shortens a lifetime by what has passed of it.
    """
    changes = {names.ATTEMPTS: str(attempts), names.SUBSCRIPTION: subscription.name}
    copy = _renewed(source, _origin(source, subscription) | changes)
    copy.delay_s = delay_s
    if source.ttl_s is not None:
        age_s = 0 if source.timestamp_s is None else wall - source.timestamp_s
        copy.ttl_s = max(source.ttl_s - max(age_s, 0), _LEAST_TTL_S)
    return copy


def dead_copy(source: Message, subscription: Subscription, death: DeadLetter) -> Message:
    """Return what is published to the dead letter queue of *subscription*."""
    first_at = _number(source.headers, names.DEATH_FIRST_AT)
    if first_at is None and death.first_at_s is not None:
        first_at = round(death.first_at_s * 1000)
    changes = {
        names.SUBSCRIPTION: subscription.name,
        names.DEATH_REASON: death.reason,
        names.DEATH_DETAIL: death.detail[:MAX_DETAIL] or None,
        names.DEATH_ATTEMPTS: None if death.attempts is None else str(death.attempts),
        names.DEATH_FIRST_AT: None if first_at is None else str(first_at),
        names.EXPIRES_AT: None,
    }
    return _renewed(source, _origin(source, subscription) | changes)


def redriven_copy(message: Message) -> Message:
    """Return what is published to the subscription that *message* died in, to be had again.

    Its attempts begin anew; why it died and how often it was sent back stay with it.
    """
    redrives = (_number(message.headers, names.REDRIVES) or 0) + 1
    return _renewed(message, {names.REDRIVES: str(redrives)})


def dead_letter(headers: Mapping[str, HeaderValue] | None) -> DeadLetter | None:
    """Return why and whence a message was dead-lettered; ``None`` if its headers do not say."""
    if not headers or names.DEATH_REASON not in headers:
        return None
    first_at = _number(headers, names.DEATH_FIRST_AT)
    return DeadLetter(
        reason=_text(headers, names.DEATH_REASON) or "",
        detail=_text(headers, names.DEATH_DETAIL) or "",
        topic=_text(headers, names.TOPIC),
        subscription=_text(headers, names.SUBSCRIPTION),
        attempts=_number(headers, names.DEATH_ATTEMPTS),
        first_at_s=None if first_at is None else first_at / 1000,
        redrives=_number(headers, names.REDRIVES) or 0,
    )


def _origin(source: Message, subscription: Subscription) -> dict[str, str | None]:
    return {names.TOPIC: _text(source.headers, names.TOPIC) or subscription.topic.name}


def _renewed(message: Message, changes: Mapping[str, str | None]) -> Message:
    """Return a copy with *changes* to its reserved headers; ``None`` removes one."""
    headers = message.headers or {}
    pairs = headers.pairs if isinstance(headers, Headers) else tuple(headers.items())
    replaced = {*changes, *_OF_ONE_COPY}
    kept = [(name, value) for name, value in pairs if name not in replaced]
    kept += [(name, value) for name, value in changes.items() if value is not None]
    return Message(
        message.body,
        message.key,
        message.routing_key,
        Headers(kept),
        message.id,
        None,
        None,
        message.priority,
    )


def _text(headers: Mapping[str, HeaderValue] | None, name: str) -> str | None:
    value = headers.get(name) if headers else None
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return None if value is None else str(value)


def _number(headers: Mapping[str, HeaderValue] | None, name: str) -> int | None:
    text = _text(headers, name)
    # Somebody else may have written it: what is no number of sensible size says nothing.
    is_number = text is not None and len(text) < _MAX_DIGITS and text.isascii() and text.isdecimal()
    return int(text) if text and is_number else None
