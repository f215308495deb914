"""A history retold by message: who published it, and who held it from when to when."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from unibus_contract.history import SETTLEMENTS, Event, History, Kind, Phase, Scope

_GIVEN_UP = frozenset({Kind.ACK, Kind.REJECT})
_NOTED_LATE = 0.2  # of a lease: it begins when the broker sends, and is noted when it has come


@dataclass(slots=True)
class Published:
    """One message and what is known about its being at the broker.

    Attributes:
        invoke: Its first publish.
        phase: ``OK`` if any publish of it was accepted, ``FAIL`` if all were refused.
        end: The event that says so; ``None`` while undecided.
    """

    invoke: Event
    phase: Phase = Phase.INFO
    end: Event | None = None

    @property
    def evidence(self) -> tuple[Event, ...]:
        """The events that tell of it."""
        return (self.invoke,) if self.end is None else (self.invoke, self.end)


@dataclass(slots=True)
class Hold:
    """One delivery in the hands of one consumer.

    Attributes:
        delivery: When it came.
        verdict: The first settlement of it that was asked for.
        result: How that went; ``None`` while nobody knows.
        ended: From when on it was the consumer's no more: its settlement, or the close, crash or
            fault that took it away; ``None`` if it is held to the end of the history.
    """

    delivery: Event
    verdict: Event | None = None
    result: Event | None = None
    ended: Event | None = None

    def may_have_run_out(self, t: float, lease_s: float | None) -> bool:
        """Return whether a lease of *lease_s* may be over at second *t*."""
        return lease_s is not None and t >= self.delivery.t + lease_s * (1 - _NOTED_LATE)

    @property
    def is_final(self) -> bool:
        """Whether it may have been settled for good."""
        return (
            self.verdict is not None
            and self.verdict.kind in _GIVEN_UP
            and (self.result is None or self.result.phase is not Phase.FAIL)
        )

    @property
    def evidence(self) -> tuple[Event, ...]:
        """The events that tell of it, in order."""
        found = {
            each.seq: each
            for each in (self.delivery, self.verdict, self.ended, self.result)
            if each
        }
        return tuple(found[seq] for seq in sorted(found))


@dataclass(slots=True)
class Story:
    """What concerns one scope.

    Attributes:
        scope: The scope.
        published: Messages that the subscription wants, by logical id, in publishing order.
        strangers: Messages that it does not want: of other topics, or filtered away.
        holds: Every delivery, in order.
        by_message: The same, by logical id.
    """

    scope: Scope
    published: dict[str, Published] = field(default_factory=dict)
    strangers: dict[str, Published] = field(default_factory=dict)
    holds: list[Hold] = field(default_factory=list)
    by_message: defaultdict[str, list[Hold]] = field(default_factory=lambda: defaultdict(list))

    def failures(self, message: str) -> list[Hold]:
        """Return the deliveries of *message* that were answered with a nack."""
        return [
            each
            for each in self.by_message[message]
            if each.verdict is not None and each.verdict.kind is Kind.NACK
        ]

    def is_dead(self, message: str) -> bool:
        """Return whether *message* was given up, so that a dead letter takes it."""
        if self.scope.dead_letter is None:
            return False
        rejected = any(
            each.is_final and each.verdict is not None and each.verdict.kind is Kind.REJECT
            for each in self.by_message[message]
        )
        limit = self.scope.max_attempts
        return rejected or (limit is not None and len(self.failures(message)) >= limit)

    def is_finished(self, message: str) -> bool:
        """Return whether nobody is to see *message* again."""
        return self.is_dead(message) or any(each.is_final for each in self.by_message[message])


def tell(history: History, scope: Scope) -> Story:
    """Return the story of *scope*."""
    story = Story(scope)
    _tell_publishes(history, story)
    _tell_holds(history, story)
    return story


def _tell_publishes(history: History, story: Story) -> None:
    scope = story.scope
    for event in history.of(Kind.PUBLISH):
        is_ours = event.destination == scope.topic and scope.wants(event)
        known = story.published if is_ours else story.strangers
        if event.phase is Phase.INVOKE:
            known.setdefault(event.message, Published(event))
        elif (found := known.get(event.message)) is not None and found.phase is not Phase.OK:
            found.phase, found.end = event.phase, event


def _tell_holds(history: History, story: Story) -> None:
    open_by_process: defaultdict[str, dict[str, Hold]] = defaultdict(dict)
    by_lease: dict[str, Hold] = {}
    for event in history.events:
        if event.kind is Kind.FAULT:
            _end_all(open_by_process, None, event)
        elif event.kind in (Kind.CLOSE, Kind.CRASH):
            _end_all(open_by_process, event.process, event)
        elif event.subscription != story.scope.subscription:
            continue
        elif event.kind is Kind.DELIVER and event.phase is not Phase.FAIL:
            hold = Hold(event)
            story.holds.append(hold)
            story.by_message[event.message].append(hold)
            by_lease[event.lease] = open_by_process[event.process][event.lease] = hold
        elif event.kind in SETTLEMENTS and event.lease in by_lease:
            _settle(by_lease[event.lease], event)
            open_by_process[event.process].pop(event.lease, None)


def _settle(hold: Hold, event: Event) -> None:
    if hold.verdict is None:
        hold.verdict = event
        hold.ended = hold.ended or event
    elif event.kind is hold.verdict.kind and event.phase is not Phase.INVOKE:
        hold.result = event


def _end_all(
    open_by_process: defaultdict[str, dict[str, Hold]], process: str | None, event: Event
) -> None:
    for name in (process,) if process is not None else tuple(open_by_process):
        for hold in open_by_process[name].values():
            hold.ended = event
        open_by_process[name].clear()
