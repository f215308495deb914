"""Processes that outlive the one that started them, known by pid and start time."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from unibus_contract.brokers.waiting import wait_until

_KILL_TIMEOUT_S = 10.0
_DEAD = "ZX"


@dataclass(frozen=True, slots=True)
class Process:
    """One process of this machine; a later one that got the same pid is not it."""

    pid: int
    started: int
    """Clock ticks after boot, proc(5) field 22; 0 where there is no ``/proc``."""

    @classmethod
    def of(cls, pid: int) -> Process:
        """Return the process that has *pid* now."""
        status = _status(pid)
        return cls(pid, status[1] if status else 0)

    @classmethod
    def this(cls) -> Process:
        """Return the process that calls."""
        return cls.of(os.getpid())

    @property
    def is_alive(self) -> bool:
        """Whether it runs or is stopped; one that is dead but not yet waited for is not alive."""
        status = _status(self.pid)
        if status is None:
            return False
        state, started = status
        if self.started and started != self.started:
            return False
        if state in _DEAD:
            _reap(self.pid)
            return False
        return True

    def send(self, number: signal.Signals) -> None:
        """Send a signal if it is alive; do nothing otherwise."""
        if self.is_alive:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once, also when it is stopped, and wait until it is gone."""
        self.send(signal.SIGKILL)
        self.wait(_KILL_TIMEOUT_S)

    def wait(self, timeout_s: float) -> bool:
        """Wait until it is gone; return False when it still is there after *timeout_s*."""
        return wait_until(lambda: not self.is_alive, timeout_s)


def spawn(command: Sequence[str], *, env: Mapping[str, str], log: Path) -> Process:
    """Start *command* in a session of its own, its output appended to *log*.

    Raises:
        OSError: It cannot be executed.
    """
    with log.open("ab") as output:
        child = subprocess.Popen(  # noqa: S603  # the ladder's own commands, no shell
            command,
            env=dict(env),
            cwd="/",  # the caller's folder can be deleted meanwhile
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    process = Process.of(child.pid)
    # It is meant to outlive this object; Popen would warn about that when collected. `Process`
    # reaps it instead.
    child.returncode = 0
    return process


def _status(pid: int) -> tuple[str, int] | None:
    """Return the state letter and the start time of *pid*; None when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None if Path("/proc/self/stat").exists() else _status_without_proc(pid)
    # The name, in parentheses, may itself contain spaces and parentheses.
    fields = text[text.rindex(")") + 2 :].split()
    return fields[0], int(fields[19])


def _status_without_proc(pid: int) -> tuple[str, int] | None:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass  # it exists and belongs to somebody else
    return "R", 0


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return  # not ours: whoever started it, or init, waits for it
