from __future__ import annotations

import pytest

from unibus.outcome import ACCEPTED, Outcome, rejected
from unibus.spi import Link, Outgoing, OverloadedError
from unibus_contract import clauses
from unibus_contract.results import Result, Status
from unibus_contract.wrap import AdapterWrap, SourceWrap
from unibus_contract.zoo.runner import Trial, ZooReport
from unibus_contract.zoo.saboteur import Saboteur, collect, saboteur


class Outbox:
    """One batch, and what was completed of it."""

    def __init__(self, *bodies: bytes) -> None:
        self.batches = [Outgoing(list(bodies))]
        self.done: list[tuple[int, Outcome]] = []

    def pull(self) -> Outgoing | None:
        return self.batches.pop() if self.batches else None

    def completed(self, batch: Outgoing, first: int, count: int, outcome: Outcome) -> None:
        del batch
        self.done += [(index, outcome) for index in range(first, first + count)]

    def state(self, state: Link, cause: Exception | None) -> None:
        raise AssertionError((state, cause))


@pytest.mark.parametrize(
    ("chosen", "sent"),
    [([0, 1, 2], b"abc"), ([0, 2], b"ac"), ([0, 0, 1, 2], b"aabc"), ([2, 0, 1], b"cab")],
)
def test_a_selection_is_sent_and_every_message_completed_once_in_order(
    chosen: list[int], sent: bytes
) -> None:
    class Selecting(SourceWrap):
        def select(self, batch: Outgoing) -> list[int]:
            return chosen

    outbox = Outbox(b"a", b"b", b"c")
    source = Selecting(outbox)
    batch = source.pull()
    assert batch is not None
    assert b"".join(body or b"" for body in batch.bodies) == sent
    no = rejected(OverloadedError("full"))
    source.completed(batch, 0, 1, no)
    source.completed(batch, 1, len(batch) - 1, ACCEPTED)

    assert [index for index, _ in outbox.done] == [0, 1, 2]


def test_a_selection_of_nothing_is_accepted_and_sent_nowhere() -> None:
    class Losing(SourceWrap):
        def select(self, batch: Outgoing) -> list[int]:
            return []

    outbox = Outbox(b"a", b"b")

    assert Losing(outbox).pull() is None
    assert outbox.done == [(0, ACCEPTED), (1, ACCEPTED)]


BAD = Saboteur(
    name="bad",
    defect="It loses.",
    breaks=("PUB-01",),
    may_break={"FAN-01": "it loses there too"},
    spoil=lambda broker: broker,
)


def result(status: Status, *, is_violation: bool = False) -> Result:
    return Result(clause="x", status=status, is_violation=is_violation)


FOUND = result(Status.FAIL, is_violation=True)
PASSED = result(Status.PASS)


@pytest.mark.parametrize(
    ("named", "others", "is_killed"),
    [
        ({"PUB-01": FOUND}, {"ACK-01": PASSED}, True),
        ({"PUB-01": PASSED}, {}, False),
        ({"PUB-01": result(Status.FAIL)}, {}, False),  # a set-up that failed, or a timeout
        ({"PUB-01": FOUND}, {"ACK-01": FOUND}, False),
        ({"PUB-01": FOUND}, {"FAN-01": FOUND}, True),
        ({}, {}, False),
    ],
)
def test_a_saboteur_is_killed_by_all_it_names_and_no_other(
    named: dict[str, Result],
    others: dict[str, Result],
    is_killed: bool,  # noqa: FBT001  # a column of the table
) -> None:
    assert Trial(saboteur=BAD, named=named, others=others).is_killed is is_killed


def test_the_report_lists_survivors_and_idle_clauses() -> None:
    trials = [Trial(saboteur=BAD, named={"PUB-01": PASSED}, others={})]

    told = ZooReport(trials, ["ACK-01"]).as_json()

    assert (told["killed"], told["survivors"]) == ([], ["bad"])
    assert told["idle_clauses"] == ["ACK-01"]


def test_a_saboteur_is_named_after_its_class() -> None:
    @saboteur("It does nothing.", "PUB-01")
    class DoesNothingAtAll(AdapterWrap):
        """Nothing."""

    assert vars(DoesNothingAtAll)["__unibus_saboteur__"].name == "does nothing at all"


def test_every_saboteur_names_clauses_that_exist() -> None:
    catalogue = clauses.load()

    for each in collect():
        assert each.breaks
        assert set(each.breaks) | set(each.may_break) <= set(catalogue)
