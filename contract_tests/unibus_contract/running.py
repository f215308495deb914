"""``Consumer.run`` on a thread of its own."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from unibus_contract.consuming import Handler, RecordingConsumer
from unibus_contract.draining import Drain


class Running:
    """Handles deliveries until the block is left; what was settled is then flushed.

    What ends it early is raised by the block, unless the block has an error of its own.
    """

    def __init__(self, consumer: RecordingConsumer, handler: Handler, workers: int) -> None:
        self._consumer = consumer
        self._handler = handler
        self._workers = workers
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=consumer.name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._consumer.settled()
        if error is None and self._failure is not None:
            raise self._failure

    @property
    def thread(self) -> int | None:
        """Who has called ``Consumer.run``, as ``threading.get_ident`` names it."""
        return self._thread.ident

    def drain(self, end: Drain, quiet_s: float | None = None) -> bool:
        """Wait until the subscription has come to its end; return whether it has."""
        return end.watch(quiet_s)

    def _run(self) -> None:
        try:
            self._consumer.run(self._handler, workers=self._workers, stop=self._stop)
        except BaseException as error:  # noqa: BLE001  # a thread's end: the block reports it
            self._failure = error
