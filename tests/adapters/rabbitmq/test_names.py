from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unibus import spi
from unibus_rabbitmq import names
from unibus_rabbitmq.names import Address

NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=60).filter(
    lambda name: not name.startswith("amq.")
)
WORDS = st.sampled_from(
    ["headers", "exact", "stream", "shards", "unkeyed-4", "position", "0", "17"]
)


def bound(spec: spi.Topic | spi.Subscription) -> spi.Binding:
    capabilities = spi.Capabilities()
    profile = spi.Profile(name="rabbitmq", capabilities=capabilities)
    return spi.Binding(spec=spec, profile=profile, capabilities=capabilities)


@given(NAMES)
def test_a_name_can_be_read_back(name: str) -> None:
    assert names.decode(names.encode(name)) == (name, None)


@given(NAMES, WORDS)
def test_a_derived_name_can_be_read_back(name: str, word: str) -> None:
    assert names.decode(names.derived(name, word)) == (name, word)


@given(NAMES, NAMES, WORDS)
def test_no_name_is_what_another_one_is_derived_to(name: str, other: str, word: str) -> None:
    assert names.encode(name) != names.derived(other, word)


def test_an_ordinary_name_is_its_own() -> None:
    assert names.encode("orders.2024-é/x") == "orders.2024-é/x"


@pytest.mark.parametrize("name", ["amq.orders", "a\nb", "a\x00", "\ud800", "x" * 243, "~" * 122])
def test_a_name_that_rabbitmq_would_change_or_refuse_is_refused(name: str) -> None:
    with pytest.raises(spi.ConfigurationError, match="name"):
        names.encode(name)


def test_the_longest_name_leaves_room_for_every_word() -> None:
    assert len(names.derived("x" * names.MAX_NAME_BYTES, names.SUBSCRIPTION)) == 255


@pytest.mark.parametrize(
    ("spec", "address", "queues"),
    [
        (spi.Topic("orders"), Address("orders", None), None),
        (spi.Queue("jobs").topic, Address("", "jobs"), None),
        (spi.Queue("jobs").subscription, Address("", "jobs"), ("jobs",)),
        (spi.Queue("jobs", ordering="topic").topic, Address("jobs~shards", None), None),
        (
            spi.Subscription("email", topic=spi.Topic("orders")),
            Address("", "email"),
            ("email",),
        ),
        (
            spi.Subscription("email", topic=spi.Topic("orders", ordering="key", partitions=2)),
            Address("email~shards", None),
            ("email~0", "email~1"),
        ),
        (
            spi.Subscription("audit", topic=spi.Topic("orders"), mode="stream"),
            Address("", "orders~stream"),
            ("orders~stream",),
        ),
        (
            spi.Topic("orders", managed=False, native={"kind": "exchange", "name": "legacy.x"}),
            Address("legacy.x", None, is_ours=False),
            None,
        ),
        (
            spi.Subscription(
                "email", topic=spi.Topic("orders"), managed=False, native={"name": "legacy.q"}
            ),
            Address("", "legacy.q", is_ours=False),
            ("legacy.q",),
        ),
    ],
)
def test_each_spec_has_its_place(
    spec: spi.Topic | spi.Subscription, address: Address, queues: tuple[str, ...] | None
) -> None:
    binding = bound(spec)

    assert names.address(binding) == address
    if queues is not None:
        assert names.queues(binding) == queues


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (spi.Topic("t"), 0),
        (spi.Topic("t", ordering="key"), names.DEFAULT_PARTITIONS),
        (spi.Topic("t", ordering="key", partitions=7), 7),
        (spi.Topic("t", ordering="topic", partitions=7), 1),
    ],
)
def test_an_ordered_topic_has_lanes(spec: spi.Topic, expected: int) -> None:
    assert names.partitions(spec) == expected


def test_a_topic_cannot_be_received_from() -> None:
    with pytest.raises(spi.ConfigurationError, match="name a subscription"):
        names.queues(bound(spi.Topic("orders")))


def test_somebody_elses_queue_is_not_asked_to_keep_an_order() -> None:
    topic = spi.Topic("orders", ordering="key")
    subscription = spi.Subscription("email", topic=topic, managed=False)

    with pytest.raises(spi.UnsupportedError, match="order"):
        names.queues(bound(subscription))


@pytest.mark.parametrize(
    "native", [{"kind": "table"}, {"kind": "exchange", "type": "x-delayed-message"}]
)
def test_a_native_object_of_no_known_kind_is_refused(native: dict[str, object]) -> None:
    with pytest.raises(spi.ConfigurationError, match="native"):
        names.address(bound(spi.Topic("orders", managed=False, native=native)))
