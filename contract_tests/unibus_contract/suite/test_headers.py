"""Headers."""

from __future__ import annotations

from unibus_contract.checkers import fidelity, loss
from unibus_contract.registry import clause
from unibus_contract.workbench import Bench

_ODD = (
    {"Trace-Id": "7", "trace-id-2": "8"},
    {"empty": ""},
    {"unicode": "żółw \N{SLIGHTLY SMILING FACE}"},
    {"spaces": "  in front and behind  "},
    {"quotes": "\"'`\\/"},
    {"a.dotted_name-1": "x" * 100},
)


@clause("HDR-01")
def test_text_headers_come_back_equal(bench: Bench) -> None:
    subscription = bench.subscription()
    producer = bench.producer(subscription.topic)
    for headers in _ODD:
        producer.send(headers=headers)
    reached = bench.drain(bench.consumer(subscription))

    bench.judge(subscription, loss, fidelity)
    assert reached
