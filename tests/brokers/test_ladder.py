"""The ladder's last rung for real: RabbitMQ nodes are started on this machine and ended again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pika
import pytest

from unibus.errors import NotFoundError, UnavailableError
from unibus_contract import brokers
from unibus_contract.brokers.broker import Broker
from unibus_contract.brokers.home import brokers_folder, trees_folder
from unibus_contract.brokers.ports import LOOPBACK, free_ports, is_free
from unibus_contract.brokers.rabbitmq import Management, conf, native
from unibus_contract.brokers.rabbitmq.handshake import server_properties
from unibus_contract.brokers.rabbitmq.versions import is_of
from unibus_contract.brokers.state import load
from unibus_contract.brokers.waiting import wait_until

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]

VERSIONS = ["4.3", "3.10"]
LISTENING = "0A"  # proc(5), /proc/net/tcp
LOOPBACK_IN_HEX = {"0100007F", "00000000000000000000000001000000"}


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep the brokers of these tests from those of other programs, but share the trees."""
    trees = trees_folder()
    trees.mkdir(parents=True, exist_ok=True)
    (tmp_path / "trees").symlink_to(trees)
    monkeypatch.setenv("UNIBUS_HOME", str(tmp_path))
    monkeypatch.setenv("UNIBUS_DOCKER", "0")
    monkeypatch.delenv("UNIBUS_RABBITMQ_URL", raising=False)
    yield
    brokers.stop_all()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One 4.3 for the tests that leave it running and usable."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("shared")
        (home / "trees").symlink_to(trees_folder())
        patch.setenv("UNIBUS_HOME", str(home))
        patch.setenv("UNIBUS_DOCKER", "0")
        patch.delenv("UNIBUS_RABBITMQ_URL", raising=False)
        block = brokers.up("rabbitmq", "4.3")
        broker = block.__enter__()
    yield broker
    block.__exit__(None, None, None)


def port_of(broker: Broker) -> int:
    return int(broker.url.rpartition(":")[2])


def answers(broker: Broker, timeout_s: float = 5.0) -> bool:
    try:
        return bool(server_properties(LOOPBACK, port_of(broker), timeout_s=timeout_s))
    except OSError:
        return False


def working_in(folder: Path) -> list[int]:
    """Return the pids of what has *folder* in its environment or mounted."""
    needle = os.fsencode(folder)
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            texts = [(process / name).read_bytes() for name in ("environ", "mountinfo")]
        except OSError:
            continue
        if int(process.name) != os.getpid() and any(needle in text for text in texts):
            found.append(int(process.name))
    return found


