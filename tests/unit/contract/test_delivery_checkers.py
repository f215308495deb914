from __future__ import annotations

from dataclasses import replace

from tale import DEAD, SCOPE, Tale

from unibus_contract.checkers import (
    certainty,
    dead_letter,
    duplicate,
    exclusivity,
    fidelity,
    lifecycle,
    loss,
    phantom,
)
from unibus_contract.checkers.dead_letter import provenance
from unibus_contract.history import Kind, Phase

ALL = (loss, phantom, duplicate, exclusivity, certainty, fidelity, lifecycle)


def test_a_good_history_has_no_finding() -> None:
    tale = Tale()
    tale.published("1")
    tale.published("2")
    tale.handled("1")
    again = tale.delivered("2")
    tale.settled(again, Kind.NACK)
    tale.handled("2", to="c2", attempt=2)

    assert [check(tale.history, SCOPE) for check in ALL] == [None] * len(ALL)


def test_an_accepted_message_that_never_comes_is_lost() -> None:
    tale = Tale()
    tale.published("1")

    found = loss(tale.history, SCOPE)

    assert found is not None
    assert "never delivered" in found.sentence
    assert found.events == tuple(tale.events)


def test_a_refused_or_unknown_message_is_not_missed() -> None:
    tale = Tale()
    tale.published("1", Phase.FAIL)
    tale.published("2", Phase.INFO)

    assert loss(tale.history, SCOPE) is None
    assert certainty(tale.history, SCOPE) is None


def test_a_nacked_message_that_never_comes_again_is_lost() -> None:
    tale = Tale()
    tale.published("1")
    tale.settled(tale.delivered("1"), Kind.NACK)

    assert loss(tale.history, SCOPE) is not None


def test_what_is_in_the_hands_of_a_crashed_consumer_has_to_come_again() -> None:
    tale = Tale()
    tale.published("1")
    tale.delivered("1")
    assert loss(tale.history, SCOPE) is None
    tale.note("c1", Kind.CRASH, Phase.INFO)

    assert loss(tale.history, SCOPE) is not None


def test_an_ack_that_was_refused_settles_nothing() -> None:
    tale = Tale()
    tale.published("1")
    tale.settled(tale.delivered("1"), Kind.ACK, Phase.FAIL)

    assert loss(tale.history, SCOPE) is not None


def test_what_a_filter_keeps_out_is_not_missed_and_may_not_come() -> None:
    tale = Tale()
    tale.published("1", routing_key="b")
    scope = replace(SCOPE, wants=lambda event: event.routing_key == "a")
    assert loss(tale.history, scope) is None
    tale.handled("1")

    assert phantom(tale.history, scope) is not None


def test_a_delivery_of_what_was_refused_is_a_phantom() -> None:
    tale = Tale()
    tale.published("1", Phase.FAIL)
    tale.handled("1")

    for check in (phantom, certainty):
        found = check(tale.history, SCOPE)
        assert found is not None
        assert "delivered" in found.sentence


def test_a_delivery_that_nobody_published_is_a_phantom() -> None:
    tale = Tale()
    tale.handled("1")

    assert phantom(tale.history, SCOPE) is not None


def test_a_delivery_of_another_topic_is_a_phantom() -> None:
    tale = Tale()
    tale.published("1", destination="other")
    tale.handled("1")

    assert phantom(tale.history, SCOPE) is not None


def test_a_delivery_after_a_confirmed_ack_is_a_duplicate() -> None:
    tale = Tale()
    tale.published("1")
    tale.handled("1")
    tale.handled("1", to="c2")

    found = duplicate(tale.history, SCOPE)

    assert found is not None
    assert [each.kind for each in found.events] == [Kind.DELIVER, Kind.ACK, Kind.ACK, Kind.DELIVER]


