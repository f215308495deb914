"""One running broker, and the faults it can be given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import ClassVar
from urllib.parse import urlsplit, urlunsplit

from unibus.errors import UnsupportedError

START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 30.0


class Broker(ABC):
    """A broker that runs, or ran: it can be stopped and started again with its data and ports.

    What a rung of the ladder cannot do raises UnsupportedError and changes nothing.
    """

    rung: ClassVar[str]
    """The rung of the ladder it stands on."""

    evidence: ClassVar[str] = "real broker"
    """What a test on it proves something about."""

    @property
    @abstractmethod
    def kind(self) -> str:
        """Such as ``rabbitmq``."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What ``unibus broker down`` calls it."""

    @property
    @abstractmethod
    def url(self) -> str:
        """Where programs connect, credentials included."""

    @property
    @abstractmethod
    def management_url(self) -> str:
        """The root of its HTTP management interface, credentials included; maybe empty."""

    @property
    @abstractmethod
    def version(self) -> str:
        """What the broker itself said when it was started, such as ``4.3.6``."""

    @property
    def shown_url(self) -> str:
        """The URL without its password, to be shown."""
        return redacted(self.url)

    @property
    def pid(self) -> int | None:
        """The process of the broker itself; None when it does not run on this machine."""
        return None

    @property
    @abstractmethod
    def is_running(self) -> bool:
        """Whether its process is alive; a paused one is."""

    @abstractmethod
    def kill(self) -> None:
        """End it as a crash would (SIGKILL) and wait until it is gone."""

    @abstractmethod
    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stay up, nothing is answered."""

    @abstractmethod
    def resume(self) -> None:
        """Let it go on after ``pause``."""

    @abstractmethod
    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Shut it down in an orderly way and wait until it is gone; the data stay."""

    @abstractmethod
    def start(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Start it again on the same ports with the same data; return when it answers.

        Raises:
            UnavailableError: It did not answer within *timeout_s*; the end of its log is said.
        """

    def restart(self) -> None:
        """Stop it in an orderly way and start it again."""
        self.stop()
        self.start()

    @abstractmethod
    def ctl(self, *arguments: str, timeout_s: float = 30.0) -> str:
        """Run the broker's own administration command and return what it printed.

        Raises:
            UnavailableError: It failed, or took longer than *timeout_s*.
        """

    @abstractmethod
    def log(self, lines: int = 40) -> str:
        """Return the last *lines* of its log."""

    def memory_alarm(self) -> AbstractContextManager[None]:
        """Let the broker believe that it is out of memory while the block runs."""
        raise UnsupportedError(f"{self.kind} has no memory alarm that can be triggered")

    @abstractmethod
    def destroy(self) -> None:
        """End it at once and leave nothing: no process, no folder. Safe to call twice."""


def redacted(url: str) -> str:
    """Return *url* with its password replaced by ``***``."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}:***@{host}"))
