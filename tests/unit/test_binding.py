from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from unibus.binding import choose, reach, resolve
from unibus.capabilities import (
    Attempts,
    Capabilities,
    DelayLimits,
    LeaseLimits,
    Ordering,
    Profile,
    Replay,
    Support,
    native,
)
from unibus.errors import ConfigurationError, UnsupportedError
from unibus.requirements import Requirements
from unibus.specs import Exact, Pattern, Queue, Subscription, Topic

WORK = Capabilities(
    ordering=native(Ordering.KEY),
    on_nack=native("overtakes"),
    nack=native(value=True),
    release=native("uncounted"),
    attempts=native(Attempts.EXACT),
    delay=native(DelayLimits(max_s=3600)),
    filter_exact=native(value=True),
    filter_pattern=native(value=True),
    filter_headers=native(value=True),
    lease=native(LeaseLimits(max_s=1800)),
    start=native(frozenset({"declared"})),
    max_name_bytes=native(20),
)
LOG = Capabilities(
    ordering=native(Ordering.TOPIC),
    replay=native(Replay.TIME),
    start=native(frozenset({"declared", "earliest", "latest", "time"})),
)
PROFILES = (
    Profile(name="shared", capabilities=WORK, on_request=True),
    Profile(name="work", capabilities=WORK),
    Profile(name="log", capabilities=LOG, mode="stream"),
)
PLAIN = Topic("plain")
KEYED = Topic("keyed", ordering="key")


def test_the_first_profile_that_carries_the_spec_is_taken() -> None:
    assert resolve(PLAIN, PROFILES).profile.name == "work"
    assert resolve(Topic("t", ordering="topic"), PROFILES).profile.name == "log"
    assert resolve(Subscription("s", topic=PLAIN, mode="stream"), PROFILES).profile.name == "log"


def test_a_profile_on_request_is_taken_only_by_name() -> None:
    assert resolve(Subscription("s", topic=PLAIN, profile="shared"), PROFILES).profile.name == (
        "shared"
    )
    assert resolve(PLAIN, PROFILES, default_profile="shared").profile.name == "shared"


def test_a_name_on_the_spec_goes_before_one_in_the_url() -> None:
    named = Subscription("s", topic=PLAIN, profile="work")

    assert resolve(named, PROFILES, default_profile="shared").profile.name == "work"


def test_an_unknown_profile_is_a_mistake_in_the_settings() -> None:
    with pytest.raises(ConfigurationError, match="no profile 'wrok' here; choose one of shared"):
        resolve(PLAIN, PROFILES, default_profile="wrok")


def test_a_named_profile_of_the_wrong_mode_is_refused() -> None:
    spec = Subscription("s", topic=PLAIN, mode="stream", profile="work")

    with pytest.raises(UnsupportedError, match="mode 'stream' is asked, it carries 'queue'"):
        resolve(spec, PROFILES)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (Topic("t", ordering="topic", profile="work"), "ordering 'topic' is asked, it keeps 'key'"),
        (Subscription("s", topic=PLAIN, start="earliest"), "start 'earliest' is asked"),
        (Subscription("s", topic=PLAIN, start=datetime.now(UTC)), "start 'time' is asked"),
        (Subscription("s", topic=PLAIN, lease_s=3600), "a lease of 3600 s is asked.*at most 1800"),
        (Subscription("s", topic=PLAIN, mode="stream", lease_s=1), "it has no leases"),
        (Subscription("s" * 21, topic=PLAIN), "a name of 21 bytes is asked, it takes 20"),
        (Subscription("s", topic=PLAIN, managed=False), "managed=False is asked"),
        (
            Subscription("s", topic=PLAIN, require=Requirements(replay=True)),
            "replay is none, the program requires earliest",
        ),
        (
            Subscription("s", topic=PLAIN, require=Requirements(ordering="key")),
            "ordering is none, the program requires key",
        ),
        (
            Subscription("s", topic=PLAIN, mode="stream", filter=Pattern("a.#"), emulate="refuse"),
            "a filter Pattern is asked",
        ),
        (
            Subscription("s", topic=PLAIN, dead_letter="d", emulate="refuse"),
            "dead_letter 'd' is asked",
        ),
        (
            Subscription(
                "s", topic=PLAIN, mode="stream", dead_letter="d", max_attempts=3, emulate="refuse"
            ),
            "max_attempts 3 is asked",
        ),
    ],
)
def test_what_a_profile_lacks_is_refused_by_name(spec: Topic | Subscription, words: str) -> None:
    with pytest.raises(UnsupportedError, match=words) as refusal:
        resolve(spec, PROFILES)

    assert "on profile " in str(refusal.value)


