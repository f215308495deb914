"""The last rung: a RabbitMQ node of our own, without systemd and without a user of its own."""

from __future__ import annotations

import secrets
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Final

from typing_extensions import override

from unibus.errors import UnavailableError, UnibusError
from unibus_contract.brokers.broker import START_TIMEOUT_S, STOP_TIMEOUT_S, Broker
from unibus_contract.brokers.ports import LOOPBACK, free_ports, is_free
from unibus_contract.brokers.processes import Process, spawn
from unibus_contract.brokers.progress import Progress
from unibus_contract.brokers.rabbitmq import conf
from unibus_contract.brokers.rabbitmq.installation import Installation, obtain, of_tree
from unibus_contract.brokers.rabbitmq.readiness import Endpoint, wait_until_ready
from unibus_contract.brokers.recorded import RecordedBroker
from unibus_contract.brokers.rung import Rung
from unibus_contract.brokers.state import State, release
from unibus_contract.brokers.waiting import wait_until

_ATTEMPTS: Final = 5
_PORTS: Final = 5
_LOGIN: Final = "guest:guest"  # RabbitMQ's own default, valid from loopback only
_BROKER: Final = "broker"
_EPMD: Final = "epmd"
_EPMD_TIMEOUT_S: Final = 10.0
_LOG: Final = "log.txt"


class NativeRung(Rung):
    """RabbitMQ installed on this machine or in a Debian tree; installs what is missing as root."""

    name = "native"

    @override
    def prepare(self, version: str, progress: Progress) -> str | None:
        try:
            obtain(version, progress)
        except UnibusError as error:
            return str(error)
        return None

    @override
    def start(self, state: State, version: str, progress: Progress) -> Broker:
        installation = obtain(version, progress)
        tree = "" if installation.tree is None else str(installation.tree)
        for attempt in range(1, _ATTEMPTS + 1):
            ports = conf.Ports.of(free_ports(_PORTS))
            attempted = replace(state, ports=ports.by_purpose(), details={"tree": tree}).save()
            broker = NativeBroker(attempted)
            try:
                broker.start()
            except UnavailableError:
                if attempt == _ATTEMPTS or not broker.lost_a_port():
                    raise
                progress(f"{state.name}: another program took one of its ports; trying others")
            else:
                return broker
        raise AssertionError("unreachable: the last attempt returns or raises")

    @override
    def attach(self, state: State) -> Broker:
        return NativeBroker(state)


