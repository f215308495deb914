"""How long to wait before trying again; pure, the random source is handed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from unibus.errors import ConfigurationError

Random = Callable[[], float]
"""Returns a number from 0 to less than 1, as ``random.random`` does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Waiting times that grow from failure to failure, up to a limit.

    Attributes:
        initial_s: Before the second try, in seconds.
        factor: By how much each wait is longer than the one before; 1 keeps it constant.
        max_s: Longest wait, in seconds.
        jitter: Share of a wait that is left to chance, 0 to 1, so that those who failed together
            do not come back together. It only shortens a wait.
    """

    initial_s: float = 0.5
    factor: float = 2.0
    max_s: float = 60.0
    jitter: float = 0.5

    def __post_init__(self) -> None:
        if self.initial_s < 0 or self.max_s < self.initial_s:
            raise ConfigurationError(
                f"Backoff from {self.initial_s!r} s to {self.max_s!r} s;"
                " it needs 0 <= initial_s <= max_s"
            )
        if self.factor < 1:
            raise ConfigurationError(f"Backoff factor is {self.factor!r}; it has to be at least 1")
        if not 0 <= self.jitter <= 1:
            raise ConfigurationError(f"Backoff jitter is {self.jitter!r}; it has to be 0 to 1")

    def delay_s(self, failures: int, random: Random) -> float:
        """Return how many seconds to wait after *failures* failures in a row (at least 1)."""
        return self._full_s(failures) * (1 - self.jitter * random())

    def _full_s(self, failures: int) -> float:
        try:
            return min(self.max_s, self.initial_s * self.factor ** (failures - 1))
        except OverflowError:  # a float power overflows after about a thousand failures
            return self.max_s
