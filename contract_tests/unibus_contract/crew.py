"""Several consumers of one subscription, each on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from unibus_contract.consuming import Handler, RecordingConsumer, acked
from unibus_contract.draining import Drain
from unibus_contract.recorder import Recorder

_TURN_S = 0.05


class Crew:
    """Works until the block is left; then every member flushes its settlements and closes.

    Attributes:
        members: The consumers, in the order in which they were opened.
    """

    def __init__(
        self,
        recorder: Recorder,
        members: Sequence[RecordingConsumer],
        handler: Handler = acked,
        max_batch: int = 10,
    ) -> None:
        self.members = list(members)
        self._recorder = recorder
        self._handler = handler
        self._max_batch = max_batch
        self._stop = threading.Event()
        self._failures: list[Exception] = []
        self._threads = [
            threading.Thread(target=self._work, args=(each,), name=each.name, daemon=True)
            for each in members
        ]

    def __enter__(self) -> Self:
        for each in self._threads:
            each.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        for each in self._threads:
            each.join()
        for member in self.members:
            member.close()
        if error is None and self._failures:
            raise self._failures[0]

    def drain(self, end: Drain, quiet_s: float | None = None) -> bool:
        """Wait until the subscription has come to its end; return whether it has."""
        return end.watch(quiet_s)

    def _work(self, member: RecordingConsumer) -> None:
        try:
            while not self._stop.is_set():
                for held in member.receive(self._max_batch, timeout_s=_TURN_S):
                    self._handler(held)
            member.settled()
        except Exception as error:  # noqa: BLE001  # a thread's end: the block reports it
            self._failures.append(error)
