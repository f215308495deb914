"""What is published to a dead letter queue: the message, and why it lies there."""

from __future__ import annotations

from unibus.spi import Headers, Outgoing, Subscription, header_names
from unibus_memory.machine.store import Dead


def letters(dead: Dead, subscription: Subscription, wall: float) -> Outgoing:
    """Return copies of the messages that were given up, each with its reason and origin."""
    messages = [dead.run.message(offset) for offset in range(dead.run.length)]
    reasons = {
        header_names.SUBSCRIPTION: subscription.name,
        header_names.DEATH_REASON: dead.reason,
        header_names.DEATH_DETAIL: dead.detail or None,
        header_names.DEATH_ATTEMPTS: None if dead.attempts is None else str(dead.attempts),
    }
    batch = Outgoing([message.body for message in messages])
    batch.keys = [message.key for message in messages]
    batch.routing_keys = [message.routing_key for message in messages]
    batch.ids = [message.id for message in messages]
    batch.headers = []
    for message in messages:
        had = message.headers or {}
        firsts = {
            header_names.TOPIC: had.get(header_names.TOPIC, subscription.topic.name),
            header_names.DEATH_FIRST_AT: had.get(
                header_names.DEATH_FIRST_AT, str(round(wall * 1000))
            ),
        }
        pairs = had.pairs if isinstance(had, Headers) else tuple(had.items())
        kept = [pair for pair in pairs if pair[0] not in reasons and pair[0] not in firsts]
        new = (pair for pair in {**reasons, **firsts}.items() if pair[1] is not None)
        batch.headers.append(Headers([*kept, *new]))
    return batch
