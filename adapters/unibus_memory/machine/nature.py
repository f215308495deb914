"""How topics and subscriptions of one profile behave, as far as the machine is concerned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from unibus.spi import Filter, Topic


@dataclass(frozen=True, slots=True, kw_only=True)
class Nature:
    """What differs between profiles. Values are those of the broker they are named after.

    Attributes:
        log: Which topics keep what is published: none, all, or all but those of queues. The latter
            keep what a subscription asks for, and everything from the first stream on.
        reads: Whether subscriptions read the log by position, and settle by a watermark.
        partitions: Lanes of a topic that does not say how many; 1 is all there can be.
        lanes: Whether ordered queues are lanes, each with one active consumer; else the messages of
            a key wait for one another.
        sharing: Who reads a log.
        retention_s: How long a log keeps messages if the topic does not say; ``None`` for ever.
        filters: Which kinds of filters are applied here.
        levels: Priorities.
        expires: Whether lifetimes are kept.
        buries: Whether rejected and overdue messages go to the dead letter queue.
        repeats: Whether a message may be delivered again although it was settled.
        breaks: Whether a consumer has a connection that can be lost, and its leases with it.
        forgets_attempts: Whether a restart makes it count anew.
        alters: Fields of specs that can be changed for what exists.
        refuses: Fields that cannot. What is in neither is not kept by the broker.
    """

    log: Literal["none", "topics", "all"] = "none"
    reads: bool = False
    partitions: int = 1
    lanes: bool = False
    sharing: Literal["evenly", "sole"] = "evenly"
    retention_s: float | None = None
    filters: tuple[type[Filter], ...] = ()
    levels: int = 1
    expires: bool = False
    buries: bool = False
    repeats: bool = False
    breaks: bool = True
    forgets_attempts: bool = False
    alters: frozenset[str] = frozenset()
    refuses: frozenset[str] = frozenset()

    def keeps(self, topic: Topic) -> bool:
        """Return whether *topic* is kept as a log."""
        return self.log == "all" or (self.log == "topics" and not topic.point_to_point)

    def lane_count(self, topic: Topic) -> int:
        """Return how many lanes *topic* has."""
        if self.partitions == 1 or topic.ordering == "topic":
            return 1
        if self.lanes and topic.ordering == "none":
            return 1
        return topic.partitions or self.partitions
