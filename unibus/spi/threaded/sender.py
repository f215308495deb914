"""A sender round a call that blocks."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Sequence

from typing_extensions import override

from unibus.errors import ClosedError, DeadlineExceededError, UnibusError
from unibus.outcome import Outcome, rejected, unknown
from unibus.spi.columns import Outgoing
from unibus.spi.roles import Sender, Source
from unibus.spi.threaded.crew import Crew

Translate = Callable[[Exception], UnibusError]
"""The adapter's ``translate``."""


class ThreadedSender(Sender):
    """A sender whose author only writes ``send_batch``, which may block.

    Args:
        source: The core's outbox.
        translate: The adapter's ``translate``.
        requests: How many batches are under way at once.
        name: Names the threads.
    """

    def __init__(
        self,
        source: Source,
        translate: Translate,
        *,
        requests: int = 4,
        name: str = "unibus-sender",
    ) -> None:
        self._source = source
        self._translate = translate
        self._lock = threading.Lock()
        self._under_way: dict[int, Outgoing] = {}
        self._is_closing = False
        self._crew = Crew(name, requests, self._work)

    @abstractmethod
    def send_batch(self, outgoing: Outgoing) -> Sequence[Outcome]:
        """Send *outgoing* and return one outcome for each message; may block.

        An exception is the outcome of all: unknown if its translation says so, else rejected.
        """

    @override
    def offer(self) -> None:
        self._crew.ring()

    @override
    def push(self) -> None:
        """Nothing lingers here."""

    @override
    def close(self, timeout_s: float) -> None:
        with self._lock:
            self._is_closing = True
        self._crew.close(timeout_s)
        with self._lock:
            left = list(self._under_way.values())
            self._under_way.clear()
        late = unknown(DeadlineExceededError(f"no answer within {timeout_s:g} s of closing"))
        for batch in left:
            self._source.completed(batch, 0, len(batch), late)

    def _work(self) -> bool:
        batch = None if self._is_closing else self._source.pull()
        if batch is None:
            return False
        with self._lock:
            is_late = self._is_closing
            if not is_late:
                self._under_way[id(batch)] = batch
        if is_late:
            closed = rejected(ClosedError("the sender was closed before the message was sent"))
            self._source.completed(batch, 0, len(batch), closed)
            return False
        outcomes = self._sent(batch)
        with self._lock:
            is_open = self._under_way.pop(id(batch), None) is not None
        if is_open:
            self._report(batch, outcomes)
        return True

    def _sent(self, batch: Outgoing) -> Sequence[Outcome]:
        try:
            return self.send_batch(batch)
        except Exception as error:  # noqa: BLE001  # the seam to the author's code on this thread
            cause = self._translate(error)
            outcome = unknown(cause) if cause.outcome_unknown else rejected(cause)
            return [outcome] * len(batch)

    def _report(self, batch: Outgoing, outcomes: Sequence[Outcome]) -> None:
        first = 0
        for index in range(1, len(batch) + 1):
            if index == len(batch) or outcomes[index] is not outcomes[first]:
                self._source.completed(batch, first, index - first, outcomes[first])
                first = index
