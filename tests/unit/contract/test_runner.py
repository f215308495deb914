from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from unibus.capabilities import Capabilities, Profile, native
from unibus_contract import deviations
from unibus_contract.clauses import Clause, parse
from unibus_contract.deviations import Deviation, DeviationError
from unibus_contract.due import View
from unibus_contract.harness import BrokerUnderTest, Evidence
from unibus_contract.judgement import require
from unibus_contract.registry import Proof, ProofFunction
from unibus_contract.results import Result, Status, merge
from unibus_contract.runner import Plan, Runner
from unibus_contract.workbench import Bench

HAVE = Capabilities(fan_out=native(value=True))
VIEW = View(HAVE, HAVE, Profile(name="p", capabilities=HAVE))


def clause(more: str = "", budget_s: float = 5.0) -> Clause:
    text = f'[ACK-01]\nsentence = "It is so."\nlevel = "L1"\nbudget_s = {budget_s}\n{more}'
    return parse([("ack", text)])["ACK-01"]


def run(
    proof: ProofFunction,
    chosen: Clause | None = None,
    evidence: Evidence = Evidence.BROKER,
    histories: Path | None = None,
) -> Result:
    broker = BrokerUnderTest("toy", "toy://")
    broker.evidence = evidence
    plan = Plan(clauses=(), tests={"ACK-01": Proof("ACK-01", proof)}, histories=histories)
    return Runner(broker, "p", plan).run_once(chosen or clause(), VIEW)


def nothing(_: Bench) -> None:
    """Prove it by doing nothing."""


def break_it(_: Bench) -> None:
    require(condition=False, sentence="it is not so")


def test_a_proof_that_ends_passes() -> None:
    assert run(nothing).status is Status.PASS


def test_a_counter_example_is_a_violation_and_leaves_a_history(tmp_path: Path) -> None:
    result = run(break_it, histories=tmp_path)

    assert (result.status, result.is_violation) == (Status.FAIL, True)
    assert "it is not so" in result.reason
    assert [each.name for each in tmp_path.iterdir()] == ["toy-p-ACK-01.jsonl"]


def test_a_broken_set_up_fails_and_is_no_violation() -> None:
    def stumble(_: Bench) -> None:
        raise LookupError("no such thing")

    result = run(stumble)

    assert (result.status, result.is_violation) == (Status.FAIL, False)
    assert "LookupError: no such thing (" in result.reason


def test_what_hangs_fails_in_its_budget_and_says_where_it_stood() -> None:
    over = threading.Event()

    def hang(_: Bench) -> None:
        over.wait()

    result = run(hang, clause(budget_s=0.05))
    over.set()

    assert (result.status, result.is_violation) == (Status.FAIL, False)
    assert "test_runner.py" in result.reason


def test_a_thread_that_is_left_behind_fails_the_clause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unibus_contract.runner._LEAK_S", 0.05)
    over = threading.Event()

    def leak(_: Bench) -> None:
        threading.Thread(target=over.wait, name="forgotten").start()

    result = run(leak)
    over.set()

    assert result.status is Status.FAIL
    assert "left behind: thread forgotten" in result.reason


def test_a_clause_that_needs_what_the_harness_cannot_is_not_run() -> None:
    result = run(nothing, clause('needs = ["restart"]'))

    assert (result.status, result.is_due, result.is_good) == (Status.NOT_RUN, True, False)
    assert "restart" in result.reason


def test_a_fault_that_an_in_process_broker_cannot_have_is_not_due() -> None:
    result = run(nothing, clause('needs = ["cut"]'), Evidence.IN_PROCESS)

    assert (result.status, result.is_good) == (Status.NOT_RUN, True)


def test_an_emulator_verifies_nothing_where_the_real_thing_is_needed() -> None:
    chosen = clause("needs_real = true")

    assert run(nothing, chosen, Evidence.EMULATOR).status is Status.UNVERIFIED
    assert run(nothing, chosen, Evidence.BROKER).status is Status.PASS


def result(status: Status, reason: str = "", *, is_violation: bool = False) -> Result:
    return Result(clause="ACK-01", status=status, reason=reason, is_violation=is_violation)


def test_runs_that_differ_are_flaky() -> None:
    both = merge([result(Status.PASS), result(Status.FAIL, "lost one")])

    assert both.status is Status.FLAKY
    assert "run 2: FAIL lost one" in both.reason


@pytest.mark.parametrize(
    ("found", "expires", "expected"),
    [
        (result(Status.FAIL, is_violation=True), date.max, Status.DEVIATES),
        (result(Status.FAIL), date.max, Status.FAIL),
        (result(Status.PASS), date.max, Status.FAIL),
        (result(Status.FAIL, is_violation=True), date.min, Status.FAIL),
    ],
)
def test_a_deviation_is_strict(found: Result, expires: date, expected: Status) -> None:
    declared = Deviation(
        clause="ACK-01",
        profiles=frozenset({"p"}),
        versions=("4.*",),
        reason="it drops one",
        link="https://example.org/1",
        expires=expires,
    )

    assert deviations.apply([declared], found, "p", "4.3").status is expected
    assert deviations.apply([declared], found, "p", "3.10") is found


def test_a_deviation_without_a_link_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "deviations.toml"
    path.write_text('[[deviation]]\nclause = "ACK-01"\n')

    with pytest.raises(DeviationError, match="link"):
        deviations.load(path)


def test_proofs_are_called_with_a_bench_of_their_own() -> None:
    seen: list[str] = []
    record: Callable[[Bench], None] = lambda bench: seen.append(bench.name())  # noqa: E731  # one line
    run(record)
    run(record)

    assert len(set(seen)) == 2
