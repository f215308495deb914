"""Does what cannot be handled end in the dead letter queue, once, whole, and with its story?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from unibus_contract.checkers.fidelity import differences
from unibus_contract.checkers.story import Hold, Story, tell
from unibus_contract.history import Event, History, Kind, Scope
from unibus_contract.judgement import Finding, first

NAME = "dead letter"
REJECTED = "rejected"
MAX_ATTEMPTS = "max attempts"


def provenance(reason: str, detail: str, topic: str, subscription: str, attempts: int) -> str:
    """Return how an event's ``death`` tells the story of a dead letter."""
    told = {
        "reason": reason,
        "detail": detail,
        "topic": topic,
        "subscription": subscription,
        "attempts": str(attempts),
    }
    return "; ".join(f"{name}={value}" for name, value in told.items())


def dead_letter(history: History, scope: Scope) -> Finding | None:
    """Find what was given up and is not in the dead letter queue exactly once, whole and explained.

    Also what is there and was never given up. A duplicate by a crash in the hand-over is allowed:
    a history with a crash or a fault may hold the same dead letter twice.
    """
    if scope.dead_letter is None:
        raise ValueError(f"subscription {scope.subscription} has no dead letter queue")
    return first(_wrong_letters(history, scope, scope.dead_letter))


def _wrong_letters(history: History, scope: Scope, queue: str) -> Iterator[Finding]:
    story = tell(history, scope)
    letters = tell(history, Scope(scope.topic, queue)).by_message
    is_calm = not history.of(Kind.CRASH, Kind.FAULT)
    for message, published in story.published.items():
        found = letters.get(message, [])
        if story.is_dead(message):
            last = story.by_message[message][-1].evidence
            if not found:
                sentence = f"{message} was given up and is not in {queue}"
                yield Finding(NAME, sentence, (*published.evidence, *last))
            if len(found) > 1 and is_calm and not _came_back(found):
                sentence = f"{message} is in {queue} {len(found)} times"
                yield Finding(NAME, sentence, (*last, *(each.delivery for each in found)))
            for letter in found:
                yield from differences(NAME, published.invoke, letter.delivery)
                yield from _untold(story, published.invoke, letter.delivery, is_calm=is_calm)
        elif found:
            sentence = f"{message} is in {queue} and was never given up"
            yield Finding(NAME, sentence, (*published.evidence, found[0].delivery))
    known = story.published
    for message in (each for each in letters if each not in known):
        sentence = f"{message} is in {queue} and was not published to {scope.topic}"
        yield Finding(NAME, sentence, (letters[message][0].delivery,))


def _came_back(found: list[Hold]) -> bool:
    """Return whether the reader of the queue itself gave each letter back before the next."""
    return all(not each.is_final and each.ended is not None for each in found[:-1])


def _untold(story: Story, published: Event, letter: Event, *, is_calm: bool) -> Iterator[Finding]:
    holds = story.by_message[published.message]
    rejection = next(
        (e.verdict for e in holds if e.verdict and e.verdict.kind is Kind.REJECT), None
    )
    expected = {
        "reason": MAX_ATTEMPTS if rejection is None else REJECTED,
        "topic": story.scope.topic,
        "subscription": story.scope.subscription,
    }
    if is_calm:  # otherwise what a crash or a fault took away may count as well
        attempts = len(story.failures(published.message)) + (rejection is not None)
        expected["attempts"] = str(attempts)
    if rejection is not None:
        expected["detail"] = rejection.error
    told = _parse(letter.death)
    wrong = {name: value for name, value in expected.items() if told.get(name) != value}
    if wrong:
        asked = ", ".join(f"{name}={value}" for name, value in wrong.items())
        sentence = f"the dead letter of {published.message} does not tell {asked}"
        yield Finding(NAME, sentence, (holds[-1].delivery, letter))


def _parse(death: str) -> Mapping[str, str]:
    pairs = (part.partition("=") for part in death.split("; ") if part)
    return {name: value for name, _, value in pairs}
