"""The thread that owns pika's loop, and everything that lives on it.

Every method says who may call it. What is handed over by other threads is done once a turn, after
the sockets have been read, and what all of that writes leaves in one send a connection: a thread
that spins in Python takes the interpreter lock away at every system call.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol, TypeVar, cast

from pika.adapters.select_connection import IOLoop

from unibus import spi

log = logging.getLogger("unibus.rabbitmq.loop")

T = TypeVar("T")
Work = Callable[[], None]
Done = Callable[[T | Exception], None]

_ROUNDS = 16
"""How often a turn takes in what arrives meanwhile, before it looks at the sockets again."""


class Timer(Protocol):
    """A pending call; pika's own object."""


class Tenant(Protocol):
    """A connection, as far as the loop knows it."""

    def flush(self) -> None:
        """Send what was written in this turn."""

    def crash(self, error: Exception) -> None:
        """Give up the connection: something on it raised what nobody expected."""


class Loop:
    """One I/O thread; several connections can live on it."""

    def __init__(self, name: str) -> None:
        self._loop = IOLoop()
        self._pid = os.getpid()
        self._inbox: deque[Work] = deque()
        self._bursts: list[Work] = []
        self._dirty: list[Tenant] = []
        self._tenants: list[Tenant] = []
        self._awake = False
        self._stopping = False
        self._wake_fd = -1
        if hasattr(os, "eventfd"):
            self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            self._loop.add_handler(self._wake_fd, self._rung, IOLoop.READ)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    # ---- any thread

    @property
    def native(self) -> object:
        """The loop of pika."""
        return self._loop

    @property
    def is_alive(self) -> bool:
        """Whether there is a thread that does the work; not in a forked child."""
        return self._pid == os.getpid() and self._thread.is_alive()

    def nudge(self, work: Work) -> None:
        """Have *work* done on the thread, soon; in the order of the calls."""
        self._inbox.append(work)
        # Cleared before the inbox is looked at for the last time, so that no ring is missed.
        if not self._awake:
            self._awake = True
            self._ring()

    def call(self, start: Callable[[Done[T]], None], timeout_s: float, what: str) -> T:
        """Run *start* on the thread and wait until what it was given was called with a result.

        Raises:
            DeadlineExceededError: It was not, within *timeout_s*.
            Exception: The result, if it is one.
        """
        gate = threading.Event()
        results: list[T | Exception] = []

        def done(result: T | Exception) -> None:
            results.append(result)
            gate.set()

        def begin() -> None:
            try:
                start(done)
            except Exception as error:  # noqa: BLE001  # the seam: it is raised on the caller's thread
                done(error)

        if not self.is_alive:
            raise spi.ClosedError(f"{what}: the connection is closed")
        self.nudge(begin)
        if not gate.wait(timeout_s):
            raise spi.DeadlineExceededError(f"{what}: no answer from RabbitMQ within {timeout_s} s")
        if isinstance(results[0], Exception):
            raise results[0]
        return results[0]

    def stop(self, timeout_s: float) -> None:
        """End the thread, from another one; every connection has been closed before."""
        if not self.is_alive:
            return
        self.nudge(self._stop)
        self._thread.join(timeout_s)
        # Not by the thread: it can be through before ``nudge`` has rung, and the number of a closed
        # descriptor is soon somebody else's.
        if self._wake_fd >= 0 and not self._thread.is_alive():
            os.close(self._wake_fd)

    # ---- this thread only

    def later(self, delay_s: float, work: Work) -> Timer:
        """Have *work* done after *delay_s* seconds."""
        return cast("Timer", self._loop.call_later(delay_s, lambda: self._guard(work)))

    def cancel(self, timer: Timer | None) -> None:
        """Forget about *timer*, whether it has come or not."""
        if timer is not None:
            self._loop.remove_timeout(timer)

    def burst(self, work: Work) -> None:
        """Have *work* done once everything that can be read now has been read."""
        self._bursts.append(work)

    def is_dirty(self, tenant: Tenant) -> None:
        """Have *tenant* flushed at the end of this turn."""
        self._dirty.append(tenant)

    def enter(self, tenant: Tenant) -> None:
        """Have *tenant* told when something goes wrong here."""
        self._tenants.append(tenant)

    def leave(self, tenant: Tenant) -> None:
        """Forget *tenant*."""
        self._tenants.remove(tenant)

    def _ring(self) -> None:
        if self._wake_fd >= 0:
            os.eventfd_write(self._wake_fd, 1)
        else:
            self._loop.add_callback_threadsafe(_nothing)

    def _rung(self, fd: int, _events: int) -> None:
        os.eventfd_read(fd)

    def _stop(self) -> None:
        self._stopping = True

    def _run(self) -> None:
        loop = self._loop
        loop.activate_poller()
        while not self._stopping:
            self._awake = False
            if self._inbox or self._bursts:
                self._awake = True
                self._ring()
            self._guard(loop.poll)
            self._awake = True
            self._guard(loop.process_timeouts)
            self._turn()
        # What was put off to a turn that does not come: a torn socket is closed there.
        self._guard(loop.process_timeouts)
        loop.deactivate_poller()
        if self._wake_fd >= 0:
            loop.remove_handler(self._wake_fd)
        loop.close()

    def _turn(self) -> None:
        for _ in range(_ROUNDS):
            bursts, self._bursts = self._bursts, []
            for work in bursts:
                self._guard(work)
            for _ in range(len(self._inbox)):
                self._guard(self._inbox.popleft())
            if not self._inbox and not self._bursts:
                break
        dirty, self._dirty = self._dirty, []
        for tenant in dirty:
            self._guard(tenant.flush)

    def _guard(self, work: Work) -> None:
        """Do *work*; an error in it costs the connections, never the thread."""
        try:
            work()
        except Exception as error:
            log.exception("the connections to RabbitMQ are reopened after an unexpected error")
            for tenant in list(self._tenants):
                tenant.crash(error)


def _nothing() -> None:
    """Only wakes."""
