"""Work of a clause that goes on while the clause itself does something else."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

_STILL = 3
"""After so many looks at the same place a thread is taken to wait there."""


class Beside:
    """Runs *work* on a thread of its own, from now on.

    Attributes:
        error: What it raised; ``None`` while it runs and when it ended well.
    """

    def __init__(self, work: Callable[[], object], name: str = "beside") -> None:
        self.error: BaseException | None = None
        self._work = work
        self._place: tuple[int, int] | None = None
        self._looks = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def ended(self, within_s: float) -> bool:
        """Return whether it has ended within *within_s*, well or not."""
        self._thread.join(within_s)
        return not self._thread.is_alive()

    @property
    def waits(self) -> bool:
        """Whether it stands where it stood at the last looks; to be asked again and again."""
        frame = sys._current_frames().get(self._thread.ident or 0)  # noqa: SLF001  # the documented way to see another thread
        place = None if frame is None else (id(frame), frame.f_lasti)
        self._looks = self._looks + 1 if place is not None and place == self._place else 0
        self._place = place
        return self._looks >= _STILL

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001  # a thread's end: the clause judges it
            self.error = error


def together(*works: Callable[[], object]) -> list[Beside]:
    """Start all of *works* at the same moment, each on a thread of its own."""
    gate = threading.Barrier(len(works))

    def behind_the_gate(work: Callable[[], object]) -> Callable[[], object]:
        def run() -> None:
            gate.wait()
            work()

        return run

    return [Beside(behind_the_gate(each)) for each in works]
