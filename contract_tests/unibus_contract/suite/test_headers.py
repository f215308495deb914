"""Headers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from unibus.errors import MessageRejectedError
from unibus.message import Headers, HeaderValue
from unibus_contract.checkers import duplicate, fidelity, loss
from unibus_contract.consuming import Held
from unibus_contract.judgement import require_raises
from unibus_contract.publishing import MessageFields
from unibus_contract.registry import clause
from unibus_contract.workbench import Bench

_ODD: Final = (
    {"Trace-Id": "7", "trace-id-2": "8"},
    {"empty": ""},
    {"unicode": "żółw \N{SLIGHTLY SMILING FACE}"},
    {"spaces": "  in front and behind  "},
    {"quotes": "\"'`\\/"},
    {"a.dotted_name-1": "x" * 100},
)

_CONTROL: Final = (
    {"line ends": "a\r\nb\nc\rd", "tab": "\t"},
    {"every control": "".join(map(chr, range(32))) + "\x7f"},
    {"a name: with/odd\\characters?&=%20": "%20+"},
    {" a name with spaces around ": "x"},
    {"new\nline": "x", "nul\x00": "\x00"},
    {"'": '"', "{}": "${x}"},
)

_SCRIPTS: Final = (
    {"composed": "caf\u00e9", "decomposed": "cafe\u0301"},
    {"caf\u00e9": "composed", "cafe\u0301": "decomposed"},
    {"имя": "значение", "名前": "値", "اسم": "قيمة"},
    {"ligature": "\ufb01", "kelvin": "\u212a", "wide": "\uff21"},
    {"family": "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}", "flag": "\U0001f1f5\U0001f1f1"},
    {"turned round": "\u202eabc\u202c", "last": "\U0010ffff", "mark": "\ufeffx"},
)

_VALUES: Final[dict[str, tuple[HeaderValue, ...]]] = {
    "str": ("7", "true", "None", "2024-01-02T03:04:05Z", "1.0"),
    "bytes": (b"", b"7", bytes(range(256))),
    "int": (0, 1, -1, 127, 2**31, -(2**31), 2**53 + 1, 2**63 - 1, -(2**63)),
    "float": (0.0, 1.0, 0.1, -2.5, 1e300, 5e-324),
    "bool": (True, False),
    "datetime": (datetime(1970, 1, 1, tzinfo=UTC), datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)),
    "None": (None,),
}

_SOON_S: Final = 0.2


def _carries(bench: Bench, *tables: Mapping[str, HeaderValue]) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send_batch([{"headers": each} for each in tables])
    reached = bench.drain(bench.consumer(subscription))

    bench.judge(subscription, loss, fidelity)
    assert reached


@clause("HDR-01")
def test_text_headers_come_back_equal(bench: Bench) -> None:
    _carries(bench, *_ODD)


@clause("HDR-02")
def test_control_characters_survive(bench: Bench) -> None:
    _carries(bench, *_CONTROL)


@clause("HDR-03")
def test_no_script_is_normalised(bench: Bench) -> None:
    _carries(bench, *_SCRIPTS)


@clause("HDR-07")
def test_values_keep_their_type(bench: Bench) -> None:
    declared = bench.capabilities.headers.value.types
    _carries(
        bench,
        *(
            {"value": value}
            for name, values in _VALUES.items()
            for value in (values if name in declared else ())
        ),
    )


@clause("HDR-05")
def test_unlike_messages_of_a_batch_are_not_mixed_up(bench: Bench) -> None:
    subscription = bench.subscription()
    batch: list[MessageFields] = [
        {},
        {"headers": {"first": "1"}},
        {"routing_key": "a.b"},
        {"id": "mine"},
        {"headers": {"second": "2", "other": "3"}, "key": "k"},
        {},
        {"key": "l", "routing_key": "c", "id": "yours", "headers": {"first": "4"}},
        {"headers": {}},
    ]
    bench.producer(subscription.topic).send_batch(batch)
    reached = bench.drain(bench.consumer(subscription))

    bench.judge(subscription, loss, duplicate, fidelity)
    assert reached


@clause("HDR-06")
def test_nobody_sees_a_header_that_no_program_set(bench: Bench) -> None:
    promised = bench.capabilities
    subscription = bench.subscription()
    producer = bench.producer(subscription.topic)
    producer.send(2)
    producer.send(key="k", routing_key="a.b", id="named")
    if promised.ttl:
        producer.send(ttl_s=600.0)
    if promised.delay and promised.delay.value.resolution_s < _SOON_S:
        producer.send(delay_s=_SOON_S)
    if promised.priority:
        producer.send(priority=promised.priority.value - 1)
    ways = [
        each
        for each, is_promised in (
            (Held.nack, bool(promised.nack)),
            (Held.release, bool(promised.release)),
            (lambda held: held.nack(_SOON_S), promised.nack_delay_s.value >= _SOON_S),
        )
        if is_promised
    ]
    seen: dict[str, int] = {}

    def handle(held: Held) -> None:
        turn = seen[held.message] = seen.get(held.message, -1) + 1
        if turn < len(ways):
            ways[turn](held)
        else:
            held.ack()

    reached = bench.drain(bench.consumer(subscription), handler=handle)

    bench.judge(subscription, fidelity, loss)
    assert reached


@clause("HDR-10")
def test_a_mapping_that_is_changed_later_travels_as_it_was(bench: Bench) -> None:
    subscription = bench.subscription()
    producer = bench.producer(subscription.topic)
    headers: dict[str, HeaderValue] = {"turn": "first", "kept": "yes"}
    producer.publish(headers=headers)
    headers["turn"] = "second"
    producer.publish(headers=headers)
    headers.clear()
    producer.publish(headers=headers)
    producer.confirm()
    reached = bench.drain(bench.consumer(subscription))

    bench.judge(subscription, loss, fidelity)
    assert reached


@clause("HDR-51")
def test_repeated_names_keep_all_values_or_are_refused(bench: Bench) -> None:
    subscription = bench.subscription()
    producer = bench.producer(subscription.topic)
    producer.send(headers={"Name": "1", "name": "2", "NAME": "3"})
    repeated = Headers([("b", "1"), ("a", "2"), ("b", "3"), ("B", "4"), ("b", "1")])
    if bench.capabilities.headers.value.repeats:
        producer.send(headers=repeated)
    else:
        with require_raises(MessageRejectedError, sentence="a name that is repeated"):
            producer.raw.publish(b"refused", headers=repeated)
    for nameless in ({"": "x"}, {"a": "1", "": ""}):
        with require_raises(MessageRejectedError, sentence="a header without a name"):
            producer.raw.publish(b"refused", headers=nameless)
    reached = bench.drain(bench.consumer(subscription))

    bench.judge(subscription, loss, fidelity)
    assert reached
