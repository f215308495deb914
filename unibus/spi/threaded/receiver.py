"""A receiver round calls that block."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections import deque
from collections.abc import Sequence
from random import random
from time import monotonic
from typing import Final

from typing_extensions import override

from unibus.errors import ClosedError
from unibus.outcome import Outcome, OutcomeKind, unknown
from unibus.retry import Backoff
from unibus.spi.columns import Flow, Incoming, Lease, Verdict, VerdictKind
from unibus.spi.roles import Events, Link, Receiver
from unibus.spi.threaded.crew import Crew
from unibus.spi.threaded.sender import Translate

_BACKOFF: Final = Backoff(initial_s=0.1, max_s=5.0)


class _Held:
    """A batch that was fetched, and which of it is not settled."""

    __slots__ = ("incoming", "left", "open")

    def __init__(self, incoming: Incoming) -> None:
        self.incoming = incoming
        self.left = len(incoming)
        self.open = bytearray(b"\1") * self.left

    def close(self, first: int, count: int) -> int:
        """Note that a range is settled or lost; return how much of it was not before."""
        closed = self.open.count(1, first, first + count)
        self.open[first : first + count] = bytes(count)
        self.left -= closed
        return closed


class ThreadedReceiver(Receiver):
    """A receiver whose author only writes ``fetch`` and ``settle_batch``, which may block.

    The author calls ``start`` once everything that ``fetch`` needs is there.

    Args:
        flow: How much is held; several requests share it.
        events: The core's inbox.
        translate: The adapter's ``translate``.
        requests: How many fetches, and how many settlements, are under way at once.
        wait_s: How long a fetch may wait for messages; closing waits for it.
        name: Names the threads.
    """

    def __init__(
        self,
        flow: Flow,
        events: Events,
        translate: Translate,
        *,
        requests: int = 1,
        wait_s: float = 1.0,
        name: str = "unibus-receiver",
    ) -> None:
        self._flow = flow
        self._events = events
        self._translate = translate
        self._wait_s = wait_s
        self._lock = threading.Lock()
        self._buffer: deque[Incoming] = deque()
        self._verdicts: list[Verdict] = []
        self._held: dict[object, _Held] = {}
        self._room = flow.max_unsettled
        self._failures = 0
        self._is_paused = False
        self._gives_back = False
        self._is_ended = False
        self._fetchers = Crew(f"{name}-fetch", requests, self._fetch)
        self._settlers = Crew(f"{name}-settle", requests, self._settle)

    @abstractmethod
    def fetch(self, max_messages: int, wait_s: float) -> Incoming | None:
        """Return up to *max_messages*; ``None`` if none came within *wait_s*. May block."""

    @abstractmethod
    def settle_batch(self, verdicts: Sequence[Verdict]) -> Sequence[Outcome]:
        """Pass on decisions and return one outcome for each of them; may block."""

    def start(self) -> None:
        """Begin to fetch."""
        self._fetchers.ring()

    def lose(self, leases: Sequence[Lease], cause: Exception) -> None:
        """Note that *leases* have ended, make room for others, and report it; for the author."""
        ended = {id(lease) for lease in leases}
        for lease in leases:
            lease.lost = cause
        with self._lock:
            held = list(self._held.items())
        for ticket, each in held:
            for first, length, lease in each.incoming.leases():
                if id(lease) in ended:
                    self._free(ticket, first, length)
        self._events.lost(leases, cause)
        self._fetchers.ring()

    @override
    def take(self) -> Incoming | None:
        with self._lock:
            return self._buffer.popleft() if self._buffer else None

    @override
    def settle(self, verdicts: Sequence[Verdict]) -> None:
        with self._lock:
            self._verdicts += verdicts
        self._settlers.ring()

    @override
    def barrier(self) -> None:
        """Nothing is left open by ``settle_batch``: its outcomes are the broker's."""

    @override
    def pause(self, give_back: bool = False) -> None:
        with self._lock:
            self._is_paused = True
            self._gives_back = give_back
        if give_back:
            self._give_back()

    @override
    def resume(self) -> None:
        with self._lock:
            self._is_paused = self._gives_back = False
        self._fetchers.ring()

    @override
    def close(self, timeout_s: float) -> None:
        end = monotonic() + timeout_s
        with self._lock:
            self._is_ended = self._gives_back = True
        self._give_back()
        self._fetchers.close(max(end - monotonic(), 0.0))
        self._settlers.close(max(end - monotonic(), 0.0))
        with self._lock:
            left, self._verdicts = self._verdicts, []
        late = unknown(ClosedError(f"not settled within {timeout_s:g} s of closing"))
        self._report(left, [late] * len(left))

    def _fetch(self) -> bool:
        with self._lock:
            asked = min(self._flow.max_batch, self._room)
            if asked < 1 or self._is_paused or self._is_ended:
                return False
            self._room -= asked
        incoming = None
        try:
            incoming = self.fetch(asked, self._wait_s)
        except Exception as error:  # noqa: BLE001  # the seam to the author's code on this thread
            return self._failed(asked, error)
        self._recovered()
        self._arrived(incoming, asked)
        return True

    def _arrived(self, incoming: Incoming | None, asked: int) -> None:
        size = len(incoming) if incoming is not None else 0
        with self._lock:
            self._room += asked - size
            is_first = not self._buffer
            if incoming is not None:
                self._buffer.append(incoming)
                self._held[incoming.ticket] = _Held(incoming)
            gives_back, is_ended = self._gives_back, self._is_ended
        if gives_back:
            self._give_back()
        elif is_first and size:
            self._events.ready()
        if is_ended:
            self._settle()  # nobody else may be left to do it

    def _failed(self, asked: int, error: Exception) -> bool:
        cause = self._translate(error)
        with self._lock:
            self._room += asked
            self._failures += 1
            failures = self._failures
            self._is_ended = self._is_ended or not cause.retryable
        if failures == 1 or not cause.retryable:
            self._events.state(Link.DOWN if cause.retryable else Link.FATAL, cause)
        if not cause.retryable:
            return False
        self._fetchers.rest(_BACKOFF.delay_s(failures, random))
        return True

    def _recovered(self) -> None:
        with self._lock:
            failures, self._failures = self._failures, 0
        if failures:
            self._events.state(Link.UP, None)

    def _give_back(self) -> None:
        """Release what is buffered: the core has not seen it, and hears nothing of it."""
        with self._lock:
            batches = list(self._buffer)
            self._buffer.clear()
        if batches:
            self.settle(
                [
                    Verdict(batch.ticket, first, length, VerdictKind.RELEASE, incoming=batch)
                    for batch in batches
                    for first, length, lease in batch.leases()
                    if lease.lost is None
                ]
            )

    def _settle(self) -> bool:
        with self._lock:
            verdicts, self._verdicts = self._verdicts, []
        if not verdicts:
            return False
        try:
            outcomes = self.settle_batch(verdicts)
        except Exception as error:  # noqa: BLE001  # the seam to the author's code on this thread
            outcomes = [unknown(self._translate(error))] * len(verdicts)
        self._report(verdicts, outcomes)
        return True

    def _report(self, verdicts: Sequence[Verdict], outcomes: Sequence[Outcome]) -> None:
        for verdict, outcome in zip(verdicts, outcomes, strict=True):
            if verdict.kind is not VerdictKind.EXTEND:
                self._free(verdict.ticket, verdict.first, verdict.count)
            elif outcome.kind is OutcomeKind.SETTLED:
                continue
            self._events.settled(verdict.ticket, verdict.first, verdict.count, outcome)
        self._fetchers.ring()

    def _free(self, ticket: object, first: int, count: int) -> None:
        with self._lock:
            held = self._held.get(ticket)
            if held is None:
                return
            self._room += held.close(first, count)
            if not held.left:
                del self._held[ticket]
