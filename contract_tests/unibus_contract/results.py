"""What became of each clause, as it is reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class Status(StrEnum):
    """The only words for it; nothing is ever skipped."""

    PASS = "PASS"  # noqa: S105  # the word of the report, no password
    FAIL = "FAIL"
    FLAKY = "FLAKY"
    """Runs of it differ."""
    REFUSED = "REFUSED"
    """Not promised, and asking for it was refused with a typed error before any I/O."""
    DEVIATES = "DEVIATES"
    """It fails as declared: reason, link and expiry stand in a ``deviations.toml``."""
    UNVERIFIED = "UNVERIFIED"
    """It passed where its pass proves nothing about the real broker."""
    NOT_RUN = "NOT RUN"


GOOD = frozenset({Status.PASS, Status.REFUSED, Status.DEVIATES})


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One clause on one profile.

    Attributes:
        clause: Its id.
        status: How it went.
        reason: Why, for everything but a pass.
        seconds: How long it took, all its runs together.
        is_due: Whether the profile has to keep it.
        is_violation: The failure is a counter-example, not a broken set-up or a timeout.
        runs: How often it was run.
    """

    clause: str
    status: Status
    reason: str = ""
    seconds: float = 0.0
    is_due: bool = True
    is_violation: bool = False
    runs: int = 1

    @property
    def is_good(self) -> bool:
        """Whether nothing has to be done about it."""
        return self.status in GOOD or (self.status is Status.NOT_RUN and not self.is_due)


def merge(runs: Sequence[Result]) -> Result:
    """Return one result for several runs of the same clause; flaky if they differ."""
    seconds = sum(each.seconds for each in runs)
    found = {each.status for each in runs}
    if len(found) == 1:
        return replace(runs[0], seconds=seconds, runs=len(runs))
    told = [f"run {index}: {each.status} {each.reason}" for index, each in enumerate(runs, 1)]
    return replace(
        runs[0],
        status=Status.FLAKY,
        reason="; ".join(told),
        seconds=seconds,
        runs=len(runs),
        is_violation=any(each.is_violation for each in runs),
    )
