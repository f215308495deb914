"""Runs one of the programs of ``unibus_contract.program`` and sees what becomes of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from unibus.specs import Subscription
from unibus_contract.elsewhere import way_to
from unibus_contract.wire_specs import subscription_to_json

if TYPE_CHECKING:
    from unibus_contract.premises import Premises

_START_S = 15.0


class Program:
    """A process; killed with its premises if it has not ended before.

    Args:
        premises: Where it belongs.
        name: Which program.
        subscription: What it declares and uses.
        bodies: What it publishes.
    """

    def __init__(
        self,
        premises: Premises,
        name: str,
        subscription: Subscription,
        bodies: Iterable[str] = (),
    ) -> None:
        self._said: list[Mapping[str, Any]] = []
        self._changed = threading.Condition(threading.RLock())
        self._complaints = tempfile.TemporaryFile(mode="w+", encoding="utf-8")  # noqa: SIM115  # closed by close
        self._child = subprocess.Popen(  # noqa: S603  # a program of ours
            [sys.executable, "-m", "unibus_contract.program", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
        )
        premises.handles.callback(self.close)
        self._reader = threading.Thread(target=self._read, name=name, daemon=True)
        self._reader.start()
        order = {
            **way_to(premises.broker, premises.url),
            "subscription": subscription_to_json(subscription),
            "bodies": list(bodies),
        }
        self.tell(order)

    def tell(self, what: Mapping[str, object]) -> None:
        """Write one line to its standard input."""
        assert self._child.stdin is not None, "opened with a pipe"
        self._child.stdin.write(f"{json.dumps(what)}\n")
        self._child.stdin.flush()

    def said(self, event: str) -> list[Mapping[str, Any]]:
        """Return what it has said of *event* so far."""
        with self._changed:
            return [each for each in self._said if each["event"] == event]

    def wait_for(self, event: str, count: int = 1) -> bool:
        """Return whether it says *event* in time, *count* times in all."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.said(event)) >= count, _START_S)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._child.send_signal(signal.SIGINT)

    def ended(self, within_s: float) -> int | None:
        """Return its exit code once everything it has written was read; ``None`` if it goes on."""
        try:
            code = self._child.wait(within_s)
        except subprocess.TimeoutExpired:
            return None
        self._reader.join()
        return code

    @property
    def complaints(self) -> str:
        """What it has written to standard error."""
        self._complaints.seek(0)
        return self._complaints.read()

    def close(self) -> None:
        """Kill it unless it has ended."""
        self._child.kill()
        self._child.wait()
        self._reader.join()
        for each in (self._child.stdin, self._child.stdout, self._complaints):
            if each is not None:
                each.close()

    def _read(self) -> None:
        assert self._child.stdout is not None, "opened with a pipe"
        for line in self._child.stdout:
            with self._changed:
                self._said.append(json.loads(line))
                self._changed.notify_all()
