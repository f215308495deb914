"""Does a message arrive as it was published, and end when its consumer has ended?"""

from __future__ import annotations

from collections.abc import Iterator

from unibus_contract.checkers.story import Story, tell
from unibus_contract.history import Event, History, Kind, Phase, Scope
from unibus_contract.judgement import Finding, first

CARRIED = ("body", "headers", "key", "routing_key")


def fidelity(history: History, scope: Scope) -> Finding | None:
    """Find a delivery whose body, headers, keys or id differ from what was published."""
    return first(_altered(tell(history, scope)))


def _altered(story: Story) -> Iterator[Finding]:
    for hold in story.holds:
        published = story.published.get(hold.delivery.message)
        if published is not None:
            yield from differences("fidelity", published.invoke, hold.delivery)
    for message, holds in story.by_message.items():
        for hold in holds[1:]:
            if hold.delivery.identity != holds[0].delivery.identity:
                sentence = f"the id of {message} changed between two deliveries"
                yield Finding("fidelity", sentence, (holds[0].delivery, hold.delivery))


def differences(checker: str, published: Event, delivered: Event) -> Iterator[Finding]:
    """Yield what *delivered* does not carry as it was *published*."""
    fields = (*CARRIED, "identity") if published.identity else CARRIED
    for name in fields:
        sent, got = getattr(published, name), getattr(delivered, name)
        if sent != got:
            sentence = f"the {name} of {published.message} was {sent!r} and arrived as {got!r}"
            yield Finding(checker, sentence, (published, delivered))


def lifecycle(history: History, scope: Scope) -> Finding | None:
    """Find a delivery to a consumer whose close had returned."""
    return first(_after_close(history, scope))


def _after_close(history: History, scope: Scope) -> Iterator[Finding]:
    closed: dict[str, Event] = {}
    for event in history.of(Kind.CLOSE, Kind.DELIVER):
        if event.kind is Kind.CLOSE and event.phase is not Phase.INVOKE:
            closed[event.process] = event
        elif event.subscription == scope.subscription and event.process in closed:
            sentence = f"{event.message} was delivered to {event.process}, which was closed"
            yield Finding("lifecycle", sentence, (closed[event.process], event))
