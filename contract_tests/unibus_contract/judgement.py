"""How a clause is found broken: a sentence and the few events that show it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING

from typing_extensions import override

from unibus.errors import UnibusError

if TYPE_CHECKING:
    from unibus_contract.history import Event


@dataclass(frozen=True, slots=True)
class Finding:
    """A counter-example: what is wrong, and the events without which it would not be.

    Attributes:
        checker: Name of the checker that found it.
        sentence: What is wrong, naming the message.
        events: The evidence, in the order in which it happened.
        more: How many further findings of the same kind there are.
    """

    checker: str
    sentence: str
    events: tuple[Event, ...] = ()
    more: int = 0

    @override
    def __str__(self) -> str:
        surplus = f" (and {self.more} more)" if self.more else ""
        lines = [f"{self.checker}: {self.sentence}{surplus}"]
        lines += [f"  {event}" for event in self.events]
        return "\n".join(lines)


def first(findings: Iterable[Finding]) -> Finding | None:
    """Return the first of *findings* with the number of those behind it; ``None`` without any."""
    rest = iter(findings)
    for found in islice(rest, 1):
        more = sum(1 for _ in rest)
        return Finding(found.checker, found.sentence, found.events, more)
    return None


class ViolationError(AssertionError):
    """The clause is broken. Nothing else counts as proof: a failing set-up or a timeout does not.

    Attributes:
        findings: What was found, most telling first.
    """

    def __init__(self, *findings: Finding) -> None:
        super().__init__("\n".join(map(str, findings)))
        self.findings = findings


def require(condition: object, sentence: str, *events: Event) -> None:
    """Break the clause with *sentence* unless *condition* is true.

    Raises:
        ViolationError: It is not.
    """
    if not condition:
        raise ViolationError(Finding("requirement", sentence, events))


def require_equal(expected: object, actual: object, sentence: str, *events: Event) -> None:
    """Break the clause unless *actual* equals *expected*.

    Raises:
        ViolationError: It does not; both values are shown.
    """
    require(expected == actual, f"{sentence}: expected {expected!r}, got {actual!r}", *events)


@contextmanager
def require_raises(
    *errors: type[UnibusError], sentence: str, saying: Iterable[str] = ()
) -> Iterator[None]:
    """Break the clause unless the block raises one of *errors*, with *saying* in its message.

    Raises:
        ViolationError: The block returned, raised something else, or did not name what it should.
    """
    names = " or ".join(each.__name__ for each in errors)
    try:
        yield
    except errors as error:
        missing = [word for word in saying if word not in str(error)]
        require(not missing, f"{sentence}: {error!r} does not mention {', '.join(missing)}")
    except ViolationError:
        raise
    except Exception as error:
        found = Finding("requirement", f"{sentence}: expected {names}, got {error!r}")
        raise ViolationError(found) from error
    else:
        raise ViolationError(Finding("requirement", f"{sentence}: expected {names}, got no error"))


@contextmanager
def require_quiet(sentence: str) -> Iterator[None]:
    """Break the clause if the block raises a ``UnibusError``.

    Raises:
        ViolationError: It does.
    """
    try:
        yield
    except UnibusError as error:
        found = Finding("requirement", f"{sentence}: expected no error, got {error!r}")
        raise ViolationError(found) from error


def judge(*found: Finding | None) -> None:
    """Break the clause if any of *found* is a finding.

    Raises:
        ViolationError: At least one is.
    """
    findings = tuple(chain(each for each in found if each is not None))
    if findings:
        raise ViolationError(*findings)
