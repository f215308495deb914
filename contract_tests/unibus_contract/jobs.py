"""Runs a plan by several processes at once, and what disturbs others by itself."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace

from unibus_contract.harness import BrokerUnderTest, Harness
from unibus_contract.runner import Plan, ProfileRun, Report, Runner
from unibus_contract.worker import from_json, job

_DISTURBING = frozenset({"alarm", "kill", "pause", "restart"})
"""Needs that are done to the whole broker: others would suffer from them."""


def run_jobs(
    harness: Harness,
    broker: BrokerUnderTest,
    profile: str,
    plan: Plan,
    *,
    jobs: int,
    report: Report,
) -> ProfileRun:
    """Run *plan* by *jobs* processes; results are in the order of the plan.

    Raises:
        UnibusError: The broker cannot be reached with this profile at all.
        RuntimeError: A worker ended without its results; says what it wrote.
    """
    if jobs == 1:
        return Runner(broker, profile, plan).run(report)
    alone = [each for each in plan.clauses if each.needs & _DISTURBING]
    others = [each for each in plan.clauses if not each.needs & _DISTURBING]
    runner = Runner(broker, profile, replace(plan, clauses=alone))
    run = runner.blank()
    shares = [share for index in range(jobs) if (share := others[index::jobs])]
    plans = [replace(plan, clauses=share) for share in shares]
    workers: list[_Worker] = []
    lock = threading.Lock()
    try:
        workers += (_Worker(harness, broker, profile, each) for each in plans)
        threads = [
            threading.Thread(target=each.collect, args=(run, lock, report)) for each in workers
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    except KeyboardInterrupt:
        for worker in workers:
            worker.interrupt()
            worker.end()
        return run
    if complaints := [said for each in workers if (said := each.end())]:
        raise RuntimeError(complaints[0])
    rest = runner.run(report)
    found = {**run.results, **rest.results}
    run.results = {each.id: found[each.id] for each in plan.clauses if each.id in found}
    run.is_whole = rest.is_whole
    return run


class _Worker:
    """One process and its share of the clauses."""

    def __init__(self, harness: Harness, broker: BrokerUnderTest, profile: str, plan: Plan) -> None:
        self._wanted = len(plan.clauses)
        self._got = 0
        self._complaints = tempfile.TemporaryFile(mode="w+", encoding="utf-8")  # noqa: SIM115  # closed by end
        self._child = subprocess.Popen(
            [sys.executable, "-m", "unibus_contract.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
        )
        self._told = json.dumps(job(harness, broker, profile, plan))

    def collect(self, run: ProfileRun, lock: threading.Lock, report: Report) -> None:
        """Hand over the job, and take in results until there are no more."""
        assert self._child.stdin is not None, "opened with a pipe"
        assert self._child.stdout is not None, "opened with a pipe"
        with self._child.stdin as stdin:
            stdin.write(self._told)
        with self._child.stdout as lines:
            for line in lines:
                result = from_json(line)
                with lock:
                    run.results[result.clause] = result
                    report(result)
                self._got += 1

    def interrupt(self) -> None:
        """Have it clean up and end; a terminal has told it already."""
        self._child.send_signal(signal.SIGINT)

    def end(self) -> str:
        """Wait until it has cleaned up; return what it wrote if results are missing."""
        self._child.wait()
        with self._complaints as stream:
            stream.seek(0)
            said = stream.read()
        return "" if self._got == self._wanted else f"a worker ended early: {said[-2000:]}"
