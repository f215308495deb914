from __future__ import annotations

from unibus.spi import Lease, Outgoing
from unibus_memory.machine.books import Tail
from unibus_memory.machine.chunks import Lane
from unibus_memory.machine.held import Held


def _held(size: int) -> Held:
    run = Tail(Lane("t")).append(Outgoing([b"%d" % each for each in range(size)]), 0.0)
    return Held([run], Lease("receive", 10.0))


def test_a_part_that_is_extended_gets_a_lease_of_its_own() -> None:
    held = _held(5)
    held.renew(1, 2, 40.0)

    assert [(each.first, each.length) for each in held.leases] == [(0, 1), (1, 2), (3, 2)]
    assert [held.lease(index).deadline for index in range(5)] == [10, 40, 40, 10, 10]
    assert held.lease(0) is held.lease(3)


def test_extending_all_that_is_open_moves_the_lease_itself() -> None:
    held = _held(5)
    lease = held.lease(0)
    held.close(0, 2)
    held.renew(2, 3, 40.0)

    assert (held.lease(2), lease.deadline, len(held.leases)) == (lease, 40.0, 1)


def test_a_lease_of_its_own_is_extended_in_place() -> None:
    held = _held(5)
    held.renew(1, 1, 40.0)
    own = held.lease(1)
    held.renew(1, 1, 70.0)

    assert (held.lease(1), own.deadline, len(held.leases)) == (own, 70.0, 3)


def test_what_is_closed_twice_is_returned_once() -> None:
    held = _held(5)
    assert [run.bodies() for run in held.close(1, 2)] == [[b"1", b"2"]]

    assert [run.bodies() for run in held.close(0, 5)] == [[b"0"], [b"3", b"4"]]
    assert held.is_settled
