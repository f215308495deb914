"""Is everything there that should be, once, and nothing else?"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from unibus_contract.checkers.story import Hold, Story, tell
from unibus_contract.history import History, Phase, Scope
from unibus_contract.judgement import Finding, first


def loss(history: History, scope: Scope) -> Finding | None:
    """Find a message that was accepted and is nowhere: not settled, not held, not dead-lettered."""
    return first(_lost(tell(history, scope)))


def _lost(story: Story) -> Iterator[Finding]:
    for message, published in story.published.items():
        holds = story.by_message.get(message, [])
        if published.phase is not Phase.OK or story.is_finished(message):
            continue
        if not holds:
            sentence = f"{message} was accepted and never delivered to {story.scope.subscription}"
            yield Finding("loss", sentence, published.evidence)
        elif all(each.ended is not None for each in holds):
            sentence = f"{message} was given back unsettled and never delivered again"
            yield Finding("loss", sentence, (*published.evidence, *holds[-1].evidence))


def phantom(history: History, scope: Scope) -> Finding | None:
    """Find a delivery of what was never published here, was refused, or is filtered away."""
    return first(_phantoms(tell(history, scope)))


def _phantoms(story: Story) -> Iterator[Finding]:
    for hold in story.holds:
        message = hold.delivery.message
        stranger = story.strangers.get(message)
        published = story.published.get(message)
        if published is not None and published.phase is not Phase.FAIL:
            continue
        if published is not None:
            sentence = f"{message} was refused to its producer and delivered all the same"
            yield Finding("phantom", sentence, (*published.evidence, hold.delivery))
        elif stranger is not None:
            sentence = f"{message} does not belong to {story.scope.subscription}"
            yield Finding("phantom", sentence, (stranger.invoke, hold.delivery))
        else:
            yield Finding("phantom", f"{message} was published by nobody", (hold.delivery,))


def duplicate(history: History, scope: Scope) -> Finding | None:
    """Find a delivery of a message whose settlement was confirmed before."""
    return first(_repeated(tell(history, scope)))


def _repeated(story: Story) -> Iterator[Finding]:
    for message, holds in story.by_message.items():
        settled: Hold | None = None
        for hold in holds:
            if settled is not None and _is_after(hold, settled):
                sentence = f"{message} was settled and delivered again"
                yield Finding("duplicate", sentence, (*settled.evidence, hold.delivery))
            if hold.is_final and hold.result is not None and hold.result.phase is Phase.OK:
                settled = hold


def _is_after(hold: Hold, settled: Hold) -> bool:
    return settled.verdict is not None and hold.delivery.seq > settled.verdict.seq


def exclusivity(history: History, scope: Scope) -> Finding | None:
    """Find a message that was handed out while somebody else still had it."""
    return first(_shared(tell(history, scope)))


def _shared(story: Story) -> Iterator[Finding]:
    lease_s = story.scope.lease_s
    for message, holds in story.by_message.items():
        for earlier, later in pairwise(holds):
            given = later.delivery
            is_over = earlier.ended is not None and earlier.ended.seq < given.seq
            if not is_over and not earlier.may_have_run_out(given.t, lease_s):
                sentence = f"{message} was delivered while {earlier.delivery.process} held it"
                yield Finding("exclusivity", sentence, (earlier.delivery, given))


def certainty(history: History, scope: Scope) -> Finding | None:
    """Find a publish whose outcome was not true: refused but there, accepted but not."""
    story = tell(history, scope)
    return first(_untrue(story))


def _untrue(story: Story) -> Iterator[Finding]:
    for message, published in story.published.items():
        holds = story.by_message.get(message, [])
        if published.phase is Phase.FAIL and holds:
            sentence = f"{message} was reported as rejected and delivered"
            yield Finding("certainty", sentence, (*published.evidence, holds[0].delivery))
        if published.phase is Phase.OK and not holds:
            sentence = f"{message} was reported as accepted and not delivered"
            yield Finding("certainty", sentence, published.evidence)
