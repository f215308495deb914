"""Which messages a confirm or a return is about: pure bookkeeping of publishing tags."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Mapping

from unibus import spi

Report = Callable[[spi.Outgoing, int, int, spi.Outcome], None]


class _Written:
    """A batch on its way: its tags, what was reported, what is known too early to be reported."""

    __slots__ = ("batch", "early", "first", "last", "reported", "where")

    def __init__(self, batch: spi.Outgoing, first: int, refused: Mapping[int, spi.Outcome]) -> None:
        self.batch = batch
        self.reported = 0
        self.early: dict[int, spi.Outcome] = dict(refused)
        # The index of each tag, where they are not simply parallel.
        self.where = [i for i in range(len(batch)) if i not in refused] if refused else None
        self.first = first
        self.last = first + len(batch) - len(refused) - 1

    def index(self, tag: int) -> int:
        return tag - self.first if self.where is None else self.where[tag - self.first]

    def is_named(self, tag: int) -> bool:
        """Whether the id of *tag* came with the message."""
        ids = self.batch.ids
        return ids is not None and ids[self.index(tag)] is not None

    def settle_to(self, index: int, outcome: spi.Outcome, report: Report) -> None:
        """Everything up to *index* that is not known yet has *outcome*."""
        if not self.early:
            first, self.reported = self.reported, max(self.reported, index + 1)
            if self.reported > first:
                report(self.batch, first, self.reported - first, outcome)
            return
        for each in range(self.reported, index + 1):
            self.early.setdefault(each, outcome)
        self.flush(report)

    def settle(self, index: int, outcome: spi.Outcome, report: Report) -> None:
        if index >= self.reported:
            self.early.setdefault(index, outcome)
            self.flush(report)

    def flush(self, report: Report) -> None:
        """Report what is known without a gap, in ranges of one outcome."""
        while (outcome := self.early.get(self.reported)) is not None:
            first = end = self.reported
            while self.early.get(end) is outcome:
                del self.early[end]
                end += 1
            self.reported = end
            report(self.batch, first, end - first, outcome)

    @property
    def is_done(self) -> bool:
        return self.reported == len(self.batch)


class Confirms:
    """Turns the confirms of one sender into ranges, ascending within each batch.

    Tags count from 1 in every channel incarnation; ``restart`` begins a new one. A message that
    nobody has named is called *prefix* and a number; numbers go on where tags begin again.
    """

    __slots__ = ("_base", "_open", "_report", "_returned", "next_tag", "prefix")

    def __init__(self, report: Report, prefix: str) -> None:
        self.prefix = prefix
        self._base = 0
        self._report = report
        self._open: deque[_Written] = deque()
        self._returned = 0
        self.next_tag = 1

    @property
    def is_empty(self) -> bool:
        """Whether everything written has been reported."""
        return not self._open

    @property
    def next_number(self) -> int:
        """The number in the id of the next message."""
        return self._base + self.next_tag

    def written(self, batch: spi.Outgoing, refused: Mapping[int, spi.Outcome]) -> None:
        """Note that *batch* was written but for *refused*, which never will be."""
        each = _Written(batch, self.next_tag, refused)
        self.next_tag = each.last + 1
        self._open.append(each)
        if refused:
            each.flush(self._report)
            self._tidy()

    def confirm(self, tag: int, outcome: spi.Outcome, *, multiple: bool) -> None:
        """Note what the broker said of *tag*, or of everything up to it."""
        if not multiple:
            self._single(tag, outcome)
        else:
            tag = tag or self.next_tag - 1
            for each in self._open:
                if each.first > tag:
                    break
                if each.first <= each.last:
                    each.settle_to(each.index(min(tag, each.last)), outcome, self._report)
        self._tidy()

    def returned(self, tag: int, outcome: spi.Outcome) -> None:
        """Note that the broker sent *tag* back; its confirm, which follows, changes nothing."""
        self._returned = tag
        self._single(tag, outcome)
        self._tidy()

    def find(self, message_id: str, routing_key: str | None) -> int | None:
        """Return the tag of a message that came back; ``None`` if nothing fits.

        *routing_key* ``None``: they all have the same.
        """
        number = message_id.removeprefix(self.prefix)
        if number != message_id and number.isdecimal():
            tag = int(number) - self._base
            each = self._find(tag)
            if each is not None and not each.is_named(tag):
                return tag
        return self._find_named(message_id, routing_key)

    def _find_named(self, message_id: str, routing_key: str | None) -> int | None:
        """Return the tag of a message whose id came with it.

        Returns come in publishing order, so of several with one id it is the first that was
        written after the one returned last.
        """
        for each in self._open:
            ids = each.batch.ids
            if ids is None or each.last <= self._returned:
                continue
            keys = each.batch.routing_keys if routing_key is not None else None
            for tag in range(max(each.first, self._returned + 1), each.last + 1):
                index = each.index(tag)
                if ids[index] == message_id and (
                    keys is None or (keys[index] or "") == routing_key
                ):
                    return tag
        return None

    def lost(self, outcome: spi.Outcome) -> None:
        """Give *outcome* to everything that is not known; the channel is gone."""
        open_, self._open = self._open, deque()
        for each in open_:
            each.settle_to(len(each.batch) - 1, outcome, self._report)
        self.restart()

    def restart(self) -> None:
        """Begin a new channel incarnation."""
        self._base += self.next_tag - 1
        self.next_tag = 1
        self._returned = 0

    def _single(self, tag: int, outcome: spi.Outcome) -> None:
        each = self._find(tag)
        if each is not None:
            each.settle(each.index(tag), outcome, self._report)

    def _find(self, tag: int) -> _Written | None:
        at = bisect_right(self._open, tag, key=lambda each: each.first) - 1
        if at < 0:
            return None
        each = self._open[at]
        return each if tag <= each.last else None

    def _tidy(self) -> None:
        while self._open and self._open[0].is_done:
            self._open.popleft()