def test_a_delivery_after_an_ack_that_nobody_confirmed_is_allowed() -> None:
    tale = Tale()
    tale.published("1")
    tale.settled(tale.delivered("1"), Kind.ACK, Phase.INFO)
    tale.handled("1", to="c2")

    assert duplicate(tale.history, SCOPE) is None


def test_two_cannot_hold_one_message() -> None:
    tale = Tale()
    tale.published("1")
    first = tale.delivered("1")
    tale.handled("1", to="c2")
    tale.settled(first)

    assert exclusivity(tale.history, SCOPE) is not None
    assert exclusivity(tale.history, replace(SCOPE, lease_s=1.0)) is None  # it had run out


def test_a_fault_ends_every_hold() -> None:
    tale = Tale()
    tale.published("1")
    tale.delivered("1")
    tale.note("bench", Kind.FAULT, Phase.INFO, error="restart")
    tale.handled("1", to="c2")

    assert exclusivity(tale.history, SCOPE) is None


def test_an_altered_field_is_found_and_both_values_are_shown() -> None:
    tale = Tale()
    tale.published("1", headers="'a': '1'")
    tale.handled("1", headers="'A': '1'")

    found = fidelity(tale.history, SCOPE)

    assert found is not None
    assert "'a': '1'" in found.sentence
    assert "'A': '1'" in found.sentence


def test_an_id_that_changes_between_deliveries_is_found() -> None:
    tale = Tale()
    tale.published("1")
    tale.settled(tale.delivered("1", identity="x"), Kind.NACK)
    tale.handled("1", identity="y")

    assert fidelity(tale.history, SCOPE) is not None


def test_a_delivery_after_close_is_found() -> None:
    tale = Tale()
    tale.published("1")
    tale.note("c1", Kind.CLOSE, Phase.OK)
    tale.handled("1")

    assert lifecycle(tale.history, SCOPE) is not None


def dead_tale(*, death: str = "", copies: int = 1) -> Tale:
    tale = Tale()
    tale.published("1")
    tale.settled(tale.delivered("1"), Kind.NACK)
    tale.settled(tale.delivered("1"), Kind.NACK)
    told = death or provenance("max attempts", "", "topic", "sub", 2)
    for _ in range(copies):
        tale.handled("1", to="c9", subscription="dead", death=told)
    return tale


def test_a_spent_message_in_the_dead_letter_queue_is_good() -> None:
    tale = dead_tale()

    assert dead_letter(tale.history, DEAD) is None
    assert loss(tale.history, DEAD) is None


def test_a_spent_message_that_is_nowhere_is_found() -> None:
    assert dead_letter(dead_tale(copies=0).history, DEAD) is not None


def test_a_dead_letter_in_two_copies_is_found_unless_something_crashed() -> None:
    tale = dead_tale(copies=2)
    assert dead_letter(tale.history, DEAD) is not None
    tale.note("c1", Kind.CRASH, Phase.INFO)

    assert dead_letter(tale.history, DEAD) is None


def test_a_dead_letter_that_does_not_tell_its_attempts_is_found() -> None:
    found = dead_letter(
        dead_tale(death=provenance("max attempts", "", "topic", "sub", 0)).history, DEAD
    )

    assert found is not None
    assert "attempts=2" in found.sentence


def test_a_rejected_message_has_to_tell_what_was_said() -> None:
    tale = Tale()
    tale.published("1")
    tale.settled(tale.delivered("1"), Kind.REJECT, error="no such order")
    silent = provenance("rejected", "", "topic", "sub", 1)
    tale.handled("1", to="c9", subscription="dead", death=silent)

    found = dead_letter(tale.history, DEAD)

    assert found is not None
    assert "no such order" in found.sentence


def test_what_was_never_given_up_may_not_be_a_dead_letter() -> None:
    tale = Tale()
    tale.published("1")
    tale.handled("1")
    tale.handled("1", to="c9", subscription="dead")

    assert dead_letter(tale.history, DEAD) is not None
