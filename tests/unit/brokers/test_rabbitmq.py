from __future__ import annotations

import socket
import struct
import threading
from pathlib import Path, PurePosixPath
from typing import Self

import pytest

from unibus.errors import ConfigurationError, UnavailableError, UnsupportedError
from unibus_contract.brokers.broker import redacted
from unibus_contract.brokers.ports import LOOPBACK, free_ports
from unibus_contract.brokers.rabbitmq import conf
from unibus_contract.brokers.rabbitmq.container import image
from unibus_contract.brokers.rabbitmq.environment import GivenBroker, given
from unibus_contract.brokers.rabbitmq.handshake import parse_start, server_properties
from unibus_contract.brokers.rabbitmq.installation import Installation
from unibus_contract.brokers.rabbitmq.management import Management
from unibus_contract.brokers.rabbitmq.readiness import failure_in
from unibus_contract.brokers.rabbitmq.versions import installed_version, is_of

PORTS = conf.Ports.of((1, 2, 3, 4, 5))


def test_every_listener_of_the_configuration_is_on_loopback() -> None:
    text = conf.configuration(PORTS, "one")

    assert "cluster_name = one\n" in text
    assert "listeners.tcp.default = 127.0.0.1:1\n" in text
    assert "management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = 2\n" in text
    assert "stream.listeners.tcp.1 = 127.0.0.1:3\n" in text


def test_the_environment_of_a_node_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RABBITMQ_NODENAME", "somebody@else")
    environment = conf.server_environment(PurePosixPath("/node"), PORTS)

    assert environment["RABBITMQ_NODENAME"] == conf.NODE
    assert environment["RABBITMQ_DIST_PORT"] == "4"
    assert environment["ERL_EPMD_PORT"] == "5"
    assert environment["HOME"] == "/node"


def test_a_program_in_a_tree_sees_the_folder_at_a_place_that_every_tree_has() -> None:
    here = Installation("3.10.8", None)
    in_tree = Installation("4.3.6", Path("/trees/forky"))

    assert here.command(Path("/node"), "epmd", "-x") == ["epmd", "-x"]
    assert here.seen(Path("/node")) == Path("/node")
    assert in_tree.command(Path("/node"), "epmd", "-x")[-4:] == [
        "/trees/forky",
        "/node",
        "epmd",
        "-x",
    ]
    assert in_tree.seen(Path("/node")) == Path("/mnt")


@pytest.mark.parametrize(
    ("version", "wanted", "expected"),
    [
        ("3.10.8", "3.10", True),
        ("3.10.8", "3.1", False),
        ("4.3.6", "4", True),
        ("4.3.6", "4.3.6", True),
        ("4.30.1", "4.3", False),
    ],
)
def test_a_version_belongs_to_another_by_whole_numbers(
    version: str, wanted: str, *, expected: bool
) -> None:
    assert is_of(version, wanted) == expected


def test_the_installed_version_is_read_from_the_folder_of_the_package(tmp_path: Path) -> None:
    assert installed_version(tmp_path) is None
    (tmp_path / "usr/lib/rabbitmq/lib/rabbitmq_server-4.3.6").mkdir(parents=True)

    assert installed_version(tmp_path) == "4.3.6"


def test_the_image_is_the_official_one_unless_another_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("UNIBUS_RABBITMQ_IMAGE", raising=False)
    assert image("4.3") == "rabbitmq:4.3-management"

    monkeypatch.setenv("UNIBUS_RABBITMQ_IMAGE", "mine/rabbitmq:{version}-x")
    assert image("4.3") == "mine/rabbitmq:4.3-x"


def start_method(version: str) -> bytes:
    def text(value: str) -> bytes:
        return b"S" + struct.pack(">I", len(value)) + value.encode()

    def entry(name: str, value: bytes) -> bytes:
        return bytes([len(name)]) + name.encode() + value

    inner = entry("basic.nack", b"t\x01")
    entries = entry("capabilities", b"F" + struct.pack(">I", len(inner)) + inner)
    entries += entry("version", text(version)) + entry("n", b"I" + struct.pack(">i", -5))
    return struct.pack(">HHBB", 10, 10, 0, 9) + struct.pack(">I", len(entries)) + entries


