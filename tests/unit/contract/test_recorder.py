from __future__ import annotations

from pathlib import Path

import pytest
from tale import DEAD, SCOPE, Tale

from unibus.message import Headers
from unibus_contract import stamps
from unibus_contract.history import History, Kind, Phase, headers_digest
from unibus_contract.ledger import Ledger
from unibus_contract.recorder import Recorder


def test_a_history_survives_its_file(tmp_path: Path) -> None:
    tale = Tale()
    tale.published("p1/żółw/0", key="żółw")
    tale.handled("p1/żółw/0")

    tale.history.write(tmp_path / "h.jsonl")

    assert History.read(tmp_path / "h.jsonl").events == tale.history.events


def test_a_file_with_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "h.jsonl").write_text('{"kind": "dance", "phase": "ok"}\n')

    with pytest.raises(ValueError, match="dance"):
        History.read(tmp_path / "h.jsonl")


@pytest.mark.parametrize("key", [None, "", "plain", "a:b/c", "żółw"])
def test_a_stamp_survives_its_body(key: str | None) -> None:
    stamp = stamps.stamp("run", "p1", key, 7)

    assert stamps.read(stamps.write(stamp, 100)) == stamp
    assert len(stamps.write(stamp, 100)) == 100


@pytest.mark.parametrize("body", [None, b"", b"ub", b"ub:a:b:c", b"ub:a:b:c:d:", b"\xff" * 9])
def test_other_bodies_carry_no_stamp(body: bytes | None) -> None:
    assert stamps.read(body) is None


def test_digests_of_headers_tell_types_and_repeats_apart_but_not_their_order() -> None:
    assert headers_digest({"a": 1, "b": "x"}) == headers_digest({"b": "x", "a": 1})
    assert headers_digest({"a": 1}) != headers_digest({"a": "1"})
    assert headers_digest({"a": 1}) != headers_digest({"a": True})
    assert headers_digest(Headers([("a", "1"), ("a", "2")])) != headers_digest({"a": "2"})


def follow(tale: Tale) -> Ledger:
    ledger = Ledger()
    ledger.register(DEAD)
    ledger.register(type(DEAD)("dead", "dead"))
    for event in tale.events:
        ledger.follow(event)
    return ledger


def test_what_was_accepted_is_awaited_until_it_is_acked() -> None:
    tale = Tale()
    tale.published("1")
    tale.published("2", Phase.FAIL)
    assert follow(tale).of("sub").open == {"1"}
    tale.handled("1")

    assert follow(tale).of("sub").open == set()


def test_what_was_given_up_is_awaited_in_the_dead_letter_queue() -> None:
    tale = Tale()
    tale.published("1")
    tale.settled(tale.delivered("1"), Kind.NACK)
    assert follow(tale).of("dead").open == set()
    tale.settled(tale.delivered("1"), Kind.NACK)

    assert follow(tale).of("sub").open == set()
    assert follow(tale).of("dead").open == {"1"}


def test_a_message_of_another_run_is_a_stray_and_not_recognised() -> None:
    recorder = Recorder("mine")
    mine, other = recorder.stamp("p1", "k"), stamps.stamp("other", "p1", "k", 0)

    assert recorder.recognise(stamps.write(mine), "x") == "p1/k/0"
    assert recorder.recognise(stamps.write(other), "x") is None
    assert recorder.strays == 1
    assert recorder.recognise(b"who am I", "x") == "unreadable/x"


def test_a_recorder_awaits_what_was_published_before_only_when_told() -> None:
    recorder = Recorder("run")
    for phase in (Phase.INVOKE, Phase.OK):
        recorder.note("p1", Kind.PUBLISH, phase, message="1", destination="topic")
    recorder.expect(SCOPE)
    assert recorder.is_done("sub")
    recorder.expect(SCOPE, with_past=True)

    assert not recorder.is_done("sub")
