"""Runs something on a thread that is given up when its time is over."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable


class OverdueError(Exception):
    """It had not ended in time; the message says where it stood."""


def bounded(work: Callable[[], None], *, within_s: float, name: str) -> Exception | None:
    """Run *work* for at most *within_s*; return what it raised, or an ``OverdueError``.

    A thread that is given up goes on until the handles it waits on are closed under it.
    """
    raised: list[Exception] = []

    def run() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001  # a thread's end: the caller judges it
            raised.append(error)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    thread.join(within_s)
    if thread.is_alive():
        return OverdueError(f"not over after {within_s:g} s; it stood at {_place(thread)}")
    return raised[0] if raised else None


def _place(thread: threading.Thread) -> str:
    frames = sys._current_frames()  # noqa: SLF001  # the documented way to see another thread
    frame = frames.get(thread.ident or 0)
    lines = traceback.extract_stack(frame) if frame is not None else []
    return " > ".join(f"{each.filename.rpartition('/')[2]}:{each.lineno}" for each in lines[-5:])
