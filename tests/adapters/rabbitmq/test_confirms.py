from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from unibus import spi
from unibus_rabbitmq.confirms import Confirms

NACK = spi.rejected(spi.OverloadedError("nack"))
RETURN = spi.rejected(spi.UnroutableError("return"))
REFUSED = spi.rejected(spi.MessageRejectedError("refused"))
LOST = spi.unknown(spi.ConnectionLostError("lost"))


class Reports:
    def __init__(self) -> None:
        self.of: dict[int, list[spi.Outcome]] = {}
        self.ranges = 0

    def __call__(self, batch: spi.Outgoing, first: int, count: int, outcome: spi.Outcome) -> None:
        seen = self.of.setdefault(id(batch), [])
        assert first == len(seen), "ascending, each index once"
        assert count > 0
        assert first + count <= len(batch)
        seen.extend([outcome] * count)
        self.ranges += 1


def batch_of(size: int, ids: list[str | None] | None = None) -> spi.Outgoing:
    batch = spi.Outgoing([b""] * size)
    batch.ids = ids
    return batch


def test_a_multiple_confirm_is_one_range_a_batch() -> None:
    reports = Reports()
    confirms = Confirms(reports, "p-")
    batches = [batch_of(500), batch_of(500)]
    for batch in batches:
        confirms.written(batch, {})
    confirms.confirm(1000, spi.ACCEPTED, multiple=True)

    assert reports.ranges == 2
    assert confirms.is_empty


def test_tag_zero_means_everything() -> None:
    reports = Reports()
    confirms = Confirms(reports, "p-")
    batch = batch_of(7)
    confirms.written(batch, {})
    confirms.confirm(0, spi.ACCEPTED, multiple=True)

    assert reports.of[id(batch)] == [spi.ACCEPTED] * 7


def test_a_later_batch_does_not_wait_for_an_earlier_one() -> None:
    reports = Reports()
    confirms = Confirms(reports, "p-")
    first, second = batch_of(1), batch_of(1)
    confirms.written(first, {})
    confirms.written(second, {})
    confirms.confirm(2, spi.ACCEPTED, multiple=False)

    assert reports.of == {id(second): [spi.ACCEPTED]}


def test_what_was_refused_spends_no_tag_and_keeps_its_place() -> None:
    reports = Reports()
    confirms = Confirms(reports, "p-")
    batch, after = batch_of(4), batch_of(1)
    confirms.written(batch, {0: REFUSED, 2: REFUSED})
    confirms.written(after, {0: REFUSED})

    assert reports.of == {id(batch): [REFUSED], id(after): [REFUSED]}
    assert confirms.next_tag == 3
    confirms.confirm(2, spi.ACCEPTED, multiple=True)
    assert reports.of[id(batch)] == [REFUSED, spi.ACCEPTED, REFUSED, spi.ACCEPTED]
    assert confirms.is_empty


def test_a_returned_message_is_rejected_although_it_is_confirmed_afterwards() -> None:
    reports = Reports()
    confirms = Confirms(reports, "p-")
    batch = batch_of(5)
    confirms.written(batch, {})
    confirms.returned(3, RETURN)
    confirms.confirm(3, spi.ACCEPTED, multiple=False)
    confirms.confirm(5, spi.ACCEPTED, multiple=True)

    assert [o is RETURN for o in reports.of[id(batch)]] == [False, False, True, False, False]


def test_returns_of_one_id_are_told_apart_by_their_order_and_routing_key() -> None:
    confirms = Confirms(Reports(), "p-")
    batch = batch_of(6, ["a", "b", "a", None, "a", "b"])
    batch.routing_keys = ["x", None, "x", "x", "y", "y"]
    confirms.written(batch, {1: REFUSED})

    assert confirms.find("b", "") is None  # it was never written
    assert confirms.find("a", "y") == 4
    first = confirms.find("a", "x")
    assert first == 1
    confirms.returned(first, RETURN)
    second = confirms.find("a", "x")
    assert second == 2
    confirms.returned(second, RETURN)
    assert confirms.find("a", "x") is None
    assert confirms.find("b", None) == 5


def test_a_counted_id_is_found_by_its_number_unless_a_caller_uses_it() -> None:
    confirms = Confirms(Reports(), "p-")
    confirms.written(batch_of(3), {})
    confirms.lost(LOST)
    counted = batch_of(2)
    named = batch_of(2, ["p-4", None])
    named.routing_keys = ["x", "x"]
    confirms.written(counted, {})
    confirms.written(named, {})

    assert confirms.next_number == 8
    assert confirms.find("p-3", "x") is None  # of the channel before
    assert confirms.find("p-4", "x") == 1
    assert confirms.find("p-6", "x") is None  # a caller has named it
    assert confirms.find("p-7", "x") == 4
    assert confirms.find("other-4", "x") is None


def test_after_a_loss_what_was_not_confirmed_is_unknown_and_tags_start_again() -> None:
    reports = Reports()
    confirms = Confirms(reports, "p-")
    first, second = batch_of(3), batch_of(2)
    confirms.written(first, {1: REFUSED})
    confirms.written(second, {})
    confirms.confirm(1, spi.ACCEPTED, multiple=False)
    confirms.confirm(3, spi.ACCEPTED, multiple=False)
    confirms.lost(LOST)

    assert reports.of == {
        id(first): [spi.ACCEPTED, REFUSED, LOST],
        id(second): [spi.ACCEPTED, LOST],
    }
    assert confirms.next_tag == 1
    confirms.confirm(1, spi.ACCEPTED, multiple=True)  # late, of nobody
    assert confirms.is_empty


@given(st.randoms(use_true_random=False), st.lists(st.integers(1, 12), min_size=1, max_size=6))
def test_any_history_gives_each_message_what_the_broker_said_of_it(
    chance: random.Random, sizes: list[int]
) -> None:
    reports = Reports()
    confirms = Confirms(reports, "p-")
    expected: dict[int, list[spi.Outcome | None]] = {}
    tags: dict[int, tuple[int, int]] = {}
    batches = [batch_of(size) for size in sizes]
    tag = 1
    for batch in batches:
        refused = {i: REFUSED for i in range(len(batch)) if chance.random() < 0.2}
        expected[id(batch)] = [refused.get(i) for i in range(len(batch))]
        confirms.written(batch, refused)
        for index in range(len(batch)):
            if index not in refused:
                tags[tag] = (id(batch), index)
                tag += 1

        assert confirms.next_tag == tag
    open_tags = sorted(tags)
    while open_tags and chance.random() < 0.9:
        of = chance.choice(open_tags)
        multiple = chance.random() < 0.4
        outcome = chance.choice((spi.ACCEPTED, NACK))
        if not multiple and chance.random() < 0.2:
            confirms.returned(of, RETURN)
            outcome = RETURN
        else:
            confirms.confirm(of, outcome, multiple=multiple)
        for each in [t for t in open_tags if (t <= of if multiple else t == of)]:
            where, index = tags[each]
            expected[where][index] = outcome
            open_tags.remove(each)
    confirms.lost(LOST)

    assert reports.of == {
        where: [outcome or LOST for outcome in outcomes] for where, outcomes in expected.items()
    }
    assert confirms.is_empty
