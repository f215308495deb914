from __future__ import annotations

import pytest

from unibus import spi
from unibus.binding import resolve
from unibus_rabbitmq import delay, fields, names, profiles, tables

VERSIONS = ["3.10.8", "4.0.5", "4.3.6"]


def offered(version: str, **settings: str) -> dict[str, spi.Capabilities]:
    found = profiles.profiles(version, **settings)  # type: ignore[arg-type]  # a test's shorthand
    return {each.name: each.capabilities for each in found}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_has_the_three_profiles_quorum_first(version: str) -> None:
    found = profiles.profiles(version)

    assert [each.name for each in found] == ["rabbitmq", "rabbitmq-classic", "rabbitmq-stream"]
    assert [each.mode for each in found] == ["queue", "queue", "stream"]


def test_the_profile_of_the_url_goes_first() -> None:
    found = profiles.profiles("4.3.6", default="rabbitmq-stream")

    assert found[0].name == "rabbitmq-stream"
    assert len(found) == 3


@pytest.mark.parametrize(
    ("version", "release", "levels", "mib"),
    [
        ("3.10.8", "counted", 1, 128),
        ("3.13.7", "counted", 1, 128),
        ("4.0.5", "counted", 1, 16),
        ("4.3.6", "uncounted", 32, 16),
        ("4.10.0", "uncounted", 32, 16),
        ("a fork", "counted", 1, 128),
    ],
)
def test_what_a_quorum_queue_promises_depends_on_the_version(
    version: str, release: str, levels: int, mib: int
) -> None:
    quorum = offered(version)["rabbitmq"]

    assert quorum.release.value == release
    assert (quorum.priority.value, bool(quorum.priority)) == (levels, levels > 1)
    assert quorum.max_body_bytes.value == mib << 20


def test_a_classic_queue_has_priorities_everywhere_and_counts_nothing() -> None:
    for version in VERSIONS:
        classic = offered(version)["rabbitmq-classic"]

        assert classic.priority.value == profiles.CLASSIC_PRIORITIES
        assert not classic.attempts
        assert classic.acks.value == {"leader", "none"}


def test_floats_are_not_promised_where_pika_decodes_them() -> None:
    own, public = offered("4.3.6", wire="own"), offered("4.3.6", wire="public")

    assert own["rabbitmq"].headers.value.types - public["rabbitmq"].headers.value.types == {"float"}


def test_only_a_stream_replays_and_only_a_queue_delays() -> None:
    found = offered("4.3.6")

    assert {name for name, each in found.items() if each.replay} == {"rabbitmq-stream"}
    assert {name for name, each in found.items() if each.delay} == {"rabbitmq", "rabbitmq-classic"}
    assert found["rabbitmq"].delay.value.max_s == delay.MAX_S > 12 * 3600
    assert found["rabbitmq"].delay.value.resolution_s == pytest.approx(0.1)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_not_kept_says_why(version: str) -> None:
    for capabilities in offered(version).values():
        for name, grade in capabilities.grades().items():
            if grade.support is spi.Support.NONE:
                assert grade.how, name
            if grade.support is spi.Support.EMULATED:
                assert grade.how, name
                assert grade.cost, name


@pytest.mark.parametrize("version", VERSIONS)
def test_the_most_headers_and_the_largest_fit_into_a_frame(version: str) -> None:
    limits = offered(version)["rabbitmq"].headers.value
    name_bytes = limits.max_name_bytes
    assert limits.max_count is not None
    assert limits.max_bytes is not None
    assert name_bytes is not None

    many = {f"{number:04d}": "" for number in range(limits.max_count)}
    many["0000"] = "v" * (limits.max_bytes - 4 * limits.max_count)
    table = tables.encode_table(many)

    assert len(table) + 8 * 1024 < fields.MAX_PROPERTIES_BYTES
    assert len(tables.encode_table({"n" * name_bytes: 1})) > name_bytes


ORDERS = spi.Topic("orders")
LANES = spi.Topic("orders", ordering="key")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("spec", "profile"),
    [
        (LANES, "rabbitmq"),
        (spi.Subscription("email", topic=LANES, max_attempts=3, dead_letter="dead"), "rabbitmq"),
        (spi.Queue("jobs", profile="rabbitmq-classic", max_attempts=2, dead_letter="d"), None),
        (spi.Subscription("audit", topic=ORDERS, mode="stream", start="earliest"), None),
    ],
)
def test_the_core_can_bind_what_is_asked_most(
    version: str, spec: spi.Spec, profile: str | None
) -> None:
    binding = resolve(spec, profiles.profiles(version))

    assert profile is None or binding.profile.name == profile
    assert names.address(binding)


@pytest.mark.parametrize("name", ["rabbitmq", "rabbitmq-classic"])
def test_a_queue_begins_when_it_is_declared_and_nowhere_else(name: str) -> None:
    subscription = spi.Subscription("email", topic=ORDERS, start="earliest", profile=name)

    with pytest.raises(spi.UnsupportedError, match="start"):
        resolve(subscription, profiles.profiles("4.3.6"))
