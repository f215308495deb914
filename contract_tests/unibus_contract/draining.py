"""Reads a subscription to its end: until all is settled and nothing is behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from unibus.message import Message
from unibus_contract import stamps
from unibus_contract.consuming import Handler, RecordingConsumer, acked
from unibus_contract.recorder import Recorder
from unibus_contract.timing import Deadline, TimingProfile

if TYPE_CHECKING:
    from unibus import Producer

_LOOK_S = 0.05
"""How often a drain looks whether it is done while nothing comes."""
_LANES = 50
"""Most sentinels of one round; a run with more keys than this marks the first ones."""

OpenSentinels = Callable[[str], "Producer"]
"""Gives the producer of a topic that sentinels are published with."""


class Drain:
    """Knows when a subscription has come to its end.

    First everything that was accepted for it has to be settled; then a sentinel, published to each
    lane that was used, has to arrive, with whatever surplus lies before it. A broker that loses
    messages makes the first step take all of the patience, and the second is made all the same.
    """

    def __init__(
        self, recorder: Recorder, subscription: str, timing: TimingProfile, open_: OpenSentinels
    ) -> None:
        self._recorder = recorder
        self._subscription = subscription
        self._timing = timing
        self._open_sentinels = open_
        self._sent: set[tuple[str, int]] = set()

    def run(self, turn: Callable[[float], bool], quiet_s: float | None = None) -> bool:
        """Call *turn* until the end; it works for some seconds and returns whether anything came.

        Returns whether the end was reached: everything settled, sentinels seen, then *quiet_s*
        without a delivery. By default that is 0, or the profile's quiet time where nothing was
        published, so that there is no lane to put a sentinel on.
        """
        settled = self._until(turn, lambda: self._recorder.is_done(self._subscription))
        self._sent = self._send_sentinels()
        marked = self._until(turn, lambda: self._sent <= self._recorder.sentinels)
        if quiet_s is None:
            quiet_s = 0.0 if self._sent else self._timing.quiet_s
        still = Deadline(quiet_s)
        while not still.is_over:
            if turn(min(still.left_s, _LOOK_S)):
                still = Deadline(quiet_s)
        return settled and marked

    def watch(self, quiet_s: float | None = None) -> bool:
        """Wait for the end while other threads receive and settle; return whether it was reached.

        Every event counts as progress.
        """
        seen = 0

        def turn(for_s: float) -> bool:
            nonlocal seen
            before = seen
            self._recorder.wait_for(lambda: self._recorder.count > before, within_s=for_s)
            seen = self._recorder.count
            return seen > before

        return self.run(turn, quiet_s)

    def _until(self, turn: Callable[[float], bool], is_over: Callable[[], bool]) -> bool:
        patience = Deadline(self._timing.patience_s)
        while not is_over():
            if patience.is_over:
                return False
            if turn(min(_LOOK_S, patience.left_s)):
                patience = Deadline(self._timing.patience_s)
        return True

    def _send_sentinels(self) -> set[tuple[str, int]]:
        awaited = self._recorder.awaited(self._subscription)
        samples = list(awaited.samples.values())[:_LANES]
        producer = self._open_sentinels(awaited.scope.topic)
        sent = set()
        for sample in map(self._recorder.published, samples):
            stamp = self._recorder.sentinel()
            producer.publish_many([_imitate(sample, stamps.write(stamp))])
            sent.add((self._subscription, stamp.n))
        producer.flush(self._timing.patience_s)
        return sent


def _imitate(sample: Message, body: bytes) -> Message:
    return Message(body, sample.key, sample.routing_key, sample.headers)


def drain(
    end: Drain,
    consumers: Iterable[RecordingConsumer],
    *,
    handler: Handler = acked,
    quiet_s: float | None = None,
) -> bool:
    """Drain with *consumers*, taking turns on this thread; settlements are flushed at the end."""
    members = list(consumers)

    def turn(for_s: float) -> bool:
        came = [held for each in members for held in each.receive(timeout_s=for_s / len(members))]
        for held in came:
            handler(held)
        return bool(came)

    reached = end.run(turn, quiet_s)
    for each in members:
        each.settled()
    return reached
