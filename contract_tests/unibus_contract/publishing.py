"""A producer that writes down what it does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict, Unpack, cast

from unibus.errors import DeadlineExceededError, UnibusError
from unibus.message import HeaderValue, Message
from unibus_contract import stamps
from unibus_contract.history import Event, Kind, Phase, body_digest, headers_digest
from unibus_contract.recorder import Recorder, describe, phase_of, phase_of_error
from unibus_contract.timing import Deadline

if TYPE_CHECKING:
    from unibus import Producer, Receipt


class MessageFields(TypedDict, total=False):
    """What a clause may say of a message; the body is a stamp unless it is named.

    With a ``body`` of its own, a message is recognised by its id, so that it gets one.
    ``size`` pads the stamp.
    """

    body: bytes | None
    size: int
    key: str | None
    routing_key: str | None
    headers: Mapping[str, HeaderValue] | None
    id: str | None
    delay_s: float | None
    ttl_s: float | None
    priority: int | None


@dataclass(slots=True)
class Sent:
    """One message handed to a producer: its logical id, itself, and its receipt."""

    message: str
    published: Message
    receipt: Receipt


class RecordingProducer:
    """Publishes stamped messages and notes what became of them; for one thread at a time.

    Attributes:
        raw: The producer itself, for what is not to be recorded.
        name: Its process in the history.
    """

    def __init__(self, recorder: Recorder, raw: Producer, topic: str, patience_s: float) -> None:
        self.raw = raw
        self.name = recorder.name("p")
        self._recorder = recorder
        self._topic = topic
        self._patience_s = patience_s
        self._open: list[tuple[Event, Receipt]] = []

    def publish(self, **fields: Unpack[MessageFields]) -> Sent:
        """Publish one message and do not wait for its outcome; ``confirm`` does.

        Raises:
            UnibusError: The publish itself was refused; noted as well.
        """
        name, message = self._stamped(fields)
        invoke = self._invoke(name, message)
        try:
            receipt = self.raw.publish(message.body, **_given(message))
        except UnibusError as error:
            self._complete(invoke, phase_of_error(error), error)
            raise
        self._open.append((invoke, receipt))
        return Sent(name, message, receipt)

    def send(self, count: int = 1, **fields: Unpack[MessageFields]) -> list[Sent]:
        """Publish *count* messages alike and wait until all have an outcome."""
        sent = [self.publish(**fields) for _ in range(count)]
        self.confirm()
        return sent

    def send_batch(self, each: Iterable[MessageFields]) -> list[str]:
        """Publish in one call and wait for the outcomes; returns the logical ids."""
        stamped = [self._stamped(fields) for fields in each]
        invokes = [self._invoke(name, message) for name, message in stamped]
        try:
            batch = self.raw.publish_many([message for _, message in stamped])
        except UnibusError as error:
            for invoke in invokes:
                self._complete(invoke, phase_of_error(error), error)
            raise
        self._open += zip(invokes, batch, strict=True)
        self.confirm()
        return [name for name, _ in stamped]

    def confirm(self, timeout_s: float | None = None) -> None:
        """Wait for the outcome of everything published, and note it; never raises for a failed one.

        What is undecided after *timeout_s* (the timing profile's patience) is noted as unknown.
        """
        deadline = Deadline(self._patience_s if timeout_s is None else timeout_s)
        pending, self._open = self._open, []
        for invoke, receipt in pending:
            try:
                outcome = receipt.wait(deadline.left_s)
            except DeadlineExceededError as error:
                self._complete(invoke, Phase.INFO, error)
            else:
                self._complete(invoke, phase_of(outcome), outcome.cause)

    def close(self, timeout_s: float | None = None) -> None:
        """Close the producer, then note the outcomes that were still open.

        Raises:
            UnibusError: As the producer's own close does.
        """
        try:
            self.raw.close(self._patience_s if timeout_s is None else timeout_s)
        finally:
            self.confirm(0.0)

    def _stamped(self, fields: MessageFields) -> tuple[str, Message]:
        of = self._recorder.stamp(self.name, fields.get("key"))
        has_body = "body" in fields
        body = fields.get("body") if has_body else stamps.write(of, fields.get("size", 0))
        identity = fields.get("id") or (f"{of.run}/{of.message}" if has_body else None)
        names = ("key", "routing_key", "headers")
        key, routing_key, headers = (fields.get(each) for each in names)
        message = Message(body, key, routing_key, headers, identity)  # type: ignore[arg-type]  # get() of a mixed TypedDict
        message.delay_s, message.ttl_s = fields.get("delay_s"), fields.get("ttl_s")
        message.priority = fields.get("priority")
        self._recorder.remember(of.message, message)
        return of.message, message

    def _invoke(self, name: str, message: Message) -> Event:
        return self._recorder.note(
            self.name,
            Kind.PUBLISH,
            Phase.INVOKE,
            message=name,
            destination=self._topic,
            key=message.key or "",
            routing_key=message.routing_key or "",
            n=int(name.rpartition("/")[2]),
            headers=headers_digest(message.headers),
            body=body_digest(message.body),
            identity=message.id or "",
        )

    def _complete(self, invoke: Event, phase: Phase, cause: BaseException | None) -> None:
        self._recorder.note(
            self.name,
            Kind.PUBLISH,
            phase,
            message=invoke.message,
            destination=invoke.destination,
            error=describe(cause),
        )


class _Given(TypedDict, total=False):
    key: str
    routing_key: str
    headers: Mapping[str, HeaderValue]
    id: str
    delay_s: float
    ttl_s: float
    priority: int


def _given(message: Message) -> _Given:
    names = ("key", "routing_key", "headers", "id", "delay_s", "ttl_s", "priority")
    values = ((name, getattr(message, name)) for name in names)
    return cast("_Given", {name: value for name, value in values if value is not None})
