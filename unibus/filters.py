"""Which messages a filter lets through, exactly as RabbitMQ's exchanges decide it.

Rules, seen on RabbitMQ 3.10.8: a topic pattern is a list of words separated by dots; ``#`` is any
number of words, none included; ``*`` is exactly one word, which may be empty; the empty routing key
has no words. Header values are compared with their type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from unibus.message import HeaderValue, Message
from unibus.specs import Exact, Filter, HeaderMatch, Pattern

Predicate = Callable[[Message], bool]

# Every word is led by a dot here, so that a key of no words and a key of one empty word differ.
_ANY_WORDS = r"(?:\.[^.]*)*"
_FEW_WORDS = r"(?:\.[^.]*)*?"
_ONE_WORD = r"\.[^.]*"
_WORD_ENDS = r"(?![^.])"


def compile_filter(chosen: Filter | None) -> Predicate:
    """Return the test that *chosen* puts to a message; no filter lets everything through."""
    match chosen:
        case None:
            return _everything
        case Exact():
            return _exact(chosen.routing_key)
        case Pattern():
            return _pattern(chosen.patterns)
        case HeaderMatch():
            return _header_match(chosen)


def _everything(_message: Message) -> bool:
    return True


def _exact(wanted: str) -> Predicate:
    def is_wanted(message: Message) -> bool:
        return (message.routing_key or "") == wanted

    return is_wanted


def _pattern(patterns: tuple[str, ...]) -> Predicate:
    full_match = re.compile("|".join(map(_expression, patterns))).fullmatch

    def is_matched(message: Message) -> bool:
        key = message.routing_key
        return full_match(f".{key}" if key else "") is not None

    return is_matched


def _expression(pattern: str) -> str:
    """Return a regular expression that takes linear time in each ``#``.

    What stands between two ``#`` may as well match where it first can (as in a glob), so each of
    those is an atomic group: without that, ``#.a.#.a.#`` takes polynomial time.
    """
    words = pattern.split(".") if pattern else []
    runs: list[list[str]] = [[]]
    for word in words:
        if word == "#":
            runs.append([])
        else:
            runs[-1].append(_ONE_WORD if word == "*" else rf"\.{re.escape(word)}")
    first, *others = ("".join(run) + _WORD_ENDS for run in runs)
    if not others:
        return first
    *middle, last = others
    atoms = "".join(f"(?>{_FEW_WORDS}{run})" for run in middle)
    return f"{first}{atoms}{_ANY_WORDS}{last}"


def _header_match(chosen: HeaderMatch) -> Predicate:
    wanted = tuple(chosen.headers.items())
    decide = all if chosen.match == "all" else any

    def is_matched(message: Message) -> bool:
        headers: Mapping[str, HeaderValue] = message.headers or {}
        return decide(_has(headers, name, value) for name, value in wanted)

    return is_matched


def _has(headers: Mapping[str, HeaderValue], name: str, value: HeaderValue) -> bool:
    if name not in headers:
        return False
    found = headers[name]
    return value is None or (type(found) is type(value) and found == value)
