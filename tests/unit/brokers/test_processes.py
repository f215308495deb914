from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from unibus_contract.brokers.processes import Process, spawn
from unibus_contract.brokers.waiting import wait_until

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_a_killed_process_is_not_alive_although_nobody_waited_for_it(tmp_path: Path) -> None:
    process = spawn(SLEEPER, env=os.environ, log=tmp_path / "log")
    assert process.is_alive

    process.kill()

    assert not process.is_alive


def test_a_frozen_process_is_alive_and_can_be_killed(tmp_path: Path) -> None:
    process = spawn(SLEEPER, env=os.environ, log=tmp_path / "log")
    process.send(signal.SIGSTOP)
    assert process.is_alive

    process.kill()

    assert not process.is_alive


def test_a_later_process_with_the_same_pid_is_another() -> None:
    this = Process.this()
    earlier = Process(this.pid, this.started - 1)

    assert this.is_alive
    assert not earlier.is_alive


def test_a_signal_does_not_reach_a_later_process_with_the_same_pid(tmp_path: Path) -> None:
    process = spawn(SLEEPER, env=os.environ, log=tmp_path / "log")

    Process(process.pid, process.started - 1).kill()

    assert process.is_alive
    process.kill()


def test_output_is_appended_to_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    process = spawn(["sh", "-c", "echo after >&2"], env=os.environ, log=log)

    assert process.wait(10.0)
    assert log.read_text() == "before\nafter\n"


@pytest.mark.parametrize("timeout_s", [0.0, 0.01])
def test_waiting_ends_at_its_deadline(timeout_s: float) -> None:
    assert not wait_until(lambda: False, timeout_s)
    assert wait_until(lambda: True, timeout_s)
