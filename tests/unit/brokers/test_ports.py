from __future__ import annotations

import random
import socket

from unibus_contract.brokers.ports import LOOPBACK, first_ephemeral, free_ports, is_free


def test_a_port_with_a_listener_is_not_free() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        assert not is_free(server.getsockname()[1])


def test_free_ports_are_different_and_below_those_of_outgoing_connections() -> None:
    ports = free_ports(5)

    assert len(set(ports)) == 5
    assert all(10_000 <= port < 32_768 for port in ports)


def test_a_port_that_is_taken_is_passed_over() -> None:
    first, second = free_ports(1, random.Random(7))[0], free_ports(2, random.Random(7))
    with socket.create_server((LOOPBACK, first)):
        assert first in second
        assert first not in free_ports(2, random.Random(7))


def test_a_range_that_leaves_no_room_below_it_is_not_heeded() -> None:
    assert first_ephemeral("20000\t60999\n") == 20_000
    assert first_ephemeral("1024\t65535\n") == 32_768
