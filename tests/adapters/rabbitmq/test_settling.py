from __future__ import annotations

from collections.abc import Callable

import pytest

from unibus import spi
from unibus_rabbitmq.deliveries import Ticket
from unibus_rabbitmq.settling import Settler

ACK, NACK = spi.VerdictKind.ACK, spi.VerdictKind.NACK
RELEASE, REJECT = spi.VerdictKind.RELEASE, spi.VerdictKind.REJECT


class Wire:
    """The frames that leave, in order."""

    def __init__(self) -> None:
        self.frames: list[tuple[str, int]] = []

    def ack(self, tag: int, *, multiple: bool) -> None:
        self.frames.append(("ack up to" if multiple else "ack", tag))

    def reject(self, tag: int, *, requeue: bool) -> None:
        self.frames.append(("failed" if requeue else "reject", tag))

    def give_back(self, tag: int) -> None:
        self.frames.append(("give back", tag))

    def give_back_all(self) -> None:
        self.frames.append(("give back up to", 0))

    def close(self, closed: Callable[[], None]) -> None:
        closed()


class Books:
    """What was reported last of each delivery."""

    def __init__(self) -> None:
        self.of: dict[int, str] = {}

    def __call__(self, ticket: object, first: int, count: int, outcome: spi.Outcome) -> None:
        assert isinstance(ticket, Ticket)
        for index in range(first, first + count):
            self.of[ticket.first + index] = outcome.kind.value


def settler(
    *, is_ordered: bool = False, is_log: bool = False
) -> tuple[Settler, Wire, Books, Ticket]:
    wire, books = Wire(), Books()
    made = Settler(wire, books, is_ordered=is_ordered, is_log=is_log)
    return made, wire, books, Ticket(object(), 1)


def test_what_goes_back_goes_ascending_and_before_the_ack_above_it() -> None:
    made, wire, books, ticket = settler()
    made.settle(
        [
            spi.Verdict(ticket, 4, 3, ACK),
            spi.Verdict(ticket, 3, 1, REJECT),
            spi.Verdict(ticket, 2, 1, NACK),
            spi.Verdict(ticket, 0, 2, RELEASE),
        ]
    )

    assert wire.frames == [
        ("give back", 1),
        ("give back", 2),
        ("failed", 3),
        ("reject", 4),
        ("ack up to", 7),
    ]
    assert books.of == dict.fromkeys(range(1, 8), "sent")


def test_acks_above_a_hole_leave_one_by_one_when_their_time_has_come() -> None:
    made, wire, _, ticket = settler()
    made.settle([spi.Verdict(ticket, 0, 2, ACK), spi.Verdict(ticket, 3, 2, ACK)])

    assert wire.frames == [("ack up to", 2)]
    made.leave()
    assert wire.frames[1:] == [("ack", 4), ("ack", 5)]


def test_a_release_on_an_ordered_subscription_waits_for_the_channel_to_go() -> None:
    made, wire, _, ticket = settler(is_ordered=True)
    made.settle([spi.Verdict(ticket, 0, 1, RELEASE), spi.Verdict(ticket, 1, 1, ACK)])
    made.leave()

    assert wire.frames == [("ack", 2)]


def test_a_barrier_speaks_for_what_was_sent_before_it_only() -> None:
    made, _, books, ticket = settler()
    made.settle([spi.Verdict(ticket, 0, 2, ACK)])
    made.ask()
    made.settle([spi.Verdict(ticket, 2, 1, ACK)])
    made.answered()

    assert books.of == {1: "settled", 2: "settled", 3: "sent"}


@pytest.mark.parametrize("kind", [NACK, RELEASE])
def test_a_log_takes_nothing_back(kind: spi.VerdictKind) -> None:
    made, wire, _, ticket = settler(is_log=True)
    made.settle([spi.Verdict(ticket, 0, 1, kind), spi.Verdict(ticket, 1, 1, REJECT)])
    made.leave()

    assert wire.frames == [("ack", 2)]
    assert made.fold.low == 1


def test_of_a_log_only_what_lies_below_the_stored_position_is_settled() -> None:
    made, _, books, ticket = settler(is_log=True)
    made.settle([spi.Verdict(ticket, 0, 3, ACK), spi.Verdict(ticket, 4, 2, ACK)])
    made.ask()
    made.answered()
    assert set(books.of.values()) == {"sent"}
    made.stored(below=3)

    assert books.of == {1: "settled", 2: "settled", 3: "sent", 5: "sent", 6: "sent"}
    made.stored(below=4)
    assert books.of[3] == "settled"


def test_of_a_log_a_barrier_says_again_what_is_only_sent() -> None:
    reports: list[tuple[int, int, str]] = []
    made = Settler(
        Wire(),
        lambda _, first, count, outcome: reports.append((first, count, outcome.kind.value)),
        is_ordered=False,
        is_log=True,
    )
    ticket = Ticket(object(), 1)
    made.settle([spi.Verdict(ticket, 0, 1, ACK), spi.Verdict(ticket, 2, 2, ACK)])
    made.ask()
    made.settle([spi.Verdict(ticket, 6, 1, ACK)])
    reports.clear()
    made.stored(below=2, is_barrier=True)

    assert reports == [(0, 1, "settled"), (2, 2, "sent")]
    made.settle([spi.Verdict(ticket, 1, 1, ACK)])
    reports.clear()
    made.stored(below=5)
    assert sorted(reports) == [(1, 1, "settled"), (2, 2, "settled")]


def test_after_a_loss_what_was_sent_is_unknown() -> None:
    made, _, books, ticket = settler()
    made.settle([spi.Verdict(ticket, 0, 1, ACK)])
    made.ask()
    made.settle([spi.Verdict(ticket, 1, 1, ACK)])
    made.lost(spi.unknown(spi.ConnectionLostError("cut")))

    assert books.of == {1: "unknown", 2: "unknown"}


def test_books_do_not_grow_without_asking_the_broker() -> None:
    made, _, _, _ = settler()
    for number in range(64):
        assert not made.wants_barrier
        made.settle([spi.Verdict(Ticket(object(), 1 + number), 0, 1, ACK)])

    assert made.wants_barrier
