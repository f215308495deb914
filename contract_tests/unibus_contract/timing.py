"""How long things may take with one broker: the suite's only numbers of seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingProfile:
    """Seconds; a slow machine or a far broker is met by ``stretched``, not by editing clauses.

    Attributes:
        patience_s: What should happen has happened after this long.
        quiet_s: What has not happened after this long is taken not to happen.
        lease_s: A lease short enough to wait for, where the broker lets one be chosen.
        delay_s: A delay long enough to be told from none.
        recovery_s: After a fault has ended, everything works again after this long.
        settle_s: What was declared this long ago survives a crash.
        slack_s: A call returns this long after its deadline at the latest.
    """

    patience_s: float = 3.0
    quiet_s: float = 0.15
    lease_s: float = 0.6
    delay_s: float = 0.4
    recovery_s: float = 10.0
    settle_s: float = 0.0
    slack_s: float = 0.5

    def stretched(self, factor: float) -> TimingProfile:
        """Return the same with every wait for something that happens *factor* times as long."""
        return TimingProfile(
            patience_s=self.patience_s * factor,
            quiet_s=self.quiet_s * factor,
            lease_s=self.lease_s * factor,
            delay_s=self.delay_s * factor,
            recovery_s=self.recovery_s * factor,
            settle_s=self.settle_s * factor,
            slack_s=self.slack_s * factor,
        )


class Deadline:
    """One budget of seconds that several steps share."""

    __slots__ = ("_at",)

    def __init__(self, within_s: float) -> None:
        self._at = time.monotonic() + within_s

    @property
    def left_s(self) -> float:
        """What is left of it, never less than 0."""
        return max(0.0, self._at - time.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether nothing is left."""
        return time.monotonic() >= self._at


_TICK_S = 0.005
_PACE = threading.Event()  # never set: waiting for it is waiting for the time to pass


def eventually(predicate: Callable[[], object], *, within_s: float) -> bool:
    """Return whether *predicate* became true within *within_s*, asking it again and again."""
    deadline = Deadline(within_s)
    while not predicate():
        if deadline.is_over:
            return bool(predicate())
        _PACE.wait(_TICK_S)
    return True
