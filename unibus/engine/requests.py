"""What may be asked of a consumer, checked before any I/O; and by one thread at a time."""

from __future__ import annotations

import threading
from datetime import datetime
from types import TracebackType

from unibus.errors import ConfigurationError, UnsupportedError
from unibus.spi import Capabilities, Receiver, Replay, SeekTarget, SupportsSeek


def check_receive(max_messages: int, timeout_s: float) -> None:
    """Refuse what ``receive`` cannot do.

    Raises:
        ConfigurationError: A number is out of its range.
    """
    if max_messages < 1:
        raise ConfigurationError(f"receive(max_messages={max_messages!r}): it has to be at least 1")
    if timeout_s < 0:
        raise ConfigurationError(
            f"receive(timeout_s={timeout_s!r}): it has to be 0, for what is there, or more"
        )


def check_seek(receiver: Receiver, capabilities: Capabilities, target: SeekTarget) -> SupportsSeek:
    """Return *receiver* as one that can go on at *target*.

    Raises:
        ConfigurationError: *target* is a naive datetime.
        UnsupportedError: The subscription cannot go back, or not in this way.
    """
    if isinstance(target, datetime):
        needed = Replay.TIME
        if target.tzinfo is None:
            raise ConfigurationError(
                "seek() to a naive datetime, which means another moment on another machine;"
                " give it a time zone, e.g. datetime.now(timezone.utc)"
            )
    elif target in ("earliest", "latest"):
        needed = Replay.EARLIEST
    else:
        needed = Replay.POSITION
    offered = capabilities.replay
    if not offered or offered.value < needed or not isinstance(receiver, SupportsSeek):
        raise UnsupportedError(
            f"seek() by {needed.name.lower()} is not offered: replay is"
            f" {offered.value.name.lower() if offered else 'none'}"
            f"{f' ({offered.how})' if offered.how else ''}; use a stream"
        )
    return receiver


class Turn:
    """Lets one thread at a time receive, as often nested as it likes."""

    __slots__ = ("_depth", "_lock", "_thread")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: int | None = None
        self._depth = 0

    def __enter__(self) -> None:
        """Take the turn.

        Raises:
            UnsupportedError: It is another thread's.
        """
        thread = threading.get_ident()
        with self._lock:
            if self._thread not in (None, thread):
                raise UnsupportedError(
                    "another thread receives from this consumer; use one consumer a thread, or"
                    " Consumer.run(handler, workers=...)"
                )
            self._thread = thread
            self._depth += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._depth -= 1
            if not self._depth:
                self._thread = None
