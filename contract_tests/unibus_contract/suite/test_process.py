"""Processes that fork, are interrupted, or end."""

from __future__ import annotations

import signal
from collections import Counter

from unibus.specs import Subscription
from unibus_contract.harness import Evidence
from unibus_contract.judgement import require, require_equal
from unibus_contract.programs import Program
from unibus_contract.registry import clause
from unibus_contract.timing import Deadline
from unibus_contract.workbench import Bench

_SOON_S = 5.0  # for Python to end, and a second for what was published


def _read_all(bench: Bench, subscription: Subscription, wanted: set[str]) -> Counter[str]:
    """Return what waits, how often each, as soon as all of *wanted* has come, or time is up."""
    consumer = bench.main.consumer(subscription)
    found: Counter[str] = Counter()
    patience = Deadline(bench.timing.patience_s)
    while not wanted <= set(found) and not patience.is_over:
        batch = consumer.receive(100, timeout_s=patience.left_s)
        found.update((body or b"").decode() for body in batch.bodies)
        batch.ack()
    consumer.close()
    return found


@clause("LIF-54")
def test_a_forked_child_is_refused_and_the_parent_unharmed(bench: Bench) -> None:
    program = Program(bench, "fork", bench.subscription(), ["first", "second"])
    code = program.ended(2 * _SOON_S)
    child = {each["did"]: each["error"] for each in program.said("child")}

    require(
        code is not None, f"a program that forked does not end; it said {program.said('child')}"
    )
    calls = {did: error for did, error in child.items() if not did.startswith("close")}
    granted = [did for did, error in calls.items() if not error.startswith("ForkedError")]
    require(len(calls) == 6 and not granted, f"in the child: {calls}")
    closed = [error for did, error in child.items() if did.startswith("close") and error]
    require(not closed, f"closing in the child: {closed}")
    require_equal([0], [each["code"] for each in program.said("ended")], "the child's exit code")
    parent = [(each["settled"], each["body"]) for each in program.said("parent")]
    require_equal([("settled", "second")], parent, f"in the parent; {program.complaints}")


@clause("LIF-55")
def test_a_program_may_end_without_closing_anything(bench: Bench) -> None:
    subscription = bench.subscription()
    bodies = {f"body {number}" for number in range(20)}
    program = Program(bench, "leave", subscription, sorted(bodies))
    assert program.wait_for("left"), program.complaints
    code = program.ended(_SOON_S)

    require_equal(0, code, f"exit code, {_SOON_S} s after it had nothing left to do")
    require_equal("", program.complaints, "what it wrote to standard error")
    if bench.broker.evidence is not Evidence.IN_PROCESS:
        missing = bodies - set(_read_all(bench, subscription, bodies))
        require(not missing, f"published or held, and gone: {sorted(missing)}")


@clause("LIF-61")
def test_ctrl_c_ends_a_program_and_gives_back_what_it_held(bench: Bench) -> None:
    subscription = bench.subscription()
    bodies = {f"body {number}" for number in range(6)}
    program = Program(bench, "interrupted", subscription, sorted(bodies))
    assert program.wait_for("stuck"), program.complaints
    program.interrupt()
    code = program.ended(_SOON_S)
    handled = {each["body"] for each in program.said("handled")}

    require(code is not None, f"{_SOON_S} s after Ctrl-C it still runs")
    require_equal(-signal.SIGINT, code, "how it ended, as Python does on Ctrl-C")
    others = [line for line in program.complaints.splitlines() if line.startswith("unibus")]
    require(not others, f"beside the interrupt it complained of {others}")
    require_equal(2, len(handled), "deliveries handled before the one that was interrupted")
    if bench.broker.evidence is not Evidence.IN_PROCESS:
        found = _read_all(bench, subscription, bodies - handled)
        require_equal(sorted(bodies - handled), sorted(found.elements()), "what comes again")
