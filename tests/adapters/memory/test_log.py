from __future__ import annotations

from unibus.spi import Lease, Outgoing
from unibus_memory.machine.books import Book, Log, lane_names
from unibus_memory.machine.chunks import Lane
from unibus_memory.machine.held import Held
from unibus_memory.machine.log import LogReader
from unibus_memory.machine.store import Moment

NOW = Moment(0.0, 0.0)


def _log(*sizes: int, retention_s: float | None = None) -> Log:
    log = Log(Lane("t"), retention_s)
    for wall, size in enumerate(sizes):
        bodies: list[bytes | None] = [b"%d" % each for each in range(log.end, log.end + size)]
        log.append(Outgoing(bodies), float(wall))
    return log


def _take(reader: LogReader, limit: int = 1000, lease: Lease | None = None) -> Held:
    held = reader.hand_out(limit, lease or Lease("test"), NOW)
    assert held is not None
    return held


def test_a_reader_goes_on_where_it_was() -> None:
    reader = LogReader(_log(3, 300, 2), 1)

    assert [len(_take(reader, 4)), len(_take(reader)), reader.is_empty] == [4, 300, True]


def test_what_is_settled_above_a_gap_is_final_when_the_gap_is_closed() -> None:
    reader = LogReader(_log(5), 0)
    held = _take(reader)
    assert reader.done(held, 1, 2) == []
    assert (reader.position, reader.uncovered()) == (0, [(held, 1, 2)])

    assert reader.done(held, 0, 1) == [(held, 0, 3)]
    assert reader.position == 3


def test_an_ended_lease_gives_everything_above_the_first_gap_again() -> None:
    reader, lease = LogReader(_log(5), 0), Lease("test")
    held = _take(reader, lease=lease)
    reader.done(held, 0, 1)
    reader.done(held, 3, 2)
    (loss,) = reader.abandon(lease, NOW, counted=True)

    assert (loss.held, loss.taken, list(loss.unconfirmed)) == (held, 2, [(3, 2)])
    assert _take(reader).bodies() == [b"1", b"2", b"3", b"4"]


def test_what_is_too_old_is_dropped_though_nobody_has_read_it() -> None:
    log = _log(300, 300, 300, retention_s=1.5)
    reader = LogReader(log, 0)
    log.trim(2.5)

    assert (log.start, reader.waiting) == (300, 600)
    assert _take(reader, 1).bodies() == [b"300"]


def test_a_log_can_age_away_as_a_whole() -> None:
    log = _log(3, retention_s=1.0)
    log.trim(9.0)

    assert (log.start, list(log.runs(0))) == (3, [])
    log.append(Outgoing([b"new"]), 9.0)
    assert [run.bodies() for run in log.runs(0)] == [[b"new"]]


def test_a_time_is_found_within_joined_batches() -> None:
    log = _log(2, 2, 2)

    assert [log.position_at(wall) for wall in (-1.0, 0.5, 2.0, 9.0)] == [0, 2, 4, 6]


def test_each_key_stays_in_its_lane_and_the_rest_take_turns() -> None:
    book = Book(lane_names("t", 3), is_log=False, retention_s=None)
    keyed = Outgoing([b"x"] * 40)
    keyed.keys = [f"k{index % 8}" for index in range(40)]
    lanes = {
        key: {
            place.number
            for place in book.append(keyed, 0.0)
            for offset in range(place.run.length)
            if place.run.message(offset).key == key
        }
        for key in set(keyed.keys)
    }
    plain = book.append(Outgoing([b"x"] * 7), 0.0)

    assert {len(numbers) for numbers in lanes.values()} == {1}
    assert sorted(place.run.length for place in plain) == [2, 2, 3]
    assert sorted(index for place in plain for index in place.indexes) == list(range(7))
