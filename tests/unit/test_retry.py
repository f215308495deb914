from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unibus.errors import ConfigurationError
from unibus.retry import Backoff


def test_waits_grow_by_the_factor_up_to_the_limit() -> None:
    backoff = Backoff(initial_s=1, factor=2, max_s=5, jitter=0)

    waits = [backoff.delay_s(failures, lambda: 0.9) for failures in (1, 2, 3, 4)]

    assert waits == [1, 2, 4, 5]


def test_jitter_shortens_a_wait_by_its_share_at_most() -> None:
    backoff = Backoff(initial_s=8, jitter=0.25)

    assert backoff.delay_s(1, lambda: 0.0) == 8
    assert backoff.delay_s(1, lambda: 1.0) == 6


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_no_number_of_failures_leaves_the_limits(failures: int, chance: float) -> None:
    backoff = Backoff(initial_s=0.1, factor=3, max_s=60, jitter=0.5)

    assert 0.05 <= backoff.delay_s(failures, lambda: chance) <= 60


@pytest.mark.parametrize(
    "fields", [{"initial_s": -1}, {"initial_s": 9, "max_s": 8}, {"factor": 0.5}, {"jitter": 1.1}]
)
def test_a_backoff_that_cannot_be_is_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="Backoff"):
        Backoff(**fields)
