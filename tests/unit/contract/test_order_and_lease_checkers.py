from __future__ import annotations

from dataclasses import replace

from tale import DEAD, SCOPE, Tale

from unibus_contract.checkers import (
    Counting,
    attempts,
    concurrency,
    fencing,
    order,
    order_across_redelivery,
    order_of_effects,
)
from unibus_contract.history import Kind, Phase


def three(tale: Tale) -> None:
    tale.published("a0", key="a")
    tale.published("b0", key="b")
    tale.published("a1", key="a")


def test_order_by_key_lets_other_keys_pass() -> None:
    tale = Tale()
    three(tale)
    for each in ("b0", "a0", "a1"):
        tale.handled(each)

    assert order("key")(tale.history, SCOPE) is None
    assert order("topic")(tale.history, SCOPE) is not None


def test_a_key_that_steps_back_is_found_with_both_messages() -> None:
    tale = Tale()
    three(tale)
    for each in ("a1", "b0", "a0"):
        tale.handled(each)

    found = order("key")(tale.history, SCOPE)

    assert found is not None
    assert {each.message for each in found.events} == {"a0", "a1"}
    assert order_of_effects("key")(tale.history, SCOPE) is not None


def test_two_producers_have_no_order_between_them() -> None:
    tale = Tale()
    tale.published("a0", key="a")
    tale.events[0] = replace(tale.events[0], process="p2")
    tale.published("a1", key="a")
    tale.handled("a1")
    tale.handled("a0")

    assert order("topic")(tale.history, SCOPE) is None


def test_a_redelivery_out_of_order_is_no_step_back_of_first_deliveries() -> None:
    tale = Tale()
    three(tale)
    tale.settled(tale.delivered("a0"), Kind.NACK)
    tale.handled("a1")
    tale.handled("a0")

    assert order("key")(tale.history, SCOPE) is None
    assert order_of_effects("key")(tale.history, SCOPE) is not None


def test_overtaking_a_nacked_message_is_found() -> None:
    tale = Tale()
    three(tale)
    tale.settled(tale.delivered("a0"), Kind.NACK)
    tale.handled("b0")
    assert order_across_redelivery("key")(tale.history, SCOPE) is None
    tale.handled("a1")

    assert order_across_redelivery("key")(tale.history, SCOPE) is not None


def test_what_was_in_hand_before_the_nack_overtakes_nobody() -> None:
    tale = Tale()
    three(tale)
    first, second = tale.delivered("a0"), tale.delivered("a1")
    tale.settled(first, Kind.NACK)
    tale.settled(second, Kind.NACK)
    tale.handled("a0")
    tale.handled("a1")

    assert order_across_redelivery("key")(tale.history, SCOPE) is None


def test_a_dead_message_holds_nobody_up() -> None:
    tale = Tale()
    three(tale)
    for _ in range(2):
        tale.settled(tale.delivered("a0"), Kind.NACK)
    tale.handled("a1")

    assert order_across_redelivery("key")(tale.history, DEAD) is None


def test_a_late_ack_that_is_confirmed_is_found() -> None:
    tale = Tale()
    tale.published("1")
    late = tale.delivered("1")
    tale.delivered("1", to="c2")
    tale.settled(late)

    assert fencing(tale.history, SCOPE) is not None


def test_a_late_ack_that_is_refused_is_right() -> None:
    tale = Tale()
    tale.published("1")
    late = tale.delivered("1")
    tale.delivered("1", to="c2")
    tale.settled(late, Kind.ACK, Phase.FAIL)

    assert fencing(tale.history, SCOPE) is None


def test_a_refused_ack_on_a_live_lease_is_found() -> None:
    tale = Tale()
    tale.published("1")
    tale.settled(tale.delivered("1"), Kind.ACK, Phase.FAIL)

    assert fencing(tale.history, SCOPE) is not None
    assert fencing(tale.history, replace(SCOPE, lease_s=0.5)) is None  # it had run out


def nacked(*numbers: int, kind: Kind = Kind.NACK) -> Tale:
    tale = Tale()
    tale.published("1")
    for number in numbers:
        tale.settled(tale.delivered("1", attempt=number), kind)
    return tale


def test_exact_attempts_rise_by_one_with_each_nack() -> None:
    assert attempts()(nacked(1, 2, 3).history, SCOPE) is None
    assert attempts()(nacked(1, 1).history, SCOPE) is not None
    assert attempts()(nacked(2).history, SCOPE) is not None
    assert attempts()(nacked(1, 3).history, SCOPE) is not None


def test_approximate_attempts_never_fall() -> None:
    about = attempts(Counting(is_exact=False))

    assert about(nacked(1, 1, 3).history, SCOPE) is None
    assert about(nacked(2, 1).history, SCOPE) is not None


def test_a_release_counts_as_declared() -> None:
    tale = nacked(1, 1, kind=Kind.RELEASE)

    assert attempts(Counting(release=False))(tale.history, SCOPE) is None
    assert attempts(Counting(release=True))(tale.history, SCOPE) is not None


def test_more_deliveries_in_hand_than_allowed_are_found() -> None:
    tale = Tale()
    leases = [tale.delivered(str(each)) for each in range(3)]
    tale.settled(leases[0])
    tale.delivered("3")

    assert concurrency(3)(tale.history, SCOPE) is None
    assert concurrency(2)(tale.history, SCOPE) is not None
