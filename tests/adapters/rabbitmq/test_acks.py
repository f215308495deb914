from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from unibus_rabbitmq.acks import Fold


class Channel:
    """What the broker does with the frames, by brute force."""

    def __init__(self, count: int) -> None:
        self.outstanding = set(range(1, count + 1))
        self.acked: set[int] = set()

    def ack(self, tag: int, *, multiple: bool) -> None:
        assert tag in self.outstanding, f"406: {tag} is not outstanding"
        tags = {each for each in self.outstanding if each <= tag} if multiple else {tag}
        self.outstanding -= tags
        self.acked |= tags

    def reject(self, tag: int) -> None:
        assert tag in self.outstanding, f"406: {tag} is not outstanding"
        self.outstanding.discard(tag)


def leave(fold: Fold, channel: Channel, *, stragglers: bool) -> int:
    frames = 0
    if top := fold.multiple():
        channel.ack(top, multiple=True)
        frames += 1
    if stragglers:
        for tag in fold.stragglers():
            channel.ack(tag, multiple=False)
            frames += 1
    return frames


@given(st.data())
def test_exactly_what_was_settled_leaves_whatever_the_order(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 60))
    order = data.draw(st.permutations(range(1, count + 1)))
    kept = data.draw(st.integers(0, count))
    acks = set(data.draw(st.lists(st.sampled_from(order), unique=True)))
    fold, channel = Fold(), Channel(count)
    settled: set[int] = set()
    for tag in order[kept:]:
        settled.add(tag)
        if tag in acks:
            fold.ack(tag, 1)
        else:
            channel.reject(tag)
            fold.answered(tag)
        if data.draw(st.booleans()):
            leave(fold, channel, stragglers=data.draw(st.booleans()))
    leave(fold, channel, stragglers=True)

    assert channel.outstanding == set(order[:kept])
    assert channel.acked == acks & settled
    assert fold.low == min(channel.outstanding, default=count + 1)


@given(st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=12), st.randoms())
def test_ranges_are_settled_as_their_tags_would_be(
    ranges: list[tuple[int, bool]], chance: Random
) -> None:
    spans, first = [], 1
    for count, is_ack in ranges:
        spans.append((first, count, is_ack))
        first += count
    chance.shuffle(spans)
    by_range, by_tag = Fold(), Fold()
    for start, count, is_ack in spans:
        for fold, step in ((by_range, count), (by_tag, 1)):
            for at in range(start, start + count, step):
                (fold.ack if is_ack else fold.answered)(at, step)

        assert by_range.low == by_tag.low
    assert by_range.multiple() == by_tag.multiple()
    assert by_range.stragglers() == by_tag.stragglers()


def test_one_frame_acks_a_thousand_in_order() -> None:
    fold, channel = Fold(), Channel(1000)
    for first in range(1, 1001, 100):
        fold.ack(first, 100)

    assert leave(fold, channel, stragglers=True) == 1
    assert not channel.outstanding


def test_a_straggler_is_acked_once_even_when_the_hole_closes_later() -> None:
    fold = Fold()
    fold.ack(2, 2)

    assert fold.multiple() == 0
    assert fold.has_stragglers
    assert fold.stragglers() == [2, 3]
    assert not fold.has_stragglers
    fold.ack(1, 1)
    assert fold.low == 4
    assert fold.multiple() == 1
    assert fold.stragglers() == []
