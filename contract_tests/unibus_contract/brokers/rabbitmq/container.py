"""The second rung: RabbitMQ in a container, through testcontainers."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from typing_extensions import override

from unibus.errors import NotFoundError, UnavailableError
from unibus_contract.brokers import docker_client
from unibus_contract.brokers.broker import START_TIMEOUT_S, STOP_TIMEOUT_S, Broker
from unibus_contract.brokers.ports import free_ports, is_free
from unibus_contract.brokers.progress import Progress
from unibus_contract.brokers.rabbitmq.conf import NO_MEMORY, PLUGINS, USUAL_MEMORY
from unibus_contract.brokers.rabbitmq.readiness import Endpoint, wait_until_ready
from unibus_contract.brokers.recorded import RecordedBroker
from unibus_contract.brokers.rung import Rung
from unibus_contract.brokers.state import State, release

IMAGE: Final = "UNIBUS_RABBITMQ_IMAGE"
_OFFICIAL: Final = "rabbitmq:{version}-management"
_AMQP: Final = 5672
_MANAGEMENT: Final = 15672
_ATTEMPTS: Final = 5
_USER: Final = "unibus"


def image(version: str) -> str:
    """Return the image of *version*: the official one, or what ``UNIBUS_RABBITMQ_IMAGE`` says."""
    return (os.environ.get(IMAGE) or _OFFICIAL).replace("{version}", version)


class DockerRung(Rung):
    """RabbitMQ's official image; any version that there is one for."""

    name = "docker"

    @override
    def prepare(self, version: str, progress: Progress) -> str | None:
        return docker_client.why_not(image(version), progress)

    @override
    def start(self, state: State, version: str, progress: Progress) -> Broker:
        for attempt in range(1, _ATTEMPTS + 1):
            amqp, management = free_ports(2)
            details = {
                "container": f"unibus-{secrets.token_hex(6)}",
                "image": image(version),
                "password": secrets.token_hex(8),
            }
            ports = {"amqp": amqp, "management": management}
            broker = DockerBroker(replace(state, ports=ports, details=details).save())
            try:
                broker.create()
            except UnavailableError:
                broker.remove()
                if attempt == _ATTEMPTS or (is_free(amqp) and is_free(management)):
                    raise
                progress(f"{state.name}: another program took one of its ports; trying others")
                continue
            broker.start()
            return broker
        raise AssertionError("unreachable: the last attempt returns or raises")

    @override
    def attach(self, state: State) -> Broker:
        return DockerBroker(state)


class DockerBroker(RecordedBroker):
    """One container, known by a name that was written down before it was created."""

    rung = DockerRung.name

    @property
    @override
    def is_running(self) -> bool:
        try:
            with self._container() as container:
                return bool(container.attrs["State"]["Running"])
        except (NotFoundError, UnavailableError):  # without its daemon no container runs
            return False

    @override
    def kill(self) -> None:
        self._thaw()
        with self._container() as container:
            container.kill()
            container.wait(timeout=STOP_TIMEOUT_S)

    @override
    def pause(self) -> None:
        with self._container() as container:
            container.pause()

    @override
    def resume(self) -> None:
        self._thaw()

    @override
    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        self._thaw()
        with self._container() as container:
            container.stop(timeout=int(timeout_s))

    @override
    def start(self, timeout_s: float = START_TIMEOUT_S) -> None:
        with self._container() as container:
            container.start()
        login = f"{_USER}:{self._state.details['password']}"
        ports = self._state.ports
        host = self._state.details["host"]
        endpoint = Endpoint(
            host=host,
            port=ports["amqp"],
            management_url=f"http://{login}@{host}:{ports['management']}",
        )
        properties = wait_until_ready(self, endpoint, lambda: self.is_running, timeout_s)
        self._run("rabbitmq-plugins", "-q", "enable", *PLUGINS)
        self._state = replace(
            self._state,
            version=str(properties.get("version", "unknown")),
            url=f"amqp://{login}@{host}:{endpoint.port}",
            management_url=endpoint.management_url,
        ).save()

    @override
    def ctl(self, *arguments: str, timeout_s: float = 30.0) -> str:
        return self._run("rabbitmqctl", "-q", *arguments, timeout_s=timeout_s)

    @override
    def log(self, lines: int = 40) -> str:
        with self._container() as container:
            return container.logs(tail=lines).decode(errors="replace")

    @override
    @contextmanager
    def memory_alarm(self) -> Iterator[None]:
        self.ctl("set_vm_memory_high_watermark", NO_MEMORY)
        try:
            yield
        finally:
            self.ctl("set_vm_memory_high_watermark", USUAL_MEMORY)

    @override
    def destroy(self) -> None:
        self.remove()
        release(self._state)

    def create(self) -> None:
        """Create and start the container; the image has to be here.

        Raises:
            UnavailableError: Docker refused, such as for a port that is taken.
        """
        details = self._state.details
        host, ports = docker_client.run(
            docker_client.Plan(
                image=details["image"],
                name=details["container"],
                environment={
                    "RABBITMQ_DEFAULT_USER": _USER,
                    "RABBITMQ_DEFAULT_PASS": details["password"],
                },
                ports={
                    _AMQP: self._state.ports["amqp"],
                    _MANAGEMENT: self._state.ports["management"],
                },
            )
        )
        self._state = replace(
            self._state,
            ports={"amqp": ports[_AMQP], "management": ports[_MANAGEMENT]},
            details={**details, "host": host},
        ).save()

    def remove(self) -> None:
        """Remove the container and its volumes at once, whatever its state; safe to call twice."""
        try:
            with self._container() as container:
                container.remove(force=True, v=True)
        except NotFoundError:
            return

    @contextmanager
    def _container(self, timeout_s: float = 60.0) -> Iterator[docker_client.Container]:
        with docker_client.container(self._state.details["container"], timeout_s) as found:
            yield found

    def _thaw(self) -> None:
        # Docker neither stops nor kills what it has frozen.
        with self._container() as container:
            if container.attrs["State"]["Paused"]:
                container.unpause()

    def _run(self, *command: str, timeout_s: float = 30.0) -> str:
        with self._container(timeout_s) as container:
            code, output = container.exec_run(command)
        said = output.decode(errors="replace")
        if code != 0:
            raise UnavailableError(f"{self.name}: {command[0]} failed: {said.strip()}")
        return said
