"""What a program cannot ask for, and what the error says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from unibus import Producer
from unibus.errors import ConfigurationError, MessageRejectedError, UnibusError
from unibus_contract.judgement import require, require_raises
from unibus_contract.registry import clause
from unibus_contract.watch import watched
from unibus_contract.workbench import Bench

_MARK: Final = "s3cr3t"


@clause("ERR-02")
def test_an_error_names_the_topic_and_shows_nothing_of_the_message(bench: Bench) -> None:
    topic = bench.subscription().topic
    producer = bench.main.producer(topic)
    limit = bench.capabilities.max_body_bytes.value
    wrong: dict[str, dict[str, Any]] = {
        "a body that is text": {"body": _MARK},
        "headers of no type": {"headers": {"h": [_MARK]}},
        "a name of unibus": {"headers": {"unibus-id": _MARK}},
        "a value without a UTF-8 form": {"headers": {"h": f"{_MARK}\ud800"}},
        "a key without a UTF-8 form": {"key": f"{_MARK}\ud800"},
        "an id that is too long": {"id": _MARK * 100},
        "a routing key that is too long": {"routing_key": _MARK * 100},
    }
    if limit is not None:
        wrong["a body that is too large"] = {"body": _MARK.encode().ljust(limit + 1)}
    for what, fields in wrong.items():
        error = _refusal(producer, fields.pop("body", _MARK.encode()), fields)
        require(error is not None, f"{what} is taken")
        shown = f"{error!r} {error} {error.__cause__!r}" if error else ""
        require(topic.name in shown, f"{what}: the error does not name {topic.name}: {shown}")
        require(_MARK not in shown, f"{what}: the error shows it: {shown}")


def _refusal(producer: Producer, body: Any, fields: dict[str, Any]) -> UnibusError | None:  # noqa: ANN401  # what is no body
    try:
        producer.publish(body, **fields)
    except UnibusError as error:
        return error
    return None


@clause("ERR-07")
def test_arguments_that_cannot_be_are_refused(bench: Bench) -> None:
    subscription = bench.subscription()
    bus: Any = bench.main
    refused: list[tuple[str, Callable[[], object]]] = [
        *(
            (name, _call(bus.producer, subscription.topic, {name: value}))
            for name in ("window", "window_bytes", "timeout_s")
            for value in (0, -1)
        ),
        *(
            (name, _call(bus.consumer, subscription, {name: value}))
            for name in ("max_unsettled", "max_batch", "timeout_s")
            for value in (0, -1)
        ),
        ("delivery", _call(bus.consumer, subscription, {"delivery": "twice"})),
        ("Subscription", _call(bus.producer, subscription, {})),
        ("Subscription", _call(bus.consumer, subscription.topic, {})),
    ]
    for says, attempt in refused:
        with require_raises(ConfigurationError, sentence=f"a wrong {says}", saying=[says]):
            attempt()
    consumer = bench.consumer(subscription)
    for name, arguments in (
        ("max_messages", {"max_messages": 0, "timeout_s": 0.0}),
        ("timeout_s", {"max_messages": 1, "timeout_s": -1.0}),
    ):
        with require_raises(ConfigurationError, sentence=f"a wrong {name}", saying=[name]):
            _call(consumer.raw.receive, None, arguments)()


def _call(
    function: Callable[..., object], spec: object, named: Mapping[str, object]
) -> Callable[[], object]:
    given = () if spec is None else (spec,)
    return lambda: function(*given, **named)


@clause("ERR-19")
def test_fields_that_cannot_be_are_refused(bench: Bench) -> None:
    topic = bench.subscription().topic
    broker, watch = watched(bench.broker)
    promised = bench.capabilities
    wrong: list[dict[str, Any]] = [
        {"routing_key": "x" * 256},
        {"routing_key": 7},
        {"key": b"bytes"},
        {"id": ""},
        {"id": 7},
        {"headers": [("a", "pair")]},
        {"headers": "text"},
        {"delay_s": -1.0},
        {"delay_s": float("nan")},
        {"ttl_s": 0.0},
        {"ttl_s": float("inf")},
    ]
    if promised.priority:
        wrong += [{"priority": -1}, {"priority": promised.priority.value}, {"priority": 0.5}]
    with broker.connect(bench.url) as bus:
        producer = bus.producer(topic)
        before = watch.count
        for fields in wrong:
            ((name, value),) = fields.items()
            sentence = f"{name}={str(value)[:20]!r}"
            with require_raises(MessageRejectedError, sentence=sentence, saying=[name]):
                producer.publish(b"refused", **fields)
        late = watch.since(before)

    require(not late, f"it is refused before any I/O; it came after {', '.join(late)}")
