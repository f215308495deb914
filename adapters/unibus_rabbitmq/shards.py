"""The queues behind one receiver: one, or the lanes of an ordered subscription."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from unibus_rabbitmq.channel import Channel

_LOOK_S: Final = 30.0
_STANDBY_LOOK_S: Final = 2.0


class Shards:
    """Consumes from all of them on one channel, and knows what the broker says of its consumers.

    On one channel, all lanes go back at once and under one lease.

    AMQP 0-9-1 does not tell a consumer that it stands by. Who finds the queues consumed when it
    comes does, until something is delivered to it, or (classic queues count all consumers, quorum
    queues only the active one) until there are fewer consumers than when it had come.

    Attributes:
        prefetch: How many deliveries of each queue may be unsettled.
        is_standby: The broker delivers to another consumer, as far as can be told.
    """

    def __init__(
        self, queues: tuple[str, ...], max_unsettled: int, *, is_ordered: bool, is_log: bool
    ) -> None:
        self._queues = queues
        self._has_lanes = is_ordered and not is_log
        self.prefetch = max(1, min(65_535, max_unsettled // len(queues)))
        self.is_standby = False
        self._has_heard = False
        self._came_with: list[int] = []
        self._consumers: list[int] = []
        self._waiting = [0, 0]

    def consume(
        self,
        channel: Channel,
        came: Callable[..., None],
        arguments: dict[str, object],
        done: Callable[[], None],
    ) -> None:
        """Consume from every queue; *done* once the broker has said that it delivers."""
        self._has_heard = self.is_standby = False
        self._consumers = []
        left = list(reversed(self._queues))

        def go_on(_frame: object = None) -> None:
            if left:
                channel.basic_consume(left.pop(), came, arguments=arguments, callback=go_on)
            elif self._has_lanes:
                self.look(channel, have_come)
            else:
                done()

        def have_come() -> None:
            self._came_with = self._consumers
            done()

        def begin() -> None:
            self.is_standby = bool(self._consumers) and all(self._consumers)
            self._came_with = []
            channel.basic_qos(prefetch_count=self.prefetch, callback=go_on)

        if self._has_lanes:
            self.look(channel, begin)
        else:
            begin()

    @property
    def look_again_s(self) -> float:
        """When to look again."""
        return _STANDBY_LOOK_S if self.is_standby else _LOOK_S

    def heard(self) -> None:
        """Something was delivered."""
        self._has_heard = True
        self.is_standby = False

    def look(self, channel: Channel, done: Callable[[], None]) -> None:
        """Ask how many consumers and messages each queue has."""
        self._has_heard = False
        found: list[tuple[int, int]] = []

        def answered(frame: Any) -> None:  # noqa: ANN401  # pika ships no types
            found.append((frame.method.consumer_count, frame.method.message_count))
            if len(found) == len(self._queues):
                self._note(found)
                done()

        for queue in self._queues:
            channel.queue_declare(queue, passive=True, callback=answered)

    def _note(self, found: list[tuple[int, int]]) -> None:
        self._consumers = [consumers for consumers, _ in found]
        self._waiting = [self._waiting[-1], sum(messages for _, messages in found)]
        pairs = zip(self._consumers, self._came_with, strict=False)
        if any(now < then for now, then in pairs):
            self.is_standby = False

    def is_deaf(self, *, is_held: bool) -> bool:
        """Return whether the broker delivers nothing although it should.

        A standby waits beside full queues, so only the number of consumers counts there.
        """
        if self._consumers and not all(self._consumers):
            return True
        is_starved = not self._has_heard and not is_held and all(self._waiting)
        return is_starved and not self._has_lanes
