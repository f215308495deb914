from __future__ import annotations

from collections.abc import Callable

import pytest

from unibus.clock import ManualClock
from unibus.engine.closing import Budget, Closing
from unibus.errors import PublishFailedError, UnavailableError


def fails(error: Exception) -> Callable[[float], None]:
    def close(_: float) -> None:
        raise error

    return close


def test_steps_share_one_budget() -> None:
    clock = ManualClock()
    closing = Closing(Budget(clock, 10))
    given: list[float] = []

    def slow(timeout_s: float) -> None:
        given.append(timeout_s)
        clock.advance(8)

    for _ in range(3):
        closing.step(slow)

    assert given == [10, 2, 0.001]


def test_every_step_is_taken_whatever_the_others_raise() -> None:
    closing = Closing(Budget(ManualClock(), 1))
    taken: list[float] = []

    closing.step(fails(UnavailableError("gone")))
    closing.step(taken.append)

    assert taken == [1]
    with pytest.raises(UnavailableError, match="gone"):
        closing.finish()


def test_failed_publishes_come_first_and_together() -> None:
    closing = Closing(Budget(ManualClock(), 1))
    closing.step(fails(UnavailableError("gone")))
    closing.step(fails(PublishFailedError("one", ("a",))))
    closing.step(fails(PublishFailedError("two", ("b", "c"))))

    with pytest.raises(PublishFailedError, match="one; two") as caught:
        closing.finish()

    assert caught.value.failures == ("a", "b", "c")
    assert caught.value.__notes__ == ["closing also met UnavailableError: gone"]


def test_nothing_is_raised_if_nothing_went_wrong() -> None:
    Closing(Budget(ManualClock(), 1)).finish()
