"""A connection that comes back by itself, and tells those who use it."""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Callable
from typing import Any, Final

import pika
from pika.adapters.select_connection import SelectConnection

from unibus import spi
from unibus_rabbitmq.channel import Channel, User
from unibus_rabbitmq.loop import Done, Loop, Timer
from unibus_rabbitmq.transport import Services, Transport, WatchedLoop

log = logging.getLogger("unibus.rabbitmq.connection")

TESTED: Final = ((1, 4), (1, 4))
"""First and last version of pika whose transport interface was tested with ours."""

_BACKOFF_S = (0.05, 2.0)
_STABLE_S = 10.0
_CONNECT_S = 5.0
_SOONER = 0.9
_WATCH_S = 1.0
_OVERDUE_S = 15.0


def is_tested(version: str) -> bool:
    """Return whether our own transport may be used with pika of *version*."""
    match = re.match(r"(\d+)\.(\d+)", version)
    return match is not None and TESTED[0] <= (int(match[1]), int(match[2])) <= TESTED[1]


class Connection:
    """One connection to the broker on a loop; opened again for as long as it is not closed.

    Attributes:
        transport: Ours, or ``None`` while there is none or pika's own is used.
    """

    def __init__(
        self,
        loop: Loop,
        parameters: Callable[[float], pika.ConnectionParameters],
        *,
        own_frames: bool,
    ) -> None:
        self.loop = loop
        self.transport: Transport | None = None
        self._parameters = parameters
        self._own_frames = own_frames
        self._native: Any = None
        self._watched = WatchedLoop(loop.native)
        self._users: list[User] = []
        self._first: Done[None] | None = None
        self._closed: Callable[[], None] | None = None
        self._is_closing = False
        self._is_blocked: str | None = None
        self._failures = 0
        self._since = 0.0
        self._watch_timer: Timer | None = None
        self._random = random.Random()  # noqa: S311  # spreads reconnects, nothing else

    # ---- any thread

    def open(self, timeout_s: float) -> None:
        """Connect for the first time, or fail.

        Raises:
            Exception: What pika, TLS or the socket says.
        """

        def start(done: Done[None]) -> None:
            self.loop.enter(self)
            self._first = done
            # pika's own time-out says more than ours.
            self._connect(_SOONER * timeout_s)

        try:
            self.loop.call(start, timeout_s, "opening a connection")
        except BaseException:
            self.loop.nudge(self._give_up)
            raise

    def close(self, timeout_s: float) -> None:
        """Say goodbye, and tear the socket if the broker does not answer in time."""
        if not self.loop.is_alive:
            return
        try:
            self.loop.call(self._begin_close, timeout_s, "closing a connection")
        except spi.DeadlineExceededError:
            self.loop.nudge(self._give_up)

    # ---- the loop's thread

    @property
    def native(self) -> Any:  # noqa: ANN401  # pika ships no types
        """The connection of pika; ``None`` while there is none."""
        return self._native

    @property
    def is_open(self) -> bool:
        """Whether channels can be opened now."""
        return self._native is not None and bool(self._native.is_open)

    def join(self, user: User) -> None:
        """Tell *user* of everything from now on; at once if the connection is open."""
        self._users.append(user)
        if self.is_open:
            user.connected()
            if self._is_blocked is not None:
                user.blocked(self._is_blocked)

    def leave(self, user: User) -> None:
        """Tell *user* nothing more."""
        if user in self._users:
            self._users.remove(user)

    def channel(self, opened: Callable[[Channel], None]) -> Channel:
        """Open a channel."""
        channel: Channel = self._native.channel(on_open_callback=opened)
        return channel

    def flush(self) -> None:
        """Nothing: the transport is told by itself."""

    def tear(self, cause: Exception) -> None:
        """Break the socket, as a cut cable would; it is opened again unless it is closing."""
        if self.transport is not None:
            self.transport.fail(cause)
        else:
            self._watched.tear()

    def crash(self, error: Exception) -> None:
        """Give up what there is, whatever state pika is in, and begin again."""
        native, self._native = self._native, None
        if native is None:
            return
        self.tear(error)
        self._lost(error)

    def _connect(self, timeout_s: float = _CONNECT_S) -> None:
        if self._is_closing:
            return
        self.transport = None
        self._since = time.monotonic()
        services = Services(self.loop, self._made) if self._own_frames else self._watched
        self._native = SelectConnection(
            self._parameters(timeout_s),
            on_open_callback=self._opened,
            on_open_error_callback=self._failed,
            on_close_callback=self._gone,
            custom_ioloop=services,
        )
        self._watch()

    def _made(self, transport: Transport) -> None:
        self.transport = transport

    def _opened(self, native: Any) -> None:  # noqa: ANN401  # pika ships no types
        if native is not self._native:
            return
        log.info("connected to RabbitMQ at %s:%s", native.params.host, native.params.port)
        self._since = time.monotonic()
        self._is_blocked = None
        native.add_on_connection_blocked_callback(self._blocked)
        native.add_on_connection_unblocked_callback(self._unblocked)
        first, self._first = self._first, None
        if first is not None:
            first(None)
        for user in list(self._users):
            user.connected()

    def _failed(self, native: object, error: Exception) -> None:
        if native is not self._native:
            return
        self._native = None
        first, self._first = self._first, None
        if first is not None:
            first(error)
        else:
            self._again(error)

    def _gone(self, native: object, error: Exception) -> None:
        if native is not self._native:
            return
        self._native = None
        self._lost(error)

    def _lost(self, error: Exception) -> None:
        self.transport = None
        self._is_blocked = None
        for user in list(self._users):
            user.disconnected(error)
        if time.monotonic() - self._since > _STABLE_S:
            self._failures = 0
        self._again(error)

    def _again(self, error: Exception) -> None:
        if self._is_closing:
            self._finish()
            return
        least, most = _BACKOFF_S
        delay_s = min(most, least * 2**self._failures) * self._random.uniform(0.5, 1.0)
        self._failures = min(self._failures + 1, 10)
        log.warning("no connection to RabbitMQ (%s); trying again", type(error).__name__)
        self.loop.later(delay_s, self._connect)

    def _watch(self) -> None:
        """Look, while there is a connection, for answers that never came: nobody stays deaf."""
        self.loop.cancel(self._watch_timer)
        self._watch_timer = None
        if self._native is None:
            return
        now = time.monotonic()
        is_stuck = not self.is_open and now - self._since > _OVERDUE_S
        if is_stuck or any(user.is_overdue(now) for user in self._users):
            self.crash(spi.DeadlineExceededError(f"no answer from RabbitMQ for {_OVERDUE_S} s"))
            return
        self._watch_timer = self.loop.later(_WATCH_S, self._watch)

    def _blocked(self, native: object, frame: Any) -> None:  # noqa: ANN401  # pika ships no types
        if native is self._native:
            self._tell_blocked(str(frame.method.reason))

    def _unblocked(self, native: object, _frame: object) -> None:
        if native is self._native:
            self._tell_blocked(None)

    def _tell_blocked(self, reason: str | None) -> None:
        self._is_blocked = reason
        for user in list(self._users):
            user.blocked(reason)

    def _begin_close(self, done: Done[None]) -> None:
        self._is_closing = True
        self._closed = lambda: done(None)
        if self._native is None:
            self._finish()
        elif self.is_open:
            self._native.close()
        else:
            self.crash(spi.ClosedError("the connection is closed"))

    def _give_up(self) -> None:
        self._is_closing = True
        if self._native is None:
            self._finish()
        else:
            self.crash(spi.ClosedError("the connection is closed"))

    def _finish(self) -> None:
        self.loop.cancel(self._watch_timer)
        self._watch_timer = None
        self.loop.leave(self)
        closed, self._closed = self._closed, None
        if closed is not None:
            closed()