def listening_addresses(ports: set[int]) -> set[str]:
    """Return the local addresses, in hexadecimal, on which anything listens at *ports*."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            address, _, port = local.partition(":")
            if state == LISTENING and int(port, 16) in ports:
                found.add(address)
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_a_broker_is_there_for_the_block_and_leaves_nothing_after_it(version: str) -> None:
    with brokers.up("rabbitmq", version) as broker:
        folder = brokers_folder() / broker.name
        state = load(broker.name)
        assert state is not None
        assert answers(broker)
        assert is_of(broker.version, version)
        assert (broker.rung, broker.evidence) == ("native", "real broker")
        assert len(state.ports) == 5
        assert listening_addresses(set(state.ports.values())) <= LOOPBACK_IN_HEX
        assert broker.pid in working_in(folder)

    assert working_in(folder) == []
    assert list(brokers_folder().iterdir()) == []
    assert all(is_free(port) for port in state.ports.values())


def test_two_brokers_side_by_side_do_not_know_each_other() -> None:
    with (
        brokers.up("rabbitmq", "4.3") as one,
        brokers.up("rabbitmq", "4.3") as other,
        Management(one.management_url) as management_of_one,
        Management(other.management_url) as management_of_other,
    ):
        management_of_one.create_vhost("a/b")

        assert management_of_one.queues("a/b") == []
        with pytest.raises(NotFoundError):
            management_of_other.queues("a/b")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_killed_broker_starts_again_on_its_ports_with_its_data(version: str) -> None:
    with brokers.up("rabbitmq", version) as broker:
        url, pid = broker.url, broker.pid
        with Management(broker.management_url) as management:
            management.create_vhost("kept")
        broker.kill()
        assert not broker.is_running
        assert not answers(broker)

        broker.start()

        assert (broker.url, broker.pid == pid) == (url, False)
        with Management(broker.management_url) as management:
            assert management.queues("kept") == []
        broker.restart()
        assert answers(broker)


def test_a_frozen_broker_is_silent_until_it_is_resumed(shared: Broker) -> None:
    shared.pause()
    assert shared.is_running
    assert not answers(shared, timeout_s=0.5)

    shared.resume()

    assert answers(shared)


def test_the_memory_alarm_is_on_within_the_block_alone(shared: Broker) -> None:
    with shared.memory_alarm():
        assert "memory" in shared.ctl("eval", "rabbit_alarm:get_alarms().")
    assert shared.ctl("eval", "rabbit_alarm:get_alarms().").strip() == "[]"


def test_a_failed_command_says_what_the_broker_said(shared: Broker) -> None:
    with pytest.raises(UnavailableError, match="no_such_vhost"):
        shared.ctl("delete_vhost", "no_such_vhost")


def test_a_user_of_its_own_is_made_closed_and_deleted(shared: Broker) -> None:
    login = pika.PlainCredentials("data", "secret")
    where = pika.ConnectionParameters(LOOPBACK, port_of(shared), "tests", login)
    with Management(shared.management_url) as management:
        management.create_vhost("tests")
        management.create_user("data", "secret")
        management.permit("data", "tests", configure="")
        connection = pika.BlockingConnection(where)
        # The list of connections is gathered every few seconds.
        assert wait_until(lambda: len(management.connections("tests")) == 1, 20.0)

        assert management.close_connections("tests") == 1
        with pytest.raises(pika.exceptions.ConnectionClosedByBroker):
            connection.process_data_events(time_limit=10.0)
        management.delete_user("data")
        management.delete_vhost("tests")
        management.delete_vhost("tests")
        with pytest.raises(pika.exceptions.ProbableAuthenticationError):
            pika.BlockingConnection(where)


def run_unibus(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "import sys, unibus.cli; sys.exit(unibus.cli.main())"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)  # noqa: S603  # this file's own words


def test_the_command_starts_a_broker_that_stays_until_it_is_taken_down() -> None:
    started = run_unibus("broker", "up", "rabbitmq", "--version", "4.3", "--name", "mine")
    url = started.stdout.strip()
    found = brokers.find(f"{url}/vhost")
    assert (started.returncode, url.partition(":")[0]) == (0, "amqp"), started.stderr
    assert found is not None
    assert answers(found)
    assert run_unibus("broker", "urls", "mine").stdout.strip() == url
    assert "running" in run_unibus("broker", "status").stdout
    assert "4.3" in run_unibus("broker", "logs", "mine", "--lines", "2000").stdout

    ended = run_unibus("broker", "down", "mine")

    assert ended.returncode == 0
    assert not found.is_running
    again = run_unibus("broker", "down", "mine")
    assert again.returncode == 1
    assert "Traceback" not in again.stderr
    assert list(brokers_folder().iterdir()) == []


def test_what_a_killed_program_had_for_itself_is_cleaned_up_by_the_next() -> None:
    program = (
        "import time\n"
        "from unibus_contract import brokers\n"
        "with brokers.up('rabbitmq', '4.3') as broker:\n"
        "    print(broker.name, flush=True)\n"
        "    time.sleep(300)\n"
    )
    with subprocess.Popen(  # noqa: S603  # this file's own program
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        name = child.stdout.readline().strip()
        left = load(name)
        child.send_signal(signal.SIGKILL)
    assert left is not None
    assert left.processes["broker"].is_alive

    brokers.sweep()

    assert not any(process.is_alive for process in left.processes.values())
    assert load(name) is None


@pytest.mark.parametrize("taken", range(5))
def test_a_port_that_another_program_took_is_exchanged(
    monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    first, second = free_ports(5), free_ports(5)
    offered = [first, second]
    monkeypatch.setattr(native, "free_ports", lambda _: offered.pop(0))

    with socket.create_server((LOOPBACK, first[taken])), brokers.up("rabbitmq", "4.3") as broker:
        assert offered == []
        assert port_of(broker) == conf.Ports.of(second).amqp
        assert answers(broker)


def test_a_broker_that_cannot_start_says_why_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(conf, "configuration", lambda *_: "no_such_setting = 1\n")

    with (
        pytest.raises(UnavailableError, match="no_such_setting"),
        brokers.up("rabbitmq", "4.3"),
    ):
        pytest.fail("it was said to be up")
    assert list(brokers_folder().iterdir()) == []
