"""The roles of an adapter and what the core gives it.

Rules for the data plane (``offer``, ``push``, ``take``, ``settle``, ``barrier``, ``pause``,
``resume``):

* it never blocks and does no I/O that waits on the caller's thread;
* it may be called from any thread and from inside any callback;
* the core holds no lock of its own while it calls, and the adapter holds none while it calls back.

Rules for the control plane (everything with ``timeout_s``): it may block, never longer than
``timeout_s`` (seconds, > 0) by more than 100 ms, and is not called from inside a callback.

An adapter never retries, never logs a body, key or header value, and lets the client library's own
exceptions escape: the core hands them to ``translate``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Literal, Protocol, Self

from unibus.capabilities import AcksLevel, Capabilities, Profile
from unibus.clock import Clock
from unibus.errors import UnibusError
from unibus.outcome import Outcome
from unibus.specs import Spec, Subscription, Topic
from unibus.spi.columns import Flow, Incoming, Lease, Outgoing, Verdict


class Link(Enum):
    """State of the way to the broker."""

    UP = "up"
    DOWN = "down"
    """Lost; the adapter is reconnecting by itself."""
    FATAL = "fatal"
    """Lost for good: the adapter has given up and the cause says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """What a topic or subscription was resolved to; see ``unibus.binding.resolve``.

    Attributes:
        spec: A topic: publish to it. A subscription, in ``open_receiver``: receive from it; in
            ``open_sender``: publish to this subscription alone (retry, redrive).
        profile: The adapter's profile that carries it.
        capabilities: What is promised in the end, emulations included.
        stack: Names of the emulations around the adapter's own object, innermost first.
        extra_specs: What these need declared beside *spec*.
    """

    spec: Topic | Subscription
    profile: Profile
    capabilities: Capabilities
    stack: tuple[str, ...] = ()
    extra_specs: tuple[Spec, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerIdentity:
    """Who answers: for reports and logs, never with credentials.

    Attributes:
        system: OpenTelemetry's ``messaging.system``: ``rabbitmq``, ``kafka``, ``aws_sqs``...
        version: The broker's own version; ``unknown`` if it does not say.
        client: The client library and its version, e.g. ``pika 1.4.4``.
        address: ``host:port`` or an account and region.
    """

    system: str
    version: str
    client: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One step from what is to what was asked for, in the broker's own words.

    Attributes:
        kind: ``create``, ``alter``, ``refuse`` (cannot be done) or ``danger`` (loses something).
        spec: What asked for it.
        text: One line for a person, e.g. ``declare queue orders.email (quorum)``.
        native: What ``apply`` needs to do it.
    """

    kind: Literal["create", "alter", "refuse", "danger"]
    spec: Spec
    text: str
    native: object = None


class Source(Protocol):
    """The core's outbox, handed to ``open_sender``. Thread-safe."""

    def pull(self) -> Outgoing | None:
        """Return the next batch in publishing order; ``None`` if there is none for now.

        From now on it counts as handed over; what was never pulled was certainly not sent. A batch
        keeps the binding's ``max_batch``. ``None`` means dry, window full, or key in flight:
        ``offer`` is called when that changes.
        """

    def completed(self, batch: Outgoing, first: int, count: int, outcome: Outcome) -> None:
        """Report the outcome of a range of a pulled batch.

        Each index exactly once, ascending within a batch; from any thread, also inside ``offer``.
        """

    def state(self, state: Link, cause: Exception | None) -> None:
        """Report that the way to the broker changed."""


class Sender(ABC):
    """Sends to one topic, or to one subscription alone."""

    @abstractmethod
    def offer(self) -> None:
        """There is something to pull that was not there before.

        May pull at once on this thread or wake the adapter's own; may be called in ``completed``.
        """

    @abstractmethod
    def push(self) -> None:
        """Somebody waits for what was pulled: do not linger."""

    @abstractmethod
    def close(self, timeout_s: float) -> None:
        """Stop pulling and complete what was pulled: wait for the broker, at most *timeout_s*.

        What is still open then is completed as rejected where it was provably not sent, else as
        unknown. Called once.
        """


class Events(Protocol):
    """The core's inbox, handed to ``open_receiver``. Thread-safe."""

    def ready(self) -> None:
        """There is something to take that was not there before; once a burst."""

    def verdicts(self) -> Sequence[Verdict]:
        """Return what was settled and not handed over yet; optional, on the adapter's own tick.

        It bounds the age of a settlement without a wake-up. Never overlaps with ``settle``.
        """

    def settled(self, ticket: object, first: int, count: int, outcome: Outcome) -> None:
        """Report the outcome of settlements; EXTEND is reported only when it failed.

        What nobody waits for any more is ignored.
        """

    def revoking(self, leases: Sequence[Lease], budget_s: float) -> None:
        """These leases are about to end: waits for running handlers, at most *budget_s*.

        May block; the adapter commits what was settled afterwards. *budget_s* is 0 while closing.
        """

    def lost(self, leases: Sequence[Lease], cause: Exception) -> None:
        """These leases have ended, and ``lost`` is set on each.

        Also by ``seek`` and ``pause(give_back=True)``; not by the receiver's own ``close``.
        """

    def state(self, state: Link, cause: Exception | None) -> None:
        """Report that the way to the broker changed."""


class Receiver(ABC):
    """Receives from one subscription."""

    @abstractmethod
    def take(self) -> Incoming | None:
        """Return what is there now, at most ``Flow.max_batch``; ``None`` if nothing is.

        After ``None``, ``Events.ready`` is called as soon as there is something.
        """

    @abstractmethod
    def settle(self, verdicts: Sequence[Verdict]) -> None:
        """Pass on decisions; each index is settled once, EXTEND excepted."""

    @abstractmethod
    def barrier(self) -> None:
        """Have what was reported ``sent`` reported as ``settled`` once the broker has it.

        What a log cannot have yet, since something before it is unsettled, is reported ``sent``
        again: nobody waits for it then, and it is settled later.
        """

    @abstractmethod
    def pause(self, give_back: bool = False) -> None:  # noqa: FBT001, FBT002  # one plain switch
        """Hold what is buffered and take in no more; with *give_back*, hand it back instead."""

    @abstractmethod
    def resume(self) -> None:
        """Take in again after ``pause``; safe to call when not paused."""

    def is_idle(self) -> bool:
        """Return whether the broker has given this receiver no share of the work (a standby)."""
        return False

    @abstractmethod
    def close(self, timeout_s: float) -> None:
        """Pass on what was settled, give back the rest in order, and release the handle.

        Called once; a ``take`` after it returns ``None``.
        """


class Adapter(ABC):
    """One connection to one broker."""

    @classmethod
    @abstractmethod
    def open(
        cls, url: str, options: Mapping[str, object], *, clock: Clock, timeout_s: float
    ) -> Self:
        """Connect and find out what the broker is.

        Raises:
            UnibusError: Already translated, naming host and cause and no secret:
                ``ConfigurationError`` for the URL or options, ``UnavailableError`` if nothing
                answers, ``PermissionDeniedError`` for the credentials.
        """

    @property
    @abstractmethod
    def profiles(self) -> Sequence[Profile]:
        """The profiles of this broker version, preferred ones first; constant once open."""

    @property
    @abstractmethod
    def identity(self) -> BrokerIdentity:
        """Who answers."""

    @property
    @abstractmethod
    def native(self) -> object:
        """The client library's own object, for programs that must reach it."""

    @abstractmethod
    def open_sender(
        self, binding: Binding, acks: AcksLevel, source: Source, *, timeout_s: float
    ) -> Sender:
        """Open a handle that pulls from *source* and sends to ``binding.spec``.

        Raises:
            Exception: Anything ``translate`` knows, e.g. that the topic does not exist.
        """

    @abstractmethod
    def open_receiver(
        self, binding: Binding, flow: Flow, events: Events, *, timeout_s: float
    ) -> Receiver:
        """Open a handle that receives from the subscription ``binding.spec``.

        It returns when the subscription is really being consumed, so that nothing published
        afterwards can be missed.
        """

    @abstractmethod
    def inspect(self, specs: Sequence[Spec], *, timeout_s: float) -> Sequence[Spec]:
        """Return those of *specs* that exist, as the broker has them."""

    @abstractmethod
    def plan(self, specs: Sequence[Spec], *, timeout_s: float) -> Sequence[Change]:
        """Return what would have to be done so that *specs* exist; empty if nothing."""

    @abstractmethod
    def apply(self, change: Change, *, timeout_s: float) -> None:
        """Do one planned change; doing it twice is doing it once, also from two processes."""

    @abstractmethod
    def translate(self, error: Exception) -> UnibusError:
        """Return the unibus error that means *error*; ``AdapterError`` if none does."""

    @abstractmethod
    def close(self, timeout_s: float) -> None:
        """Close the connection; every handle has been closed before. Called once."""


SeekTarget = datetime | str
"""``earliest``, ``latest``, an aware datetime, or a position as ``Incoming.position`` gives it."""


class SupportsSeek(ABC):
    """Role of a ``Receiver`` whose profile declares ``replay``."""

    @abstractmethod
    def seek(self, target: SeekTarget, *, timeout_s: float) -> None:
        """Go on reading at *target*; everything held now is lost by ``Events.lost``."""


class SupportsBacklog(ABC):
    """Role of an ``Adapter`` with a profile that declares ``backlog``."""

    @abstractmethod
    def backlog(self, binding: Binding, *, timeout_s: float) -> int:
        """Return how many messages wait for the subscription ``binding.spec``.

        Deliveries that are held and not settled are not counted.
        """


class SupportsDelete(ABC):
    """Role of an ``Adapter`` that can remove what it declared."""

    @abstractmethod
    def delete(self, spec: Spec, *, timeout_s: float) -> None:
        """Remove the topic or subscription and what waits in it; quiet if it does not exist."""


class SupportsPurge(ABC):
    """Role of an ``Adapter`` that can empty a subscription."""

    @abstractmethod
    def purge(self, binding: Binding, *, timeout_s: float) -> None:
        """Remove what waits; what is held by consumers stays held."""
