"""What is still to come, kept while a run goes on, so that a drain knows when it is done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from unibus_contract.history import Event, Kind, Phase, Scope


@dataclass(slots=True)
class Awaited:
    """What one subscription has yet to settle.

    Attributes:
        scope: What it wants and when it gives up.
        open: Messages accepted for it and not settled.
        finished: Messages it has settled or given up.
        failures: Nacks by message.
        samples: For each key, routing key and headers of what it wants, a message that has them.
    """

    scope: Scope
    open: set[str] = field(default_factory=set)
    finished: set[str] = field(default_factory=set)
    failures: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    samples: dict[tuple[str, str, str], str] = field(default_factory=dict)


class Ledger:
    """Follows the events of a run; not thread-safe, its recorder guards it."""

    def __init__(self) -> None:
        self._awaited: dict[str, Awaited] = {}
        self._published: dict[str, Event] = {}
        self._accepted: set[str] = set()

    def register(self, scope: Scope, *, with_past: bool = False) -> None:
        """Follow *scope* from now on; *with_past* also what was accepted for its topic before."""
        awaited = self._awaited.setdefault(scope.subscription, Awaited(scope))
        awaited.scope = scope
        if with_past:
            for message in self._accepted:
                _await(awaited, self._published[message])

    def rewind(self, subscription: str, is_again: Callable[[Event], bool]) -> None:
        """Await again what *subscription* had finished and *is_again* says will come once more."""
        awaited = self._awaited[subscription]
        again = {each for each in awaited.finished if is_again(self._published[each])}
        awaited.finished -= again
        awaited.open |= again

    def of(self, subscription: str) -> Awaited:
        """Return what *subscription* awaits.

        Raises:
            KeyError: It was never registered.
        """
        return self._awaited[subscription]

    def follow(self, event: Event) -> None:
        """Take note of *event*."""
        if event.kind is Kind.PUBLISH:
            self._follow_publish(event)
        elif event.phase is Phase.INVOKE and event.subscription in self._awaited:
            self._follow_settlement(self._awaited[event.subscription], event)

    def _follow_publish(self, event: Event) -> None:
        if event.phase is Phase.INVOKE:
            self._published.setdefault(event.message, event)
        elif event.phase is Phase.OK:
            self._accepted.add(event.message)
            for awaited in self._awaited.values():
                _await(awaited, self._published[event.message])

    def _follow_settlement(self, awaited: Awaited, event: Event) -> None:
        scope = awaited.scope
        if event.kind is Kind.NACK:
            awaited.failures[event.message] += 1
        limit = scope.max_attempts
        is_spent = limit is not None and awaited.failures[event.message] >= limit
        is_dead = event.kind is Kind.REJECT or (event.kind is Kind.NACK and is_spent)
        if event.kind is Kind.ACK or is_dead:
            awaited.finished.add(event.message)
            awaited.open.discard(event.message)
        if is_dead and scope.dead_letter in self._awaited:
            self._awaited[scope.dead_letter].open.add(event.message)


def _await(awaited: Awaited, published: Event) -> None:
    if published.destination != awaited.scope.topic or not awaited.scope.wants(published):
        return
    if published.message not in awaited.finished:
        awaited.open.add(published.message)
    sample = (published.key, published.routing_key, published.headers)
    awaited.samples.setdefault(sample, published.message)
