"""Handles of agents: consumers that can be killed, stopped and continued, and are recorded."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Literal

from typing_extensions import override

from unibus.specs import Subscription
from unibus_contract.history import Event, Kind, Phase, Scope, body_digest
from unibus_contract.recorder import Recorder
from unibus_contract.stamps import Stamp
from unibus_contract.timing import TimingProfile
from unibus_contract.wire_specs import subscription_to_json

Verb = Literal["ack", "nack", "release", "reject"]
_END_S = 15.0


class Agent(ABC):
    """A consumer beyond the clause's own process, or as good as.

    Attributes:
        name: Its process in the history.
        deliveries: What it has got, in order; each is held until it is settled.
    """

    def __init__(self, recorder: Recorder, scope: Scope, timing: TimingProfile) -> None:
        self.name = recorder.name("a")
        self.deliveries: list[Event] = []
        self._recorder = recorder
        self._scope = scope
        self._timing = timing

    def wait_for(self, count: int, *, timeout_s: float | None = None) -> bool:
        """Return whether it has got *count* deliveries in time, by default within patience."""
        within_s = self._timing.patience_s if timeout_s is None else timeout_s
        return self._recorder.wait_for(lambda: len(self.deliveries) >= count, within_s=within_s)

    @abstractmethod
    def settle(self, delivery: Event, verb: Verb) -> None:
        """Have it settle one of its deliveries."""

    @abstractmethod
    def flush(self) -> None:
        """Have it wait for the broker, and note how every settlement ended."""

    @abstractmethod
    def kill(self) -> None:
        """End it as ``kill -9`` does, and note the crash."""

    @abstractmethod
    def close(self) -> None:
        """End it in good order. Safe to call after ``kill``."""

    def _note(self, kind: Kind, phase: Phase, delivery: Event | None, error: str = "") -> None:
        self._recorder.note(
            self.name,
            kind,
            phase,
            message="" if delivery is None else delivery.message,
            destination=self._scope.topic,
            subscription=self._scope.subscription,
            lease="" if delivery is None else delivery.lease,
            error=error,
        )


class AgentProcess(Agent):
    """``python -m unibus_contract.agent`` as a child process."""

    def __init__(
        self,
        recorder: Recorder,
        scope: Scope,
        timing: TimingProfile,
        subscription: Subscription,
        order: Mapping[str, Any],
    ) -> None:
        super().__init__(recorder, scope, timing)
        self._ready = threading.Event()
        self._flushed = threading.Event()
        self._by_lease: dict[int, Event] = {}
        self._verbs: dict[int, Kind] = {}
        self.errors: list[str] = []
        self._child = subprocess.Popen(
            [sys.executable, "-m", "unibus_contract.agent"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, name=self.name, daemon=True)
        self._reader.start()
        self._tell({"do": "consume", "subscription": subscription_to_json(subscription), **order})

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def wait_ready(self) -> None:
        """Wait until it consumes.

        Raises:
            RuntimeError: It does not; says what it wrote.
        """
        if not self._ready.wait(_END_S):
            raise RuntimeError(f"the agent is not ready: {'; '.join(self.errors) or 'silence'}")
        self._note(Kind.JOIN, Phase.OK, None)

    @override
    def settle(self, delivery: Event, verb: Verb) -> None:
        lease = int(delivery.lease.partition("#")[2])
        self._tell({"do": "settle", "lease": lease, "verb": verb})

    @override
    def flush(self) -> None:
        self._flushed.clear()
        self._tell({"do": "flush"})
        self._flushed.wait(_END_S)

    @override
    def kill(self) -> None:
        self._child.kill()
        self._end()
        self._note(Kind.CRASH, Phase.INFO, None)

    def stop(self) -> None:
        """Freeze it (SIGSTOP): its connections stay, it says nothing more."""
        self._child.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on after ``stop``."""
        self._child.send_signal(signal.SIGCONT)

    def wait_dead(self) -> bool:
        """Return whether it ends by itself in time; then the crash is noted."""
        try:
            self._child.wait(_END_S)
        except subprocess.TimeoutExpired:
            return False
        self._end()
        self._note(Kind.CRASH, Phase.INFO, None)
        return True

    @override
    def close(self) -> None:
        if self._child.poll() is None:
            self._note(Kind.CLOSE, Phase.INVOKE, None)
            self._tell({"do": "exit", "how": "close"})
            try:
                self._child.wait(_END_S)
            except subprocess.TimeoutExpired:
                self._child.kill()
            self._note(Kind.CLOSE, Phase.OK, None)
        self._end()

    def _end(self) -> None:
        self._child.wait()
        self._reader.join()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None and not pipe.closed:
                pipe.close()

    def _tell(self, command: Mapping[str, Any]) -> None:
        assert self._child.stdin is not None, "opened with a pipe"
        self._child.stdin.write(json.dumps(command) + "\n")
        self._child.stdin.flush()

    # On the reader's thread

    def _read(self) -> None:
        assert self._child.stdout is not None, "opened with a pipe"
        hearers: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
            "ready": lambda _: self._ready.set(),
            "flushed": lambda _: self._flushed.set(),
            "delivered": self._delivered,
            "settling": self._settling,
            "settled": self._settled,
            "error": lambda said: self.errors.append(said["error"]),
        }
        for line in self._child.stdout:
            said = json.loads(line)
            if said["event"] in hearers:
                hearers[said["event"]](said)

    def _delivered(self, said: Mapping[str, Any]) -> None:
        body = base64.b64decode(said["body"])
        found = self._recorder.recognise(body, said["id"])
        if not isinstance(found, str):
            if isinstance(found, Stamp):
                self._recorder.saw_sentinel(self._scope.subscription, found.n)
            self._tell({"do": "settle", "lease": said["lease"], "verb": "ack"})
            return
        attempt = said["attempt"]
        event = self._recorder.note(
            self.name,
            Kind.DELIVER,
            Phase.INFO,
            message=found,
            destination=self._scope.topic,
            subscription=self._scope.subscription,
            key=said["key"] or "",
            routing_key=said["routing_key"] or "",
            lease=f"{self.name}#{said['lease']}",
            attempt=-1 if attempt is None else attempt,
            headers=said["headers"],
            body=body_digest(body),
            identity=said["id"],
        )
        self._by_lease[said["lease"]] = event
        self.deliveries.append(event)
        self._recorder.poke()

    def _settling(self, said: Mapping[str, Any]) -> None:
        delivery = self._by_lease.get(said["lease"])
        if delivery is not None:
            self._verbs[said["lease"]] = Kind(said["verb"])
            self._note(Kind(said["verb"]), Phase.INVOKE, delivery)

    def _settled(self, said: Mapping[str, Any]) -> None:
        delivery = self._by_lease.get(said["lease"])
        if delivery is not None:
            kind = self._verbs[said["lease"]]
            self._note(kind, Phase(said["phase"]), delivery, said["error"])