class NativeBroker(RecordedBroker):
    """One node and its epmd, both known by process id, in a folder of their own."""

    rung = NativeRung.name

    @property
    @override
    def pid(self) -> int | None:
        process = self._state.processes.get(_BROKER)
        return None if process is None else process.pid

    @property
    @override
    def is_running(self) -> bool:
        return self._is_alive(_BROKER)

    @override
    def kill(self) -> None:
        self._end(_BROKER)

    @override
    def pause(self) -> None:
        self._send(signal.SIGSTOP)

    @override
    def resume(self) -> None:
        self._send(signal.SIGCONT)

    @override
    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        # A frozen process would not see the request to end.
        self._send(signal.SIGCONT)
        self._send(signal.SIGTERM)
        process = self._state.processes.get(_BROKER)
        if process is not None and not process.wait(timeout_s):
            process.kill()

    @override
    def start(self, timeout_s: float = START_TIMEOUT_S) -> None:
        if self.is_running:
            return
        endpoint = Endpoint(
            host=LOOPBACK,
            port=self._ports.amqp,
            management_url=f"http://{_LOGIN}@{LOOPBACK}:{self._ports.management}",
            cluster_name=self.name,
        )
        self._write_files()
        try:
            self._start_epmd()
            self._spawn(_BROKER, conf.BIN / "rabbitmq-server", server=True)
            properties = wait_until_ready(self, endpoint, self._is_whole, timeout_s)
        except BaseException:
            self._end(_BROKER)
            self._end(_EPMD)
            raise
        self._state = replace(
            self._state,
            version=str(properties.get("version", "unknown")),
            url=f"amqp://{_LOGIN}@{LOOPBACK}:{endpoint.port}",
            management_url=endpoint.management_url,
        ).save()

    @override
    def ctl(self, *arguments: str, timeout_s: float = 30.0) -> str:
        command = self._command(conf.BIN / "rabbitmqctl", "-q", *arguments)
        try:
            done = subprocess.run(  # noqa: S603  # the node's own tool, no shell
                command,
                env=conf.command_environment(self._seen, self._ports),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout_s,
                check=False,
                text=True,
            )
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(
                f"{self.name}: rabbitmqctl {arguments[0]} did not answer within {timeout_s} s"
            ) from error
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            raise UnavailableError(f"{self.name}: rabbitmqctl {arguments[0]} failed: {said}")
        return done.stdout

    @override
    def log(self, lines: int = 40) -> str:
        try:
            text = (self._state.folder / _LOG).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    @override
    @contextmanager
    def memory_alarm(self) -> Iterator[None]:
        self.ctl("set_vm_memory_high_watermark", conf.NO_MEMORY)
        try:
            yield
        finally:
            self.ctl("set_vm_memory_high_watermark", conf.USUAL_MEMORY)

    @override
    def destroy(self) -> None:
        self._end(_BROKER)
        self._end(_EPMD)
        release(self._state)

    def lost_a_port(self) -> bool:
        """Return whether another program listens on one of the ports of this ended node."""
        return not all(is_free(port) for port in self._state.ports.values())

    @property
    def _ports(self) -> conf.Ports:
        return conf.Ports(**self._state.ports)

    @property
    def _installation(self) -> Installation:
        tree = self._state.details["tree"]
        return of_tree(Path(tree) if tree else None)

    @property
    def _seen(self) -> PurePath:
        return self._installation.seen(self._state.folder)

    def _command(self, program: PurePath, *arguments: str) -> Sequence[str]:
        return self._installation.command(self._state.folder, program, *arguments)

    def _write_files(self) -> None:
        folder = self._state.folder
        for name in ("mnesia", "log"):
            (folder / name).mkdir(exist_ok=True)
        cookie = folder / ".erlang.cookie"
        if not cookie.exists():
            cookie.touch(mode=0o600)
            cookie.write_text(secrets.token_hex(16), encoding="ascii")
            cookie.chmod(0o400)  # Erlang refuses one that others could read
        (folder / "enabled_plugins").write_text(conf.enabled_plugins(), encoding="ascii")
        (folder / "rabbitmq.conf").write_text(
            conf.configuration(self._ports, self._state.name), encoding="ascii"
        )

    def _start_epmd(self) -> None:
        """Start the port mapper ourselves: the one that Erlang starts is nobody's child."""
        if self._is_alive(_EPMD):
            return
        port = self._ports.epmd
        process = self._spawn(
            _EPMD, conf.EPMD, "-address", LOOPBACK, "-port", str(port), server=False
        )
        # Where another program has the port, it ends a moment later: see `_is_whole`.
        wait_until(lambda: not is_free(port) or not process.is_alive, _EPMD_TIMEOUT_S)

    def _spawn(self, purpose: str, program: PurePath, *arguments: str, server: bool) -> Process:
        environment = conf.server_environment if server else conf.command_environment
        process = spawn(
            self._command(program, *arguments),
            env=environment(self._seen, self._ports),
            log=self._state.folder / _LOG,
        )
        processes = {**self._state.processes, purpose: process}
        self._state = replace(self._state, processes=processes).save()
        return process

    def _is_whole(self) -> bool:
        return self._is_alive(_BROKER) and self._is_alive(_EPMD)

    def _is_alive(self, purpose: str) -> bool:
        process = self._state.processes.get(purpose)
        return process is not None and process.is_alive

    def _send(self, number: signal.Signals) -> None:
        process = self._state.processes.get(_BROKER)
        if process is not None:
            process.send(number)

    def _end(self, purpose: str) -> None:
        process = self._state.processes.get(purpose)
        if process is not None:
            process.kill()
