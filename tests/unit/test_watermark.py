from __future__ import annotations

from collections.abc import Hashable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unibus.watermark import Run, Watermark


def test_a_gap_holds_the_position_until_it_is_settled() -> None:
    mark = Watermark(100)
    mark.add("a", [(100, 10)])

    mark.settle("a", 1, 9)
    assert mark.position == 100
    mark.settle("a", 0, 1)
    assert mark.position == 110


def test_positions_that_do_not_exist_are_jumped_over() -> None:
    mark = Watermark()
    mark.add("a", [(0, 2), (7, 1)])
    mark.add("b", [(20, 1)])

    mark.settle("a", 0, 2)
    assert mark.position == 7
    mark.settle("a", 2, 1)
    assert mark.position == 20


def test_a_commit_covers_what_lies_below_it_and_nothing_else() -> None:
    mark = Watermark()
    mark.add("a", [(0, 4)])
    mark.add("b", [(4, 4)], first_index=10)
    mark.settle("a", 0, 4)
    mark.settle("b", 10, 1)
    committed = mark.position
    mark.settle("b", 11, 1)
    mark.settle("b", 13, 1)

    assert mark.cover(committed) == [("a", 0, 4), ("b", 10, 1)]
    assert mark.cover(mark.position) == [("b", 11, 1)]
    assert mark.uncovered() == [("b", 13, 1)]


@pytest.mark.parametrize("runs", [[(4, 1)], [(5, 0)], [(5, 2), (6, 1)]])
def test_positions_have_to_ascend(runs: list[Run]) -> None:
    mark = Watermark()
    mark.add("a", [(0, 5)])

    with pytest.raises(ValueError, match="was expected"):
        mark.add("b", runs)


def test_a_million_settlements_in_order_leave_nothing_behind() -> None:
    mark = Watermark()
    for number in range(1000):
        mark.add(number, [(number * 1000, 1000)])
        mark.settle(number, 0, 1000)
        mark.cover(mark.position)

    assert mark.position == 1_000_000
    assert not mark._by_ticket
    assert not mark._open


@given(data=st.data())
def test_any_order_of_settling_and_committing_agrees_with_brute_force(data: st.DataObject) -> None:
    mark = Watermark()
    where: dict[tuple[int, int], int] = {}
    following = 0
    for ticket in range(data.draw(st.integers(1, 4))):
        base, index, runs = data.draw(st.integers(0, 3)), 0, []
        for _ in range(data.draw(st.integers(1, 4))):
            following += data.draw(st.sampled_from([0, 0, 1, 5]))
            count = data.draw(st.integers(1, 4))
            runs.append((following, count))
            where |= {(ticket, base + index + i): following + i for i in range(count)}
            index, following = index + count, following + count
        mark.add(ticket, runs, first_index=base)
    left = dict(where)
    reported: list[tuple[Hashable, int]] = []
    committed = 0
    while left:
        ticket, index = data.draw(st.sampled_from(sorted(left)))
        run = 1
        while (ticket, index + run) in left and data.draw(st.booleans()):
            run += 1
        for key in [(ticket, index + i) for i in range(run)]:
            del left[key]
        mark.settle(ticket, index, run)
        assert mark.position == (min(left.values()) if left else following)
        if data.draw(st.booleans()) or not left:
            committed = mark.position
            for name, first, count in mark.cover(committed):
                reported += [(name, first + i) for i in range(count)]
        settled = sorted(set(where) - set(left))
        assert reported == [key for key in settled if where[key] < committed]
        above = [(n, f + i) for n, f, c in mark.uncovered() for i in range(c)]
        assert above == [key for key in settled if where[key] >= committed]
