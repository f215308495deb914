"""Does a settlement count exactly while its lease holds, and is the attempt counted right?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from unibus_contract.checkers.story import Hold, Story, tell
from unibus_contract.history import History, Kind, Phase, Scope
from unibus_contract.judgement import Finding, first

Checker = Callable[[History, Scope], Finding | None]


def fencing(history: History, scope: Scope) -> Finding | None:
    """Find a late settlement that was confirmed, or one in time that was refused."""
    return first(_unfenced(tell(history, scope)))


def _unfenced(story: Story) -> Iterator[Finding]:
    for message, holds in story.by_message.items():
        for index, hold in enumerate(holds):
            if hold.verdict is None or hold.result is None:
                continue
            later = [each for each in holds[index + 1 :] if each.delivery.seq < hold.verdict.seq]
            if later and hold.result.phase is Phase.OK:
                sentence = f"{message} was settled under a lease that another had taken over"
                evidence = (hold.delivery, later[0].delivery, hold.verdict, hold.result)
                yield Finding("fencing", sentence, evidence)
            if hold.result.phase is Phase.FAIL and not later and _is_live(hold, story.scope):
                sentence = f"{message} was in hand, and its settlement was refused"
                yield Finding("fencing", sentence, hold.evidence)


def _is_live(hold: Hold, scope: Scope) -> bool:
    if hold.verdict is None or hold.ended is not hold.verdict:
        return False  # closed, crashed or faulted before it was settled
    return not hold.may_have_run_out(hold.verdict.t, scope.lease_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """What raises the attempt number, besides a nack; ``None``: it may or may not.

    Attributes:
        is_exact: The number is right; else it only has to begin at 1 or more and never fall.
        release: A release does.
        loss: A close, crash, fault or a lease that runs out does.
    """

    is_exact: bool = True
    release: bool | None = False
    loss: bool | None = None


def attempts(counting: Counting | None = None) -> Checker:
    """Return the checker of attempt numbers, exact by default."""
    rules = counting or Counting()

    def check(history: History, scope: Scope) -> Finding | None:
        return first(_miscounted(tell(history, scope), rules))

    return check


def _miscounted(story: Story, rules: Counting) -> Iterator[Finding]:
    for message, holds in story.by_message.items():
        lowest = highest = previous = 1
        for index, hold in enumerate(holds):
            number = hold.delivery.attempt
            low, high = (lowest, highest) if rules.is_exact else (previous, float("inf"))
            if not low <= number <= high:
                wanted = f"{low}" if low == high else f"{low} to {high}"
                sentence = f"delivery {index + 1} of {message} is attempt {number}, not {wanted}"
                evidence = tuple(event for each in holds[: index + 1] for event in each.evidence)
                yield Finding("attempts", sentence, evidence)
                break
            previous = number
            counts = _counts(hold, rules)
            lowest += counts is True
            highest += counts is not False


def _counts(hold: Hold, rules: Counting) -> bool | None:
    if hold.verdict is not None and hold.ended is hold.verdict:
        if hold.verdict.kind is Kind.NACK:
            return True
        if hold.verdict.kind is Kind.RELEASE:
            return rules.release
    return rules.loss


def concurrency(bound: int) -> Checker:
    """Return the checker that no consumer ever holds more than *bound* unsettled deliveries."""

    def check(history: History, scope: Scope) -> Finding | None:
        return first(_excesses(tell(history, scope), bound))

    return check


def _excesses(story: Story, bound: int) -> Iterator[Finding]:
    held: dict[str, list[Hold]] = {}
    for hold in story.holds:
        process, now = hold.delivery.process, hold.delivery.seq
        still = [
            each for each in held.get(process, []) if each.ended is None or each.ended.seq > now
        ]
        held[process] = [*still, hold]
        if len(held[process]) > bound:
            sentence = f"{process} holds {len(held[process])} deliveries, {bound} are allowed"
            yield Finding("concurrency", sentence, tuple(each.delivery for each in held[process]))
