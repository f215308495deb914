from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence

from typing_extensions import override

from unibus.errors import (
    AdapterError,
    ConnectionLostError,
    LeaseLostError,
    PermissionDeniedError,
    UnibusError,
)
from unibus.message import Message
from unibus.outcome import ACCEPTED, SETTLED, Outcome, OutcomeKind
from unibus.spi import (
    Flow,
    Incoming,
    Lease,
    LeaseRange,
    Link,
    Outgoing,
    ThreadedReceiver,
    ThreadedSender,
    Verdict,
    VerdictKind,
)

PATIENCE_S = 5.0
ACK = VerdictKind.ACK


def _translate(error: Exception) -> UnibusError:
    return error if isinstance(error, UnibusError) else AdapterError(str(error))


class _Outbox:
    def __init__(self, *sizes: int) -> None:
        self.batches = deque(Outgoing([b""] * size) for size in sizes)
        self.reports: queue.Queue[tuple[int, int, Outcome]] = queue.Queue()

    def pull(self) -> Outgoing | None:
        return self.batches.popleft() if self.batches else None

    def completed(self, batch: Outgoing, first: int, count: int, outcome: Outcome) -> None:
        assert batch.bodies
        self.reports.put((first, count, outcome))

    def state(self, state: Link, cause: Exception | None) -> None:
        pass


class _Sender(ThreadedSender):
    def __init__(
        self,
        outbox: _Outbox,
        send: Callable[[Outgoing], Sequence[Outcome]],
        requests: int = 1,
    ) -> None:
        super().__init__(outbox, _translate, requests=requests)
        self._send = send

    @override
    def send_batch(self, outgoing: Outgoing) -> Sequence[Outcome]:
        return self._send(outgoing)


def test_outcomes_of_a_batch_are_reported_in_ranges_that_ascend() -> None:
    outbox = _Outbox(4)
    bad = Outcome(OutcomeKind.REJECTED)
    sender = _Sender(outbox, lambda _: [ACCEPTED, ACCEPTED, bad, ACCEPTED])

    sender.offer()

    reports = [outbox.reports.get(timeout=PATIENCE_S) for _ in range(3)]
    assert reports == [(0, 2, ACCEPTED), (2, 1, bad), (3, 1, ACCEPTED)]
    sender.close(PATIENCE_S)


def test_an_offer_does_not_wait_and_several_batches_are_under_way() -> None:
    outbox = _Outbox(1, 1)
    both_there = threading.Barrier(2)

    def send(outgoing: Outgoing) -> Sequence[Outcome]:
        both_there.wait(PATIENCE_S)
        return [ACCEPTED] * len(outgoing)

    sender = _Sender(outbox, send, requests=2)
    sender.offer()

    assert [outbox.reports.get(timeout=PATIENCE_S)[2] for _ in range(2)] == [ACCEPTED] * 2
    sender.close(PATIENCE_S)


def test_an_error_is_unknown_only_if_its_translation_says_so() -> None:
    errors = deque([ConnectionLostError("cut"), PermissionDeniedError("no")])

    def send(_outgoing: Outgoing) -> Sequence[Outcome]:
        raise errors.popleft()

    outbox = _Outbox(2, 2)
    sender = _Sender(outbox, send)
    sender.offer()

    reports = [outbox.reports.get(timeout=PATIENCE_S) for _ in range(2)]
    assert [(count, outcome.kind) for _, count, outcome in reports] == [
        (2, OutcomeKind.UNKNOWN),
        (2, OutcomeKind.REJECTED),
    ]
    sender.close(PATIENCE_S)


def test_closing_completes_what_got_no_answer_once() -> None:
    outbox = _Outbox(3)
    under_way, answered = threading.Event(), threading.Event()

    def send(outgoing: Outgoing) -> Sequence[Outcome]:
        under_way.set()
        answered.wait(PATIENCE_S)
        return [ACCEPTED] * len(outgoing)

    sender = _Sender(outbox, send)
    sender.offer()
    under_way.wait(PATIENCE_S)
    sender.close(0.01)
    answered.set()
    sender._crew.close(PATIENCE_S)

    first, count, outcome = outbox.reports.get_nowait()
    assert (first, count, outcome.kind) == (0, 3, OutcomeKind.UNKNOWN)
    assert outbox.reports.empty()


class _Batch(Incoming):
    def __init__(self, name: str, size: int) -> None:
        super().__init__(name)
        self.size = size
        self.lease_held = Lease(name)

    @override
    def __len__(self) -> int:
        return self.size

    @override
    def bodies(self) -> Sequence[bytes | None]:
        return [b""] * self.size

    @override
    def message(self, index: int) -> Message:
        return Message(b"", id=f"{self.ticket}:{index}")

    @override
    def attempt(self, index: int) -> int | None:
        return 1

    @override
    def position(self, index: int) -> str | None:
        return None

    @override
    def native(self, index: int) -> object:
        return None

    @override
    def leases(self) -> Sequence[LeaseRange]:
        return [LeaseRange(0, self.size, self.lease_held)]


