from __future__ import annotations

import pytest

from unibus import header_names as names
from unibus.emulation.provenance import (
    MAX_DETAIL,
    dead_copy,
    dead_letter,
    previous_attempts,
    redriven_copy,
)
from unibus.message import DeadLetter, HeaderValue, Message
from unibus.specs import Subscription, Topic

SUBSCRIPTION = Subscription("s", topic=Topic("t"))


def test_the_first_death_and_the_origin_outlive_a_redrive() -> None:
    first = dead_copy(
        Message(b"m", id="1"),
        SUBSCRIPTION,
        DeadLetter(reason="rejected", detail="d", attempts=3, first_at_s=100.0),
    )
    sent_back = redriven_copy(first)
    elsewhere = Subscription("other", topic=Topic("other"))

    second = dead_copy(
        sent_back, elsewhere, DeadLetter(reason="max attempts", attempts=1, first_at_s=900.0)
    )

    death = dead_letter(second.headers)
    assert death == DeadLetter(
        reason="max attempts",
        topic="t",
        subscription="other",
        attempts=1,
        first_at_s=100.0,
        redrives=1,
    )
    assert second.id == "1"


def test_attempts_begin_anew_with_a_redrive() -> None:
    message = Message(b"m", headers={names.ATTEMPTS: "4", "h": "kept"})

    copy = redriven_copy(message)

    assert previous_attempts(copy) == 0
    assert (copy.headers or {})["h"] == "kept"


def test_what_the_program_said_is_cut_to_a_size_that_a_header_can_have() -> None:
    copy = dead_copy(Message(b"m"), SUBSCRIPTION, DeadLetter(reason="rejected", detail="x" * 9999))

    death = dead_letter(copy.headers)
    assert death is not None
    assert len(death.detail) == MAX_DETAIL


@pytest.mark.parametrize("value", ["", "-1", "1.5", "many", "²", "9" * 5000, None, b"\xff"])
def test_a_count_that_is_no_number_says_nothing(value: HeaderValue) -> None:
    assert previous_attempts(Message(b"", headers={names.ATTEMPTS: value})) == 0


def test_a_message_that_never_died_has_no_dead_letter() -> None:
    assert dead_letter(None) is None
    assert dead_letter({"h": 1}) is None
