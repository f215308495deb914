"""What became of a publish or of a settlement."""

from __future__ import annotations

from enum import Enum
from typing import Final

from typing_extensions import override

from unibus.errors import UnibusError


class OutcomeKind(Enum):
    """The words of the outcome; the first three are of a publish, the rest of a settlement."""

    ACCEPTED = "accepted"
    """The broker has taken responsibility, as far as ``acks`` and ``confirm`` say."""
    REJECTED = "rejected"
    """The message is certainly not at the broker; the cause says why and whether to retry."""
    UNKNOWN = "unknown"
    """It was handed over and nobody can tell whether it took effect. Also of a settlement."""
    SETTLED = "settled"
    """The broker has confirmed the settlement."""
    SENT = "sent"
    """The settlement is on its way to a broker that answers none; a barrier makes it settled."""
    LEASE_LOST = "lease lost"
    """The delivery was no longer ours; nothing was changed at the broker."""


class Outcome:
    """One result, shared by every message it holds for; compare ``kind``, not objects.

    Attributes:
        kind: What happened.
        cause: The error behind a rejected, unknown or lost one; ``None`` otherwise.
    """

    __slots__ = ("cause", "kind")

    def __init__(self, kind: OutcomeKind, cause: UnibusError | None = None) -> None:
        self.kind = kind
        self.cause = cause

    @property
    def retryable(self) -> bool:
        """Whether doing the same again may succeed."""
        return self.cause is not None and self.cause.retryable

    @override
    def __repr__(self) -> str:
        cause = f": {self.cause}" if self.cause is not None else ""
        return f"<{self.kind.value}{cause}>"


ACCEPTED: Final = Outcome(OutcomeKind.ACCEPTED)
SETTLED: Final = Outcome(OutcomeKind.SETTLED)
SENT: Final = Outcome(OutcomeKind.SENT)


def rejected(cause: UnibusError) -> Outcome:
    """Return the outcome of a publish that is certainly not at the broker."""
    return Outcome(OutcomeKind.REJECTED, cause)


def unknown(cause: UnibusError) -> Outcome:
    """Return the outcome of a publish or settlement that nobody can tell."""
    return Outcome(OutcomeKind.UNKNOWN, cause)


def lease_lost(cause: UnibusError) -> Outcome:
    """Return the outcome of a settlement that came after the lease."""
    return Outcome(OutcomeKind.LEASE_LOST, cause)
