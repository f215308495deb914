from __future__ import annotations

from unibus.spi import Outgoing
from unibus_memory.machine.books import Tail
from unibus_memory.machine.chunks import Lane, Run


def _batch(*bodies: bytes, keys: list[str | None] | None = None) -> Outgoing:
    batch = Outgoing(list(bodies))
    batch.keys = keys
    return batch


def test_small_batches_become_one_run() -> None:
    tail = Tail(Lane("t"))
    runs = [tail.append(_batch(b"%d" % each), float(each)) for each in range(3)]
    joined = runs[0].joined(runs[1])
    assert joined is not None
    joined = joined.joined(runs[2])

    assert joined == Run(runs[0].chunk, 0, 3)
    assert joined.bodies() == [b"0", b"1", b"2"]


def test_what_is_joined_keeps_its_own_key_time_and_id() -> None:
    tail = Tail(Lane("t"))
    tail.append(_batch(b"a", b"b"), 1.0)
    chunk = tail.append(_batch(b"c", keys=["k"]), 2.0).chunk
    tail.append(_batch(b"d"), 3.0)
    messages = [chunk.message(index) for index in range(4)]

    assert [message.key for message in messages] == [None, None, "k", None]
    assert [message.timestamp_s for message in messages] == [1.0, 1.0, 2.0, 3.0]
    assert [message.id for message in messages] == ["t/0", "t/1", "t/2", "t/3"]


def test_the_publishers_own_batch_never_grows() -> None:
    tail, batch = Tail(Lane("t")), _batch(b"a", keys=["k"])
    tail.append(batch, 0.0)
    tail.append(_batch(b"b"), 0.0)

    assert (batch.bodies, batch.keys) == ([b"a"], ["k"])


def test_a_large_batch_is_not_copied() -> None:
    batch = _batch(*(b"x" for _ in range(1000)))
    tail = Tail(Lane("t"))
    run = tail.append(batch, 0.0)

    assert run.chunk.bodies is batch.bodies
    assert tail.append(_batch(b"y"), 0.0).chunk is not run.chunk


def test_a_run_does_not_grow_with_its_chunk() -> None:
    tail = Tail(Lane("t"))
    run = tail.append(_batch(b"a"), 0.0)
    bodies = run.bodies()
    tail.append(_batch(b"b"), 0.0)

    assert bodies == [b"a"] == run.bodies()
