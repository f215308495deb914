from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unibus.filters import compile_filter
from unibus.message import HeaderValue, Message
from unibus.specs import Exact, Filter, HeaderMatch, Pattern


def _matches(chosen: Filter | None, routing_key: str | None) -> bool:
    return compile_filter(chosen)(Message(b"", routing_key=routing_key))


def _header_matches(chosen: HeaderMatch, headers: dict[str, HeaderValue]) -> bool:
    return compile_filter(chosen)(Message(b"", headers=headers))


@pytest.mark.parametrize(
    ("pattern", "key", "expected"),
    [
        ("user.*", "user.created", True),
        ("user.*", "user", False),
        ("user.*", "user.", True),
        ("user.*", "user.a.b", False),
        ("*", "", False),
        ("*", "a", True),
        ("#", "", True),
        ("#", "a.b.c", True),
        ("a.#", "a", True),
        ("a.#", "ab", False),
        ("#.created", "created", True),
        ("#.created", "user.created", True),
        ("#.created", "user.recreated", False),
        ("a.#.b", "a.b", True),
        ("a.#.b", "a.x.y.b", True),
        ("a.#.b", "a.xb", False),
        ("#.a.#", "x.ab.a", True),
        ("#.a.#", "x.ab", False),
        ("#.#", "", True),
        ("*.#.*", "a", False),
        ("*.#.*", "a.b", True),
        ("*.*", ".", True),
        ("a..b", "a..b", True),
        ("a..b", "a.b", False),
        ("", "", True),
        ("", "a", False),
        ("a+b", "a+b", True),
        ("a+b", "aab", False),
    ],
)
def test_a_pattern_matches_as_a_topic_exchange_does(
    pattern: str, key: str, *, expected: bool
) -> None:
    assert _matches(Pattern(pattern), key) is expected


def _reference(pattern: list[str], words: list[str]) -> bool:
    """RabbitMQ's trie walk, spelled out."""
    if not pattern:
        return not words
    head, rest = pattern[0], pattern[1:]
    if head == "#":
        return any(_reference(rest, words[skip:]) for skip in range(len(words) + 1))
    return bool(words) and head in ("*", words[0]) and _reference(rest, words[1:])


_WORDS = st.lists(st.sampled_from(["", "a", "b", "ab"]), max_size=6).map(".".join)
_PATTERNS = st.lists(st.sampled_from(["", "a", "b", "*", "#"]), max_size=6).map(".".join)


@given(_PATTERNS, _WORDS)
def test_a_compiled_pattern_agrees_with_the_trie_walk(pattern: str, key: str) -> None:
    def split(text: str) -> list[str]:
        return text.split(".") if text else []

    assert _matches(Pattern(pattern), key) == _reference(split(pattern), split(key))


def test_many_hashes_do_not_make_matching_slow() -> None:
    chosen = Pattern(".".join(["#.a"] * 20) + ".#.z")
    started = time.process_time()

    assert not _matches(chosen, ".".join(["a"] * 120))
    assert time.process_time() - started < 1.0


def test_one_of_several_patterns_is_enough() -> None:
    chosen = Pattern("user.*", "#.created")

    assert [_matches(chosen, key) for key in ("user.x", "order.created", "order.x")] == [
        True,
        True,
        False,
    ]


def test_exact_takes_a_missing_routing_key_for_the_empty_one() -> None:
    assert _matches(Exact(""), None)
    assert not _matches(Exact("a"), None)


def test_no_filter_lets_everything_through() -> None:
    assert _matches(None, None)


@pytest.mark.parametrize(
    ("wanted", "found"), [(1, "1"), (1, True), (1, 1.0), (True, 1), ("a", b"a")]
)
def test_header_values_of_different_types_differ(wanted: HeaderValue, found: HeaderValue) -> None:
    assert not _header_matches(HeaderMatch({"h": wanted}), {"h": found})


def test_the_same_moment_in_two_time_zones_is_equal() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    elsewhere = moment.astimezone(timezone(timedelta(hours=2)))

    assert _header_matches(HeaderMatch({"h": moment}), {"h": elsewhere})


def test_a_wanted_none_asks_only_whether_the_header_is_there() -> None:
    chosen = HeaderMatch({"h": None})

    assert _header_matches(chosen, {"h": "anything"})
    assert not _header_matches(chosen, {"other": None})


def test_all_needs_every_header_and_any_needs_one() -> None:
    headers: dict[str, HeaderValue] = {"a": 1, "b": 2}

    assert not _header_matches(HeaderMatch(headers), {"a": 1})
    assert _header_matches(HeaderMatch(headers, match="any"), {"a": 1})
    assert not _header_matches(HeaderMatch(headers, match="any"), {})
