"""What headers cannot be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from unibus import Producer, header_names
from unibus.capabilities import HeaderLimits
from unibus.errors import MessageRejectedError
from unibus.message import HeaderValue, Message
from unibus_contract.checkers import fidelity, loss
from unibus_contract.judgement import require, require_quiet, require_raises
from unibus_contract.registry import clause
from unibus_contract.watch import watched
from unibus_contract.workbench import Bench

_HALF: Final = "\ud83d"  # half of an emoji
_NAIVE: Final = datetime(2024, 1, 2, 3, 4, 5)  # noqa: DTZ001  # on purpose
_OF_EACH_TYPE: Final[Mapping[str, object]] = {
    "bytes": b"x",
    "int": 1,
    "float": 0.5,
    "bool": True,
    "None": None,
}
_OF_NO_TYPE: Final[Mapping[str, object]] = {
    "list": ["x"],
    "dict": {"x": 1},
    "tuple": ("x",),
    "Decimal": Decimal("1.5"),
    "complex": 1j,
    "bytearray": bytearray(b"x"),
    "timedelta": timedelta(1),
}
_RESERVED: Final = (
    *(
        value
        for name, value in vars(header_names).items()
        if isinstance(value, str) and name.isupper()
    ),
    f"{header_names.PREFIX}anything",
)


@contextmanager
def _without_io(bench: Bench) -> Iterator[Producer]:
    """Provide a producer; break the clause if anything that was published reached the adapter."""
    topic = bench.subscription().topic
    broker, watch = watched(bench.broker)
    with broker.connect(bench.url) as bus:
        producer = bus.producer(topic)
        before = watch.count
        yield producer
        late = watch.since(before)
    require(not late, f"it is refused before any I/O; it came after {', '.join(late)}")


def _refuses(producer: Producer, headers: Mapping[str, Any], what: str, *saying: str) -> None:
    with require_raises(MessageRejectedError, sentence=what, saying=saying):
        producer.publish(b"refused", headers=headers)
    with require_raises(MessageRejectedError, sentence=f"{what}, among many", saying=saying):
        producer.publish_many([b"good", Message(b"refused", headers=headers)])


@clause("HDR-04")
def test_text_without_a_utf8_form_is_refused(bench: Bench) -> None:
    with _without_io(bench) as producer:
        _refuses(producer, {"half": _HALF}, "a value that has no UTF-8 form", "half")
        _refuses(producer, {_HALF: "name"}, "a name that has no UTF-8 form", "header")
        fields: Any
        for fields in ({"key": _HALF}, {"routing_key": _HALF}, {"id": _HALF}):
            (name,) = fields
            sentence = f"a {name} that has no UTF-8 form"
            with require_raises(MessageRejectedError, sentence=sentence, saying=[name]):
                producer.publish(b"refused", **fields)


@clause("HDR-17")
def test_a_datetime_without_a_time_zone_is_refused(bench: Bench) -> None:
    has_datetimes = "datetime" in bench.capabilities.headers.value.types
    says = ("at", "naive") if has_datetimes else ("at", "datetime")
    with _without_io(bench) as producer:
        _refuses(producer, {"at": _NAIVE}, "a datetime without a time zone", *says)


@clause("HDR-52")
def test_a_value_of_another_type_is_refused(bench: Bench) -> None:
    declared = bench.capabilities.headers.value.types
    others = {name: value for name, value in _OF_EACH_TYPE.items() if name not in declared}
    with _without_io(bench) as producer:
        for name, value in {**_OF_NO_TYPE, **others}.items():
            _refuses(producer, {"odd": value}, f"a header that is a {name}", "odd", name)


@clause("HDR-53")
def test_the_names_of_unibus_are_refused(bench: Bench) -> None:
    with _without_io(bench) as producer:
        for name in _RESERVED:
            _refuses(producer, {"mine": "1", name: "2"}, f"a header {name!r}", name)


@clause("HDR-50")
def test_headers_at_their_limit_are_carried(bench: Bench) -> None:
    limits = bench.capabilities.headers.value
    subscription = bench.subscription()
    producer = bench.producer(subscription.topic)
    for what, fits, exceeds in _at_the_limits(limits):
        with require_quiet(f"headers at the limit: {what}"):
            (sent,) = producer.send(headers=fits)
        outcome = sent.receipt.wait(0.0)
        require(outcome.cause is None, f"headers at the limit, {what}: {outcome}")
        with require_raises(MessageRejectedError, sentence=f"headers beyond the limit: {what}"):
            producer.raw.publish(b"refused", headers=exceeds)
    reached = bench.drain(bench.consumer(subscription))

    bench.judge(subscription, loss, fidelity)
    assert reached


def _at_the_limits(
    limits: HeaderLimits,
) -> Iterator[tuple[str, Mapping[str, HeaderValue], Mapping[str, HeaderValue]]]:
    """Yield what is limited, headers that just fit, and headers that just do not."""
    count, size, name_size = limits.max_count, limits.max_bytes, limits.max_name_bytes
    if count is not None:
        many: dict[str, HeaderValue] = {f"n{each}": "" for each in range(count)}
        yield f"{count} of them", many, {**many, "surplus": ""}
    if size is not None:
        few = {f"n{each}": "x" * 100 for each in range(100)}
        rest = size - sum(len(name) + len(value) for name, value in few.items()) - len("rest")
        fits: dict[str, HeaderValue] = {**few, "rest": "x" * rest}
        yield f"{size} bytes", fits, {**few, "rest": "x" * (rest + 1)}
    if name_size is not None:
        yield f"a name of {name_size} bytes", {"n" * name_size: "x"}, {"n" * (name_size + 1): "x"}
        wide = "ż" * (name_size // 2)
        yield f"{name_size} bytes of two-byte letters", {wide: "x"}, {wide + "ż": "x"}
