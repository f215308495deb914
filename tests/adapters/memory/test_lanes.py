from __future__ import annotations

import pytest

from unibus.spi import LeaseLostError, Outgoing, UnsupportedError
from unibus_memory.machine.books import Log
from unibus_memory.machine.chunks import Lane
from unibus_memory.machine.lanes import LanedSubscription, Sharing
from unibus_memory.machine.log import LogReader
from unibus_memory.machine.store import Moment

NOW = Moment(0.0, 0.0)
GONE = LeaseLostError("test")


def _lanes(sharing: Sharing = "evenly", count: int = 4) -> LanedSubscription:
    logs = [Log(Lane(f"t/{number}", number), None) for number in range(count)]
    for log in logs:
        log.append(Outgoing([b"%d" % log.lane.number] * 2), 0.0)
    return LanedSubscription("s", [[LogReader(log, 0)] for log in logs], sharing)


def _rebalance(lanes: LanedSubscription) -> None:
    while moving := lanes.surplus():
        lanes.move([lane for group in moving.values() for lane in group], GONE, NOW)


def _numbers(lanes: LanedSubscription, member: object) -> set[bytes | None]:
    found: set[bytes | None] = set()
    while (held := lanes.take(member, 1, None, NOW)) is not None:
        found.update(held.bodies())
    return found


def test_members_get_equal_shares_and_who_comes_too_late_is_idle() -> None:
    lanes = _lanes()
    for member in "abcde":
        lanes.join(member)
        _rebalance(lanes)
    shares = [_numbers(lanes, member) for member in "abcde"]

    assert sorted(map(len, shares)) == [0, 1, 1, 1, 1]
    assert set.union(*shares) == {b"0", b"1", b"2", b"3"}
    assert [lanes.is_idle(member) for member in "abcde"] == [not share for share in shares]


def test_what_a_member_leaves_goes_to_the_others() -> None:
    lanes = _lanes()
    for member in "ab":
        lanes.join(member)
        _rebalance(lanes)
    lanes.leave("a", NOW)

    assert _numbers(lanes, "b") == {b"0", b"1", b"2", b"3"}


def test_nothing_is_handed_out_of_a_lane_that_is_about_to_move() -> None:
    lanes = _lanes(count=2)
    lanes.join("a")
    lanes.take("a", 1, None, NOW)
    lanes.join("b")
    (moving,) = lanes.surplus().values()

    assert _numbers(lanes, "a") == {b"0"}
    assert moving[0].lease is None or moving[0].lease.stopping


def test_a_lane_that_moved_begins_at_the_first_unsettled_message() -> None:
    lanes = _lanes(count=2)
    lanes.join("a")
    held = {
        body: each
        for _ in range(4)
        if (each := lanes.take("a", 1, None, NOW)) is not None
        for body in each.bodies()
    }
    lanes.join("b")
    (moving,) = lanes.surplus().values()
    losses = lanes.move(moving, GONE, NOW)

    assert {loss.lease.lost for loss in losses} == {GONE}
    assert held[b"0"].lease(0).lost is None
    assert _numbers(lanes, "b") == {b"1"}


def test_each_time_a_lane_has_another_lease() -> None:
    lanes = _lanes(count=1)
    lanes.join("a")
    scopes = []
    for _ in range(2):
        held = lanes.take("a", 1, None, NOW)
        assert held is not None
        scopes.append(held.lease(0).scope)
        lanes.end_leases(GONE, NOW)

    assert scopes == ["lane 0 epoch 1", "lane 0 epoch 2"]


def test_the_first_member_has_all_lanes_until_it_leaves() -> None:
    lanes = _lanes("first")
    lanes.join("a")
    lanes.join("b")
    assert (lanes.surplus(), lanes.is_idle("b")) == ({}, True)
    lanes.leave("a", NOW)

    assert len(_numbers(lanes, "b")) == 4


def test_a_second_reader_of_a_stream_is_refused() -> None:
    lanes = _lanes("sole")
    lanes.join("a")

    with pytest.raises(UnsupportedError, match="'s' is being read by another consumer"):
        lanes.join("b")


def test_who_rests_joins_again_for_what_is_left() -> None:
    lanes = _lanes(count=1)
    for member in "ab":
        lanes.join(member)
    lanes.rest("a", NOW)
    assert not lanes.is_idle("b")
    lanes.join("a")

    assert (lanes.surplus(), lanes.is_idle("a")) == ({}, True)