def test_the_properties_of_the_server_are_read_from_its_first_method() -> None:
    assert parse_start(start_method("4.3.6")) == {
        "capabilities": {"basic.nack": True},
        "version": "4.3.6",
        "n": -5,
    }


@pytest.mark.parametrize(
    "payload", [b"", start_method("4")[:-3], b"\x00\x0a\x00\x0b" + start_method("4")[4:]]
)
def test_what_is_no_first_method_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match="start"):
        parse_start(payload)


class Answering:
    """A listener that sends the same to whoever connects."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._server = socket.create_server((LOOPBACK, 0))
        self.port = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection:
                connection.recv(8)
                connection.sendall(self._answer)


def amqp(version: str) -> Answering:
    payload = start_method(version)
    return Answering(struct.pack(">BHI", 1, 0, len(payload)) + payload + b"\xce")


def test_a_handshake_over_a_socket_returns_the_properties() -> None:
    with amqp("4.3.6") as broker:
        assert server_properties(LOOPBACK, broker.port, timeout_s=5.0)["version"] == "4.3.6"


def test_a_program_that_speaks_something_else_is_not_taken_for_a_broker() -> None:
    with (
        Answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as other,
        pytest.raises(ValueError, match="does not speak AMQP"),
    ):
        server_properties(LOOPBACK, other.port, timeout_s=5.0)


def test_the_broker_that_the_environment_names_is_used_when_it_has_the_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with amqp("4.3.6") as broker:
        monkeypatch.setenv("UNIBUS_RABBITMQ_URL", f"amqp://u:secret@{LOOPBACK}:{broker.port}/v")
        found = given("4.3")
        refusal = given("3.10")

    assert isinstance(found, GivenBroker)
    assert found.version == "4.3.6"
    assert found.management_url == f"http://u:secret@{LOOPBACK}:15672"
    assert refusal == "UNIBUS_RABBITMQ_URL is RabbitMQ 4.3.6, not 3.10"


def test_a_broker_of_the_environment_that_does_not_answer_is_an_error_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (port,) = free_ports(1)
    monkeypatch.setenv("UNIBUS_RABBITMQ_URL", f"amqp://u:secret@{LOOPBACK}:{port}")

    with pytest.raises(UnavailableError, match="unset the variable") as caught:
        given(None)
    assert "secret" not in str(caught.value)


def test_a_broker_of_the_environment_is_never_stopped() -> None:
    broker = GivenBroker("amqp://u:secret@h", "", "4.3.6")
    broker.destroy()

    for forbidden in (broker.kill, broker.stop, broker.pause, broker.start, broker.memory_alarm):
        with pytest.raises(UnsupportedError):
            forbidden()


def test_the_first_errors_of_a_log_tell_why_a_node_failed() -> None:
    log = "2026-01-01 10:00:00+00:00 [info] <0.1.0> starting\n" + "\n".join(
        f"2026-01-01 10:00:00+00:00 [error] <0.1.0> error {number}" for number in range(50)
    )

    assert failure_in(log).splitlines()[0] == "error 0"
    assert len(failure_in(log).splitlines()) == 12
    assert failure_in("mount: permission denied") == "mount: permission denied"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("amqp://u:p%40@h:1/v?x=1", "amqp://u:***@h:1/v?x=1"),
        ("amqp://h:1", "amqp://h:1"),
        ("amqp://u@h", "amqp://u@h"),
    ],
)
def test_a_shown_url_has_no_password(url: str, shown: str) -> None:
    assert redacted(url) == shown


def test_a_management_interface_that_is_not_there_is_named() -> None:
    (port,) = free_ports(1)
    management = Management(f"http://u:secret@{LOOPBACK}:{port}", timeout_s=5.0)

    with pytest.raises(UnavailableError, match=f"{LOOPBACK}:{port}") as caught:
        management.overview()
    assert "secret" not in str(caught.value)


def test_a_url_of_another_kind_is_not_taken_for_management() -> None:
    with pytest.raises(ConfigurationError, match="http://"):
        Management("amqp://127.0.0.1:5672")
