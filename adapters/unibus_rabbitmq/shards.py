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

    Attributes:
        prefetch: How many deliveries of each queue may be unsettled.
        is_standby: The broker delivers to another consumer, as far as can be told.
    """

    def __init__(
        self, queues: tuple[str, ...], max_unsettled: int, *, is_ordered: bool, is_log: bool
    ) -> None:
        self._queues = queues
        self._is_log = is_log
        self._is_ordered = is_ordered
        self.prefetch = max(1, min(65_535, max_unsettled // len(queues)))
        self.is_standby = False
        self._has_heard = self._is_new = False
        self._is_forgotten = False
        self._waiting: list[int] = [0, 0]

    def consume(
        self,
        channel: Channel,
        came: Callable[..., None],
        arguments: dict[str, object],
        done: Callable[[], None],
    ) -> None:
        """Consume from every queue; *done* once the broker has said that it delivers."""
        self._is_new = True
        self._has_heard = self._is_forgotten = False
        left = list(reversed(self._queues))

        def go_on(_frame: object) -> None:
            if left:
                channel.basic_consume(left.pop(), came, arguments=arguments, callback=go_on)
            else:
                self._begun(channel, done)

        channel.basic_qos(prefetch_count=self.prefetch, callback=go_on)

    def _begun(self, channel: Channel, done: Callable[[], None]) -> None:
        if self._is_ordered and not self._is_log:
            self.look(channel, done)
        else:
            done()

    @property
    def look_again_s(self) -> float:
        """When to look again."""
        return _STANDBY_LOOK_S if self._is_ordered and self._is_new else _LOOK_S

    def heard(self) -> None:
        """Something was delivered."""
        self._has_heard = True
        self._is_new = self.is_standby = False

    def look(self, channel: Channel, done: Callable[[], None]) -> None:
        """Ask how many consumers and messages each queue has."""
        self._has_heard = False
        found: list[tuple[int, int]] = []

        def answered(frame: Any) -> None:  # noqa: ANN401  # pika ships no types
            found.append((frame.method.consumer_count, frame.method.message_count))
            if len(found) == len(self._queues):
                self._judge(found)
                done()

        for queue in self._queues:
            channel.queue_declare(queue, passive=True, callback=answered)

    def _judge(self, found: list[tuple[int, int]]) -> None:
        self._is_forgotten = any(consumers == 0 for consumers, _ in found)
        self._waiting = [self._waiting[-1], sum(messages for _, messages in found)]
        self.is_standby = (
            self._is_ordered and self._is_new and all(consumers > 1 for consumers, _ in found)
        )

    def is_deaf(self, *, is_held: bool) -> bool:
        """Return whether the broker delivers nothing although it should.

        A standby waits beside full queues, so only the number of consumers counts there.
        """
        if self._is_forgotten:
            return True
        is_starved = not self._has_heard and not is_held and all(self._waiting)
        return is_starved and not self._is_ordered
