"""The consumers that stand in line before one queue, as far as the broker tells of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from unibus_rabbitmq.channel import Channel

_LOOK_S: Final = 30.0
_STANDBY_LOOK_S: Final = 2.0


class Line:
    """Enters a queue's consumers, and knows what the broker says of them.

    Of a lane's consumers only the first is delivered to. AMQP 0-9-1 does not tell a consumer that
    it stands by. Who finds the lane consumed when it comes does, until something is delivered to
    it, or until it is the only one (which classic queues tell; quorum queues count the first only).

    Attributes:
        queue: Its name.
        prefetch: How many of its deliveries may be unsettled.
        is_standby: The broker delivers to another consumer, as far as can be told.
        is_first: The broker delivers to this one, for sure.
    """

    def __init__(self, queue: str, prefetch: int, *, is_lane: bool) -> None:
        self.queue = queue
        self.prefetch = prefetch
        self.is_standby = self.is_first = False
        self._is_lane = is_lane
        self._has_heard = False
        self._came_with = 0
        self._consumers: int | None = None
        self._waiting = (0, 0)

    def enter(
        self,
        channel: Channel,
        came: Callable[..., None],
        arguments: dict[str, object],
        done: Callable[[], None],
    ) -> None:
        """Consume; *done* once the broker has said that it delivers."""
        self._has_heard = self.is_first = False
        self._consumers = None
        self._came_with = 0

        def begin() -> None:
            self.is_standby = bool(self._consumers)
            channel.basic_qos(prefetch_count=self.prefetch, callback=consume)

        def consume(_frame: object) -> None:
            channel.basic_consume(self.queue, came, arguments=arguments, callback=consumes)

        def consumes(_frame: object) -> None:
            if self._is_lane:
                self.look(channel, have_come)
            else:
                done()

        def have_come() -> None:
            self._came_with = self._consumers or 0
            done()

        if self._is_lane:
            self.look(channel, begin)
        else:
            begin()

    @property
    def look_again_s(self) -> float:
        """When to look again."""
        return _STANDBY_LOOK_S if self.is_standby else _LOOK_S

    def heard(self) -> bool:
        """Something was delivered; return whether that is news."""
        is_news = self._is_lane and not self.is_first
        self._has_heard = self.is_first = True
        self.is_standby = False
        return is_news

    def look(self, channel: Channel, done: Callable[[], None]) -> None:
        """Ask how many consumers and messages the queue has."""
        self._has_heard = False

        def answered(frame: Any) -> None:  # noqa: ANN401  # pika ships no types
            self._consumers = frame.method.consumer_count
            self._waiting = (self._waiting[1], frame.method.message_count)
            if self._consumers == 1 < self._came_with:
                self.is_standby = False
            done()

        channel.queue_declare(self.queue, passive=True, callback=answered)

    def is_deaf(self, *, is_held: bool) -> bool:
        """Return whether the broker delivers nothing although it should.

        A standby waits beside a full queue, so only the number of consumers counts there.
        """
        if self._consumers == 0:
            return True
        is_starved = not self._has_heard and not is_held and all(self._waiting)
        return is_starved and not self._is_lane
