"""What the promises leave open, and who decides it: nobody in particular, or an adversary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import Enum
from random import Random
from typing import Final, TypeVar

from typing_extensions import override

T = TypeVar("T")


class Freedom(Enum):
    """Something that a broker may do at any time without breaking a promise."""

    SHORT = "hands out less than what waits"
    REORDER = "hands out something else first, where no order is promised"
    REPEAT = "hands out a message twice, where it may"
    LATE = "lets a consumer wait before it tells of a message"
    DISCONNECT = "loses a consumer, and with it what it holds"
    RESTART = "goes down and comes up again"
    UNANSWERED = "stores a batch and loses the answer"
    UNSTORED = "loses a batch on its way, and nobody knows"
    UNSETTLED = "has not got a settlement that was sent when the consumer is lost"
    INEXACT = "counts about as many as wait, where it does not count exactly"


class Chooser:
    """Uses no freedom: what waits is handed out at once, in order, as much as fits.

    Attributes:
        seed: What it chooses by; ``None`` if it does not.
    """

    seed: int | None = None

    def uses(self, freedom: Freedom) -> bool:  # noqa: ARG002  # to be overridden
        """Return whether to use *freedom* now."""
        return False

    def size(self, limit: int) -> int:
        """Return how many to hand out of *limit*; at least 1."""
        return limit

    def ordered(self, items: Iterable[T]) -> list[T]:
        """Return *items* in the order in which they go, where none is promised."""
        return list(items)

    def near(self, count: int) -> int:
        """Return what to say of *count* where it need not be exact."""
        return count

    def delay_s(self) -> float:
        """Return how late to be when late."""
        return 0.0


PLAIN: Final = Chooser()

_ODDS: Final = {
    Freedom.SHORT: 0.3,
    Freedom.REORDER: 0.3,
    Freedom.REPEAT: 0.05,
    Freedom.LATE: 0.2,
    Freedom.DISCONNECT: 0.02,
    Freedom.RESTART: 0.004,
    Freedom.UNANSWERED: 0.02,
    Freedom.UNSTORED: 0.02,
    Freedom.UNSETTLED: 0.2,
    Freedom.INEXACT: 0.5,
}
_LATEST_S: Final = 0.01


class Adversary(Chooser):
    """Uses every freedom now and then, the same for the same seed and the same calls.

    Attributes:
        used: How often it used which.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.used: Counter[Freedom] = Counter()
        self._random = Random(seed)  # noqa: S311  # to be had again by its seed

    @override
    def uses(self, freedom: Freedom) -> bool:
        is_used = self._random.random() < _ODDS[freedom]
        self.used[freedom] += is_used
        return is_used

    @override
    def size(self, limit: int) -> int:
        if limit < 2 or not self.uses(Freedom.SHORT):  # noqa: PLR2004  # one cannot be shortened
            return limit
        return self._random.randint(1, limit - 1)

    @override
    def ordered(self, items: Iterable[T]) -> list[T]:
        found = list(items)
        if len(found) > 1 and self.uses(Freedom.REORDER):
            self._random.shuffle(found)
        return found

    @override
    def near(self, count: int) -> int:
        if not self.uses(Freedom.INEXACT):
            return count
        return max(0, count + self._random.randint(-count // 4 - 1, count // 4 + 1))

    @override
    def delay_s(self) -> float:
        return self._random.random() * _LATEST_S


def chooser_of(seed: int | None) -> Chooser:
    """Return the adversary of *seed*, or the chooser that uses no freedom."""
    return PLAIN if seed is None else Adversary(seed)
