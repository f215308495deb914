"""What a taken batch and its deliveries need of the consumer they belong to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from unibus.engine.watches import Watches
from unibus.errors import LeaseLostError, UnibusError
from unibus.outcome import Outcome, OutcomeKind
from unibus.retry import Backoff, Random
from unibus.spi import Capabilities, VerdictKind

if TYPE_CHECKING:
    from unibus.engine.taken import Taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How a consumer treats its deliveries; the same for all of them.

    Attributes:
        subscription: The name of what they come from.
        capabilities: What is promised, emulations included.
        settles_first: At most once: acked and confirmed before they are handed out.
        backoff: How long a failed one waits.
        random: Where its jitter comes from.
        quarter: After how many settlements of a batch they are handed over.
    """

    subscription: str
    capabilities: Capabilities
    settles_first: bool
    backoff: Backoff
    random: Random
    quarter: int


class Tally:
    """Settlements that had no effect, or perhaps none, since somebody was told of them."""

    __slots__ = ("_causes", "_counts")

    def __init__(self) -> None:
        self._counts: dict[OutcomeKind, int] = {}
        self._causes: dict[OutcomeKind, UnibusError | None] = {}

    def add(self, count: int, outcome: Outcome) -> None:
        """Count *count* settlements that came to *outcome*."""
        if count:
            self._counts[outcome.kind] = self._counts.get(outcome.kind, 0) + count
            self._causes.setdefault(outcome.kind, outcome.cause)

    def error(self, subscription: str) -> UnibusError | None:
        """Return the error that says so; ``None`` if there is nothing to say."""
        lost = self._counts.get(OutcomeKind.LEASE_LOST)
        if not lost:
            return self._causes.get(OutcomeKind.UNKNOWN)
        error = LeaseLostError(
            f"{lost} settlements of {subscription} came after their lease had ended;"
            " the broker delivers those messages again"
        )
        error.__cause__ = self._causes[OutcomeKind.LEASE_LOST]
        return error


class Desk(Protocol):
    """Where settlements go."""

    @property
    def rules(self) -> Rules:
        """How this consumer treats its deliveries."""

    @property
    def tally(self) -> Tally:
        """Takes note of settlements without effect; its owner's lock is held."""

    @property
    def watches(self) -> Watches:
        """Conditions that somebody waits for."""

    @property
    def ended(self) -> Outcome | None:
        """What every settlement comes to once the consumer is closed; ``None`` before."""

    def marked(self, taken: Taken, index: int) -> None:
        """*index* was acked, and the batch asked to hear of it.

        Raises:
            AlreadySettledError: It had been settled in another way.
        """

    def ack_range(self, taken: Taken, first: int, stop: int) -> None:
        """Ack what is unsettled of a range, and hand it over."""

    def settle(
        self, taken: Taken, index: int, kind: VerdictKind, delay_s: float = 0.0, reason: str = ""
    ) -> None:
        """Settle *index* in another way than by ack, at once."""

    def flush_one(self, taken: Taken, index: int) -> Callable[[], bool]:
        """Hand over one batch, and ask for answers; the result says whether *index* has its own."""

    def extend(self, taken: Taken, index: int, lease_s: float) -> None:
        """Renew the lease of *index*."""