def test_a_refusal_names_every_profile_that_was_tried() -> None:
    with pytest.raises(UnsupportedError, match=r"profile work: .* / .*profile log: "):
        resolve(Topic("x" * 30, managed=False), PROFILES)


def test_an_unordered_subscription_delays_its_nacks_by_copies() -> None:
    binding = resolve(Subscription("s", topic=PLAIN), PROFILES)

    assert binding.stack == ("retry",)
    assert binding.capabilities.nack.support is Support.NATIVE
    assert binding.capabilities.nack_delay_s.support is Support.EMULATED
    assert binding.capabilities.nack_delay_s.value == 3600
    assert binding.capabilities.attempts.value is Attempts.EXACT


def test_an_ordered_subscription_holds_its_nacks() -> None:
    binding = resolve(Subscription("s", topic=KEYED), PROFILES)

    assert binding.stack == ("hold",)
    assert binding.capabilities.on_nack.value == "blocks"
    assert binding.capabilities.attempts.value is Attempts.APPROXIMATE


def test_an_ordered_subscription_of_a_broker_that_blocks_is_left_alone() -> None:
    blocking = replace(WORK, on_nack=native("blocks"), nack_delay_s=native(60.0))
    binding = resolve(Subscription("s", topic=KEYED), [Profile(name="p", capabilities=blocking)])

    assert binding.stack == ()


def test_a_stream_gets_everything_that_it_lacks() -> None:
    spec = Subscription(
        "s", topic=PLAIN, mode="stream", filter=Exact("a"), dead_letter="d", max_attempts=2
    )

    assert resolve(spec, PROFILES).stack == ("filter", "hold", "dead_letter")


def test_lifetimes_at_the_consumer_have_to_be_allowed() -> None:
    spec = Subscription("s", topic=PLAIN, require=Requirements(ttl=True))

    with pytest.raises(UnsupportedError, match="there is no ttl"):
        resolve(spec, PROFILES)
    assert "expiry" in resolve(replace(spec, emulate="allow"), PROFILES).stack
    assert resolve(PLAIN, PROFILES, emulate="allow").capabilities.ttl


def test_a_dead_letter_queue_is_declared_with_its_subscription() -> None:
    spec = Subscription("s", topic=PLAIN, dead_letter="d")

    assert resolve(spec, PROFILES).extra_specs == (Queue("d"),)
    assert "dead_letter" in resolve(spec, PROFILES).stack


def test_the_dead_letter_queue_of_a_stream_lies_on_a_profile_with_queues() -> None:
    spec = Subscription("s", topic=PLAIN, mode="stream", dead_letter="d")

    binding = resolve(spec, PROFILES, default_profile="log")

    assert binding.extra_specs == (Queue("d", profile="work"),)


def test_a_queue_is_bound_as_its_subscription() -> None:
    assert resolve(Queue("q"), PROFILES).spec == Queue("q").subscription


def test_the_order_that_a_topic_does_not_ask_for_is_not_promised() -> None:
    assert resolve(PLAIN, PROFILES).capabilities.ordering.value is Ordering.NONE
    keyed = Subscription("s", topic=KEYED, mode="stream")
    assert resolve(keyed, PROFILES).capabilities.ordering.value is Ordering.KEY


def test_a_program_that_needs_order_may_still_have_topics_without() -> None:
    need = Requirements(ordering="key", on_nack="blocks")

    assert resolve(PLAIN, PROFILES, require=need).profile.name == "work"


def test_one_single_profile_has_to_meet_all_needs() -> None:
    assert choose(PROFILES).name == "work"
    assert choose(PROFILES, require=Requirements(replay=True)).name == "log"
    with pytest.raises(UnsupportedError, match=r"profile work: replay.*profile log: attempts"):
        choose(PROFILES, require=Requirements(replay=True, attempts="exact"))
    with pytest.raises(UnsupportedError, match="profile work: attempts is approximate"):
        choose(PROFILES, require=Requirements(ordering="key", attempts="exact"), named="work")


def test_what_a_profile_reaches_tells_ordered_from_unordered() -> None:
    work = PROFILES[1]

    assert reach(work).attempts.value is Attempts.EXACT
    assert reach(work).on_nack.value == "blocks"
    assert reach(work, is_ordered=True).attempts.value is Attempts.APPROXIMATE
    assert reach(work, emulate="refuse") == work.capabilities
