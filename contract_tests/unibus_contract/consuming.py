"""A consumer that writes down what it gets and what it does with it."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from unibus.errors import ClosedError, MessageRejectedError, UnibusError
from unibus.outcome import OutcomeKind
from unibus_contract.checkers.dead_letter import provenance
from unibus_contract.history import Event, Kind, Phase, Scope, body_digest, headers_digest
from unibus_contract.recorder import Recorder, describe, phase_of, phase_of_error
from unibus_contract.stamps import Stamp
from unibus_contract.timing import Deadline, TimingProfile

if TYPE_CHECKING:
    from unibus import Consumer, Delivery

_LOG = logging.getLogger("unibus.contract")
_TAKE = 100


class Held:
    """One delivery in hand: settles the real one and notes it.

    Attributes:
        raw: The delivery itself.
        event: How it came.
        message: Its logical id.
    """

    __slots__ = ("_consumer", "event", "message", "raw")

    def __init__(self, consumer: RecordingConsumer, raw: Delivery, event: Event) -> None:
        self._consumer = consumer
        self.raw = raw
        self.event = event
        self.message = event.message

    def ack(self) -> None:
        """Settle it as done."""
        self._consumer.settle(self, Kind.ACK, self.raw.ack)

    def nack(self, delay_s: float = 0.0) -> None:
        """Settle it as failed, to be had again after *delay_s*."""
        self._consumer.settle(self, Kind.NACK, lambda: self.raw.nack(delay_s))

    def release(self) -> None:
        """Give it back unhandled."""
        self._consumer.settle(self, Kind.RELEASE, self.raw.release)

    def reject(self, reason: str = "") -> None:
        """Settle it as impossible to handle."""
        self._consumer.settle(self, Kind.REJECT, lambda: self.raw.reject(reason), reason)

    def extend(self, lease_s: float) -> None:
        """Keep it for *lease_s* more."""
        self._consumer.settle(self, Kind.EXTEND, lambda: self.raw.extend(lease_s))


Handler = Callable[[Held], None]


def acked(held: Held) -> None:
    """Handle a delivery by acknowledging it: the handler that clauses use by default."""
    held.ack()


def _by_the_consumer() -> None:
    """Settle nothing: the consumer does so next."""


class RecordingConsumer:
    """Receives, settles and notes both; for one thread at a time.

    Sentinels and messages of other runs are settled at once and never seen by a clause.

    Attributes:
        raw: The consumer itself, for what is not to be recorded.
        name: Its process in the history.
        subscription: The name of what it reads.
    """

    def __init__(
        self, recorder: Recorder, raw: Consumer, scope: Scope, timing: TimingProfile
    ) -> None:
        self.raw = raw
        self.name = recorder.name("c")
        self.subscription = scope.subscription
        self._topic = scope.topic
        self._recorder = recorder
        self._timing = timing
        self._leases = itertools.count(1)
        self._open: list[tuple[Event, Held]] = []
        recorder.note(self.name, Kind.JOIN, Phase.OK, subscription=scope.subscription)

    def take(self, count: int = 1, *, timeout_s: float | None = None) -> list[Held]:
        """Return up to *count* deliveries, as soon as there are as many, or when time is up.

        *timeout_s* is the timing profile's patience by default. Fewer than *count* is no error
        here: say what it means with ``require``.
        """
        deadline = Deadline(self._timing.patience_s if timeout_s is None else timeout_s)
        found: list[Held] = []
        while len(found) < count:
            found += self.receive(count - len(found), timeout_s=deadline.left_s)
            if deadline.is_over:
                break
        return found

    def receive(self, max_messages: int = _TAKE, *, timeout_s: float) -> list[Held]:
        """Return what one ``receive`` of the consumer gives, noted, without sentinels."""
        batch = self.raw.receive(max_messages, timeout_s=timeout_s)
        return [held for each in batch if (held := self._hold(each)) is not None]

    def run(self, handler: Handler, *, workers: int = 1, stop: threading.Event) -> None:
        """Have ``Consumer.run`` call *handler*, which settles nothing, until *stop* is set.

        A delivery is noted when its handler begins, and as acked or nacked when it ends.
        """

        def handle(raw: Delivery) -> None:
            held = self._hold(raw)
            if held is None:
                return
            try:
                handler(held)
            except Exception:
                self.settle(held, Kind.NACK, _by_the_consumer)
                raise
            self.settle(held, Kind.ACK, _by_the_consumer)

        self.raw.run(handle, workers=workers, stop=stop)

    def __iter__(self) -> Iterator[Held]:
        """Hand out what iterating over the consumer gives, noted, until it is closed."""
        return (held for each in self.raw if (held := self._hold(each)) is not None)

    def is_quiet(self, for_s: float | None = None) -> bool:
        """Return whether nothing comes for *for_s*, the profile's quiet time by default."""
        within_s = self._timing.quiet_s if for_s is None else for_s
        return not self.take(1, timeout_s=within_s)

    def settle(
        self, held: Held, kind: Kind, settlement: Callable[[], None], reason: str = ""
    ) -> None:
        """Note *kind*, make the *settlement*, and keep it for ``settled`` to note its outcome.

        Raises:
            UnibusError: The settlement itself was refused; noted as well.
        """
        invoke = self._note(held, kind, Phase.INVOKE, reason)
        try:
            settlement()
        except UnibusError as error:
            self._note(held, kind, phase_of_error(error), describe(error))
            raise
        if kind is not Kind.EXTEND:
            self._open.append((invoke, held))

    def settled(self, timeout_s: float | None = None) -> None:
        """Wait until the broker has every settlement, and note how each ended.

        Never raises for one that came too late or has no answer: that is noted.
        """
        limit_s = self._timing.patience_s if timeout_s is None else timeout_s
        try:
            self.raw.flush(limit_s)
        except ClosedError:
            raise
        except UnibusError as error:
            _LOG.debug("%s flush: %s", self.name, error)
        finally:
            self._note_outcomes()

    def close(self, timeout_s: float | None = None) -> None:
        """Close the consumer and note it; whatever it holds is given back."""
        self._recorder.note(self.name, Kind.CLOSE, Phase.INVOKE, subscription=self.subscription)
        try:
            self.raw.close(self._timing.patience_s if timeout_s is None else timeout_s)
        finally:
            self._note_outcomes()
            self._recorder.note(self.name, Kind.CLOSE, Phase.OK, subscription=self.subscription)

    def crashed(self) -> None:
        """Note that this consumer was torn away without a word; whoever did it calls this."""
        self._recorder.note(self.name, Kind.CRASH, Phase.INFO, subscription=self.subscription)
        self._open.clear()

    def _note_outcomes(self) -> None:
        pending, self._open = self._open, []
        for invoke, held in pending:
            outcome = held.raw.outcome
            cause = None if outcome is None else outcome.cause
            if outcome is not None and outcome.kind is OutcomeKind.SENT:
                self._note(held, invoke.kind, Phase.INFO, "sent")
            else:
                self._note(held, invoke.kind, phase_of(outcome), describe(cause))

    def _hold(self, raw: Delivery) -> Held | None:
        try:
            return self._recognised(raw)
        except MessageRejectedError as error:  # nobody can read its headers
            raw.reject("undecodable")
            self._recorder.note(
                self.name,
                Kind.DELIVER,
                Phase.FAIL,
                message="undecodable",
                subscription=self.subscription,
                lease=f"{self.name}#undecodable",
                error=describe(error),
            )
            return None

    def _recognised(self, raw: Delivery) -> Held | None:
        found = self._recorder.recognise(raw.body, raw.id)
        if not isinstance(found, str):
            raw.ack()
            if isinstance(found, Stamp):
                self._recorder.saw_sentinel(self.subscription, found.n)
            return None
        event = self._recorder.note(
            self.name,
            Kind.DELIVER,
            Phase.INFO,
            message=found,
            destination=self._topic,
            subscription=self.subscription,
            key=raw.key or "",
            routing_key=raw.routing_key or "",
            lease=f"{self.name}#{next(self._leases)}",
            attempt=-1 if raw.attempt is None else raw.attempt,
            headers=headers_digest(raw.headers),
            body=body_digest(raw.body),
            identity=raw.id,
            death=_told(raw),
        )
        return Held(self, raw, event)

    def _note(self, held: Held, kind: Kind, phase: Phase, error: str) -> Event:
        return self._recorder.note(
            self.name,
            kind,
            phase,
            message=held.message,
            destination=self._topic,
            subscription=self.subscription,
            lease=held.event.lease,
            error=error,
        )


def _told(raw: Delivery) -> str:
    death = raw.dead_letter
    if death is None:
        return ""
    attempts = -1 if death.attempts is None else death.attempts
    return provenance(
        death.reason, death.detail, death.topic or "", death.subscription or "", attempts
    )
