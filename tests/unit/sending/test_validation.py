from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from fakes_send import PROFILE, binding

from unibus.clock import ManualClock
from unibus.engine.validation import Checked, Validation
from unibus.errors import MessageRejectedError, MessageTooLargeError, UnsupportedError
from unibus.message import Headers, HeaderValue, Message
from unibus.spi import Capabilities, HeaderLimits, emulated, native

BARE = Capabilities()
FULL = PROFILE.capabilities


def check(message: Message, capabilities: Capabilities = FULL) -> Checked:
    return Validation(binding(capabilities=capabilities), ManualClock()).check(message)


def test_a_plain_message_has_no_extras() -> None:
    assert check(Message(b"abc", "key", "r.k")) == (3, None)


@pytest.mark.parametrize(
    ("message", "named"),
    [
        (Message(b"a", delay_s=1), "delay_s"),
        (Message(b"a", ttl_s=1), "ttl_s"),
        (Message(b"a", priority=1), "priority"),
        (Message(b"a", headers={"a": "b"}), "headers"),
        (Message(None), "tombstone"),
        (Message(b""), "empty body"),
    ],
)
def test_what_the_profile_lacks_is_refused_by_name(message: Message, named: str) -> None:
    with pytest.raises(UnsupportedError, match=named):
        check(message, BARE)


def test_a_delay_beyond_the_longest_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="above 60"):
        check(Message(b"a", delay_s=61))


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), "5"])
def test_times_are_seconds_above_zero(seconds: float) -> None:
    with pytest.raises(MessageRejectedError):
        check(Message(b"a", delay_s=seconds))
    with pytest.raises(MessageRejectedError):
        check(Message(b"a", ttl_s=seconds))


@pytest.mark.parametrize("priority", [-1, 10, 1.5, True])
def test_a_priority_is_one_of_the_levels(priority: int) -> None:
    with pytest.raises(MessageRejectedError, match="0 to 9"):
        check(Message(b"a", priority=priority))


def test_a_body_over_the_limit_is_refused_with_both_sizes() -> None:
    with pytest.raises(MessageTooLargeError, match=r"1001 bytes.*1000"):
        check(Message(b"x" * 1001))


@pytest.mark.parametrize("body", ["text", bytearray(b"x"), 5])
def test_a_body_is_bytes(body: bytes) -> None:
    with pytest.raises(MessageRejectedError, match="has to be bytes"):
        check(Message(body))


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ({"unibus-attempts": "1"}, "unibus-"),
        ({"a": 1.5}, "'a' is float"),
        ({"a": True}, "'a' is bool"),
        ({"": "x"}, "non-empty"),
        ({"a": "\ud800"}, "UTF-8"),
        ({"a": "1", "b": "2", "c": "3", "d": "4"}, "4 headers"),
        ({"a": "x" * 100}, "101 bytes"),
        (Headers([("a", "1"), ("a", "2")]), "twice"),
    ],
)
def test_headers_that_cannot_be_carried_are_refused(
    headers: dict[str, HeaderValue], named: str
) -> None:
    with pytest.raises(MessageRejectedError, match=named):
        check(Message(b"a", headers=headers))


def test_a_naive_datetime_is_refused_and_an_aware_one_is_not() -> None:
    limits = HeaderLimits(types=frozenset({"datetime"}))
    capabilities = replace(FULL, headers=native(limits))

    with pytest.raises(MessageRejectedError, match="naive"):
        check(Message(b"a", headers={"at": datetime(2026, 1, 1)}), capabilities)  # noqa: DTZ001  # the point
    check(Message(b"a", headers={"at": datetime(2026, 1, 1, tzinfo=UTC)}), capabilities)


def test_a_refusal_never_shows_a_value() -> None:
    with pytest.raises(MessageRejectedError) as caught:
        check(Message(b"a", headers={"secret": [b"hunter2"]}))  # type: ignore[dict-item]  # the point

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("field", ["key", "routing_key", "id"])
def test_names_are_text_that_utf8_can_write(field: str) -> None:
    for value in (5, "\ud800"):
        message = Message(b"a")
        setattr(message, field, value)

        with pytest.raises(MessageRejectedError, match=field):
            check(message)


def test_a_routing_key_is_measured_in_bytes() -> None:
    check(Message(b"a", routing_key="x" * 255))
    with pytest.raises(MessageRejectedError, match="256 bytes"):
        check(Message(b"a", routing_key="é" * 128))


def test_headers_are_not_the_programs_own_object() -> None:
    mine: dict[str, HeaderValue] = {"a": "1"}

    checked = check(Message(b"a", headers=mine))
    mine["a"] = "2"

    assert checked.extras is not None
    assert checked.extras.headers == {"a": "1"}
    assert checked.size == 3


def test_a_lifetime_that_we_keep_travels_as_a_header() -> None:
    ours = replace(FULL, ttl=emulated(value=True, how="at the consumer", cost="none"))
    rules = Validation(
        replace(binding(capabilities=ours), profile=replace(PROFILE, capabilities=BARE)),
        ManualClock(wall_s=1_000),
    )

    checked = rules.check(Message(b"a", ttl_s=5))

    assert checked.extras is not None
    assert checked.extras.headers == {"unibus-expires-at": "1005000"}
    assert checked.extras.timing is None


def test_a_lifetime_that_the_broker_keeps_does_not() -> None:
    checked = check(Message(b"a", ttl_s=5))

    assert checked.extras == (None, None, (None, 5, None))
