"""How much may be under way at once, and who waits until it is less."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from unibus.engine.waiting import Wake
from unibus.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a producer may have under way, and for how long.

    Attributes:
        window: Messages without an outcome, at most.
        window_bytes: Their bodies and headers; overshot by one batch at most.
        timeout_s: After this, a message that was not pulled is rejected, another one unknown.
    """

    window: int = 4000
    window_bytes: int = 64 << 20
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        for name, value in (
            ("window", self.window),
            ("window_bytes", self.window_bytes),
            ("timeout_s", self.timeout_s),
        ):
            if not 0 < value < inf:
                raise ConfigurationError(f"{name} is {value!r}; it has to be greater than 0")


class Window:
    """Counts what is under way. Not thread-safe: the outbox's lock is held around every call.

    Who finds it full waits until three quarters are answered: for two threads, few long turns cost
    less than many short ones.
    """

    __slots__ = ("_limits", "_waiters", "bytes", "messages")

    def __init__(self, limits: Limits) -> None:
        self.messages = 0
        self.bytes = 0
        self._limits = limits
        self._waiters: list[Wake] = []

    @property
    def free(self) -> int:
        """How many more messages may be taken now."""
        if self.bytes >= self._limits.window_bytes:
            return 0
        return self._limits.window - self.messages

    @property
    def is_open(self) -> bool:
        """Whether those who found it full may try again."""
        return (
            self.messages <= self._limits.window // 4
            and self.bytes <= self._limits.window_bytes // 4
        )

    def take(self, messages: int, size: int) -> None:
        """Count *messages* of *size* bytes in all."""
        self.messages += messages
        self.bytes += size

    def give_back(self, messages: int, size: int) -> None:
        """Count them no more."""
        self.messages -= messages
        self.bytes -= size

    def add_waiter(self, wake: Wake) -> None:
        """Have ``due`` return *wake* once the window is open."""
        self._waiters.append(wake)

    def due(self, *, everyone: bool = False) -> list[Wake]:
        """Return the waiters to call now, each only once."""
        if not self._waiters or not (everyone or self.is_open):
            return []
        waiters, self._waiters = self._waiters, []
        return waiters
