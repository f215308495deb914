"""Do messages of one key come in the order in which they were published?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Literal

from unibus_contract.checkers.story import Hold, Story, tell
from unibus_contract.history import Event, History, Kind, Phase, Scope
from unibus_contract.judgement import Finding, first

Lane = tuple[str, str]
By = Literal["key", "topic"]


def order(by: By = "key") -> Callable[[History, Scope], Finding | None]:
    """Return the checker of first deliveries: per producer and key, or per producer alone."""

    def check(history: History, scope: Scope) -> Finding | None:
        story = tell(history, scope)
        firsts = [holds[0] for holds in story.by_message.values()]
        firsts.sort(key=lambda each: each.delivery.seq)
        return first(_steps_back(story, firsts, by, "order", "was delivered after"))

    return check


def order_of_effects(by: By = "key") -> Callable[[History, Scope], Finding | None]:
    """Return the checker of the order in which acks took effect, whatever was redelivered."""

    def check(history: History, scope: Scope) -> Finding | None:
        story = tell(history, scope)
        acked = [each for each in story.holds if _has_effect(each)]
        acked.sort(key=lambda each: each.verdict.seq if each.verdict else 0)
        return first(_steps_back(story, acked, by, "order of effects", "took effect after"))

    return check


def order_across_redelivery(by: By = "key") -> Callable[[History, Scope], Finding | None]:
    """Return the checker that a message given back is not overtaken by a later one of its lane.

    Later ones that were in hand already when it was given back are no finding.
    """

    def check(history: History, scope: Scope) -> Finding | None:
        return first(_overtakings(tell(history, scope), by))

    return check


def _lane(event: Event, by: By) -> Lane:
    return (event.process, event.key if by == "key" else "")


def _has_effect(hold: Hold) -> bool:
    is_ack = hold.verdict is not None and hold.verdict.kind is Kind.ACK
    return is_ack and hold.result is not None and hold.result.phase is not Phase.FAIL


def _steps_back(
    story: Story, holds: list[Hold], by: By, checker: str, verb: str
) -> Iterator[Finding]:
    furthest: dict[Lane, tuple[Event, Hold]] = {}
    for hold in holds:
        published = story.published.get(hold.delivery.message)
        if published is None:
            continue
        lane = _lane(published.invoke, by)
        ahead = furthest.get(lane)
        if ahead is None or published.invoke.seq >= ahead[0].seq:
            furthest[lane] = (published.invoke, hold)
            continue
        invoke, other = ahead
        sentence = f"{published.invoke.message} {verb} {invoke.message}, published before it"
        evidence = (published.invoke, invoke, *other.evidence, *hold.evidence)
        yield Finding(checker, sentence, evidence)


def _overtakings(story: Story, by: By) -> Iterator[Finding]:
    waiting: defaultdict[Lane, dict[str, Hold]] = defaultdict(dict)
    for kind, _, hold in sorted(_turns(story), key=lambda turn: turn[1]):
        published = story.published.get(hold.delivery.message)
        if published is None:
            continue
        lane = waiting[_lane(published.invoke, by)]
        if kind == "given back":
            lane[hold.delivery.message] = hold
            continue
        lane.pop(hold.delivery.message, None)
        for message, earlier in lane.items():
            if story.published[message].invoke.seq < published.invoke.seq:
                sentence = f"{published.invoke.message} overtook {message}, which was given back"
                evidence = (published.invoke, *earlier.evidence, hold.delivery)
                yield Finding("order across redelivery", sentence, evidence)


def _turns(story: Story) -> Iterator[tuple[str, int, Hold]]:
    for hold in story.holds:
        yield "delivered", hold.delivery.seq, hold
        if hold.ended is not None and not hold.is_final and not _was_given_up(story, hold):
            yield "given back", hold.ended.seq, hold


def _was_given_up(story: Story, hold: Hold) -> bool:
    message = hold.delivery.message
    return story.is_dead(message) and hold is story.by_message[message][-1]
