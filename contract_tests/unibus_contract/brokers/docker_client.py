"""The part of Docker that the ladder uses: testcontainers to create, the Docker client to attach.

Both are optional (``unibus[contract]``), so they are imported where they are used.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol, cast

from unibus.errors import NotFoundError, UnavailableError
from unibus_contract.brokers.ports import LOOPBACK
from unibus_contract.brokers.progress import Progress

SWITCH: Final = "UNIBUS_DOCKER"
_PING_TIMEOUT_S: Final = 5.0
_PULL_TIMEOUT_S: Final = 600.0
_HERE: Final = ("localhost", LOOPBACK, "::1")


class Container(Protocol):
    """What is used of ``docker.models.containers.Container``, which has no types."""

    attrs: Mapping[str, Mapping[str, object]]

    def start(self) -> None:
        """Start it; do nothing when it runs."""

    def stop(self, *, timeout: int) -> None:
        """Ask it to end, and kill it after *timeout* seconds."""

    def kill(self) -> None:
        """Send SIGKILL to its first process."""

    def pause(self) -> None:
        """Freeze its processes."""

    def unpause(self) -> None:
        """Let its processes go on."""

    def remove(self, *, force: bool, v: bool) -> None:
        """Delete it and its volumes."""

    def wait(self, *, timeout: float) -> object:
        """Wait until it has ended."""

    def logs(self, *, tail: int) -> bytes:
        """Return the last lines of what it wrote."""

    def exec_run(self, cmd: Sequence[str]) -> tuple[int, bytes]:
        """Run a command inside; return its exit code and output."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A container to be created.

    Attributes:
        image: Of this machine; it is not pulled.
        name: Of the container.
        environment: Of its first process.
        ports: Which port of loopback leads to each of its own.
    """

    image: str
    name: str
    environment: Mapping[str, str]
    ports: Mapping[int, int]


def why_not(image: str, progress: Progress) -> str | None:
    """Return why no container of *image* can be had here, or None; pull the image if need be."""
    if os.environ.get(SWITCH) == "0":
        return f"switched off by {SWITCH}=0"
    if importlib.util.find_spec("testcontainers") is None:
        return "testcontainers is not installed; run: pip install 'unibus[contract]'"
    try:
        with _client(_PING_TIMEOUT_S) as client:
            client.ping()
    except UnavailableError as error:
        return f"no Docker daemon answers ({error}); start one to use this way"
    try:
        _fetch(image, progress)
    except UnavailableError as error:
        return f"the image {image} is not here and cannot be pulled ({error})"
    return None


def run(plan: Plan) -> tuple[str, dict[int, int]]:
    """Create and start the container; return the host and the ports where it can be reached.

    Raises:
        UnavailableError: Docker refused, such as for a port that is taken.
    """
    from testcontainers.core.config import (  # noqa: PLC0415  # optional: unibus[contract]
        testcontainers_config,
    )
    from testcontainers.core.container import (  # noqa: PLC0415  # optional: unibus[contract]
        DockerContainer,
    )

    # Its reaper would end the container together with this process; the state file of the ladder
    # does that work, and lets a broker stay.
    testcontainers_config.ryuk_disabled = True
    with _translated():
        container = DockerContainer(plan.image).with_name(plan.name)
        container.with_envs(**plan.environment)
        client = container.get_docker_client()
        container.ports = _published(plan.ports, client.host())
        try:
            container.start()
            ports = {port: container.get_exposed_port(port) for port in plan.ports}
            return container.get_container_host_ip(), ports
        finally:
            client.client.close()


@contextmanager
def container(name: str, timeout_s: float) -> Iterator[Container]:
    """Provide the container called *name*; requests to Docker take at most *timeout_s* each.

    Raises:
        NotFoundError: There is none.
        UnavailableError: Docker does not answer, or refused what was done in the block.
    """
    with _client(timeout_s) as client:
        yield client.containers.get(name)


class _Containers(Protocol):
    def get(self, name: str) -> Container: ...


class _Images(Protocol):
    def list(self, name: str) -> Sequence[object]: ...
    def pull(self, name: str) -> object: ...


class _Client(Protocol):
    @property
    def containers(self) -> _Containers: ...
    @property
    def images(self) -> _Images: ...
    def ping(self) -> bool: ...
    def close(self) -> None: ...


@contextmanager
def _client(timeout_s: float) -> Iterator[_Client]:
    client = _connect(timeout_s)
    try:
        with _translated():
            yield client
    finally:
        client.close()


def _connect(timeout_s: float) -> _Client:
    # testcontainers' own, since it also reads the Docker context and ~/.testcontainers.properties.
    from testcontainers.core.docker_client import (  # noqa: PLC0415  # optional: unibus[contract]
        DockerClient,
    )

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            with _translated():
                return cast("_Client", DockerClient(timeout=timeout_s).client)
        except UnavailableError as error:
            sentence = str(error)
        # docker 7 leaks the socket of a connection that failed, in a cycle with the traceback. It
        # goes here, rather than as a warning in the middle of somebody's test.
        gc.collect()
    raise UnavailableError(sentence)


@contextmanager
def _translated() -> Iterator[None]:
    from docker.errors import DockerException, NotFound  # noqa: PLC0415  # optional, as above

    try:
        yield
    except NotFound as error:
        raise NotFoundError(f"Docker: {_sentence(error)}") from error
    except (DockerException, OSError) as error:  # what requests raises is an OSError
        raise UnavailableError(f"Docker: {_sentence(error)}") from error


def _sentence(error: Exception) -> str:
    return str(error).strip() or type(error).__name__


def _fetch(image: str, progress: Progress) -> None:
    with _client(_PULL_TIMEOUT_S) as client:
        if not client.images.list(image):
            progress(f"pulling the image {image}")
            client.images.pull(image)


def _published(ports: Mapping[int, int], host: str) -> dict[str, int | None]:
    """Return how to publish *ports*: on loopback alone where Docker runs on this machine."""
    published: Mapping[str, int | tuple[str, int]] = {
        f"{inside}/tcp": (LOOPBACK, outside) if host in _HERE else outside
        for inside, outside in ports.items()
    }
    # testcontainers hands it to the Docker client as it is, whose ports may be (address, port).
    return cast("dict[str, int | None]", published)
