"""A core that misbehaves about dead letters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from typing_extensions import override

from unibus import Bus, Consumer
from unibus.errors import NotFoundError
from unibus.specs import Queue, Subscription
from unibus_contract.zoo.saboteur import saboteur


@saboteur("A message is tried once more than was said.", "DLQ-02", "DLQ-55")
class TriesOnceMore(Bus):
    """As a broker does whose limit is of redeliveries."""

    @override
    def consumer(self, subscription: Subscription | Queue, **settings: Any) -> Consumer:
        limit = subscription.max_attempts
        more = None if limit is None else limit + 1
        return super().consumer(replace(subscription, max_attempts=more), **settings)


@saboteur("A consumer whose dead letter queue is missing opens without it.", "DLQ-61")
class DoesWithoutADeadLetterQueue(Bus):
    """And drops what it rejects."""

    @override
    def consumer(self, subscription: Subscription | Queue, **settings: Any) -> Consumer:
        try:
            return super().consumer(subscription, **settings)
        except NotFoundError:
            if subscription.dead_letter is None:
                raise
            bare = replace(subscription, dead_letter=None, max_attempts=None)
            return super().consumer(bare, **settings)
