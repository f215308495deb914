from __future__ import annotations

import json

from unibus.spi import BrokerIdentity
from unibus_contract.clauses import parse
from unibus_contract.harness import Evidence
from unibus_contract.report import Report
from unibus_contract.results import Result, Status
from unibus_contract.runner import ProfileRun

CATALOGUE = parse(
    [
        ("ack", '[ACK-01]\nsentence = "a"\nlevel = "L1"\n[ACK-02]\nsentence = "b"\nlevel = "L1"\n'),
        ("publish", '[PUB-01]\nsentence = "c"\nlevel = "L1"\n'),
    ]
)


def profile_run(*results: Result, is_whole: bool = True) -> ProfileRun:
    return ProfileRun(
        broker="rabbitmq 4.3",
        url="amqp://guest:***@host/v",
        profile="rabbitmq",
        identity=BrokerIdentity(system="rabbitmq", version="4.3.6", client="pika", address="h:1"),
        evidence=Evidence.BROKER,
        results={each.clause: each for each in results},
        is_whole=is_whole,
    )


PASSED = Result(clause="ACK-01", status=Status.PASS, seconds=1.5)
REFUSED = Result(clause="ACK-02", status=Status.REFUSED, is_due=False)
NOT_DUE = Result(clause="PUB-01", status=Status.NOT_RUN, reason="not due", is_due=False)
FAILED = Result(clause="PUB-01", status=Status.FAIL, reason="loss: p1//3\n  the events")


def test_a_report_is_good_when_all_is_kept_refused_or_not_due() -> None:
    assert Report(CATALOGUE, [profile_run(PASSED, REFUSED, NOT_DUE)]).is_good


def test_one_failure_or_an_interruption_is_not_good() -> None:
    assert not Report(CATALOGUE, [profile_run(PASSED, FAILED)]).is_good
    assert not Report(CATALOGUE, [profile_run(PASSED, is_whole=False)]).is_good


def test_the_json_has_identity_evidence_and_each_clause() -> None:
    told = json.loads(json.dumps(Report(CATALOGUE, [profile_run(PASSED, FAILED)]).as_json()))

    (profile,) = told["profiles"]
    assert profile["broker_version"] == "4.3.6"
    assert profile["evidence"] == "real broker"
    assert profile["counts"] == {"PASS": 1, "FAIL": 1}
    assert profile["clauses"]["PUB-01"]["status"] == "FAIL"
    assert told["slowest"][0]["clause"] == "ACK-01"


def test_a_cell_counts_by_status_worst_first_and_leaves_out_what_is_not_due() -> None:
    report = Report(CATALOGUE, [profile_run(PASSED, REFUSED, NOT_DUE)])

    assert report.by_family() == {"ack": ["1 refused, 1 pass"], "publish": ["-"]}


def test_the_markdown_shows_the_first_line_of_what_is_bad() -> None:
    text = Report(CATALOGUE, [profile_run(PASSED, FAILED)]).as_markdown()

    assert "| family | rabbitmq 4.3 rabbitmq |" in text
    assert "PUB-01 **FAIL** loss: p1//3\n" in text