class _Inbox:
    def __init__(self) -> None:
        self.is_ready = threading.Event()
        self.settlements: queue.Queue[tuple[object, int, int, OutcomeKind]] = queue.Queue()
        self.states: queue.Queue[Link] = queue.Queue()
        self.ended: list[Lease] = []

    def ready(self) -> None:
        self.is_ready.set()

    def verdicts(self) -> Sequence[Verdict]:
        return ()

    def settled(self, ticket: object, first: int, count: int, outcome: Outcome) -> None:
        self.settlements.put((ticket, first, count, outcome.kind))

    def revoking(self, leases: Sequence[Lease], budget_s: float) -> None:
        pass

    def lost(self, leases: Sequence[Lease], cause: Exception) -> None:
        self.ended += leases

    def state(self, state: Link, cause: Exception | None) -> None:
        self.states.put(state)


class _Receiver(ThreadedReceiver):
    def __init__(self, inbox: _Inbox, flow: Flow) -> None:
        super().__init__(flow, inbox, _translate)
        self.asked: queue.Queue[int] = queue.Queue()
        self.arriving: queue.Queue[Incoming | Exception | None] = queue.Queue()
        self.passed: queue.Queue[tuple[VerdictKind, object, int, int]] = queue.Queue()

    @override
    def fetch(self, max_messages: int, wait_s: float) -> Incoming | None:
        self.asked.put(max_messages)
        arrived = self.arriving.get(timeout=PATIENCE_S)
        if isinstance(arrived, Exception):
            raise arrived
        return arrived

    @override
    def settle_batch(self, verdicts: Sequence[Verdict]) -> Sequence[Outcome]:
        for each in verdicts:
            self.passed.put((each.kind, each.ticket, each.first, each.count))
        return [SETTLED] * len(verdicts)

    def next_asked(self) -> int:
        return self.asked.get(timeout=PATIENCE_S)

    def end(self) -> None:
        self.arriving.put(None)
        self.close(PATIENCE_S)


def test_no_more_is_fetched_than_may_be_unsettled() -> None:
    inbox = _Inbox()
    receiver = _Receiver(inbox, Flow(max_batch=3, max_unsettled=4))
    receiver.start()
    assert receiver.next_asked() == 3
    receiver.arriving.put(_Batch("a", 3))
    assert receiver.next_asked() == 1
    receiver.arriving.put(_Batch("b", 1))
    inbox.is_ready.wait(PATIENCE_S)

    receiver.settle([Verdict("a", 0, 2, ACK)])

    assert receiver.next_asked() == 2
    assert inbox.settlements.get(timeout=PATIENCE_S) == ("a", 0, 2, OutcomeKind.SETTLED)
    receiver.end()


def test_a_lost_lease_makes_room_once() -> None:
    inbox = _Inbox()
    receiver = _Receiver(inbox, Flow(max_batch=2, max_unsettled=2))
    receiver.start()
    batch = _Batch("a", 2)
    receiver.next_asked()
    receiver.arriving.put(batch)
    inbox.is_ready.wait(PATIENCE_S)

    receiver.lose([batch.lease_held], LeaseLostError("gone"))
    receiver.settle([Verdict("a", 0, 2, ACK)])

    assert receiver.next_asked() == 2
    assert inbox.ended == [batch.lease_held]
    inbox.settlements.get(timeout=PATIENCE_S)
    assert receiver._room == 0
    receiver.end()


def test_a_broken_fetch_is_reported_and_tried_again() -> None:
    inbox = _Inbox()
    receiver = _Receiver(inbox, Flow())
    receiver.start()
    receiver.arriving.put(ConnectionLostError("cut"))
    receiver.arriving.put(_Batch("a", 1))

    assert inbox.states.get(timeout=PATIENCE_S) is Link.DOWN
    assert inbox.states.get(timeout=PATIENCE_S) is Link.UP
    receiver.end()


def test_an_error_that_stays_ends_the_fetching() -> None:
    inbox = _Inbox()
    receiver = _Receiver(inbox, Flow())
    receiver.start()
    receiver.arriving.put(PermissionDeniedError("no"))

    assert inbox.states.get(timeout=PATIENCE_S) is Link.FATAL
    receiver.end()


def test_closing_gives_back_what_nobody_took_also_if_it_comes_late() -> None:
    inbox = _Inbox()
    receiver = _Receiver(inbox, Flow(max_batch=1))
    receiver.start()
    receiver.arriving.put(_Batch("early", 1))
    inbox.is_ready.wait(PATIENCE_S)
    receiver.next_asked()
    receiver.next_asked()
    closing = threading.Thread(target=receiver.close, args=(PATIENCE_S,))
    closing.start()

    early = receiver.passed.get(timeout=PATIENCE_S)
    receiver.arriving.put(_Batch("late", 1))
    late = receiver.passed.get(timeout=PATIENCE_S)
    closing.join(PATIENCE_S)

    assert [early, late] == [(VerdictKind.RELEASE, name, 0, 1) for name in ("early", "late")]
    assert receiver.take() is None
