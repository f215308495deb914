"""Free ports on loopback."""

from __future__ import annotations

import random
import re
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"
_LOWEST = 10_000
_RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_DEFAULT_EPHEMERAL = 32_768  # Linux, ip(7); the range of other systems begins higher
_ATTEMPTS = 500


def is_free(port: int) -> bool:
    """Return whether a program could listen on *port* of loopback now."""
    with socket.socket() as probe:
        # As brokers do: connections that are only fading out (TIME_WAIT) do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_ports(count: int, random_source: random.Random | None = None) -> tuple[int, ...]:
    """Return *count* different ports on which nobody listens.

    They lie below the range from which the kernel gives ports to outgoing connections. Asking
    for port 0 would give one out of it; while a broker on such a port is being restarted, a
    client that keeps trying to reconnect can be given that very port as its own, and is then
    connected to itself, with the broker unable to come back.

    Nothing reserves them: who finds one taken after all asks again.

    Raises:
        OSError: No free ports were found.
    """
    choose = random_source or random.SystemRandom()
    highest = _first_ephemeral() - 1
    found: set[int] = set()
    for _ in range(_ATTEMPTS):
        port = choose.randint(_LOWEST, highest)
        if port not in found and is_free(port):
            found.add(port)
        if len(found) == count:
            return tuple(sorted(found))
    raise OSError(f"no {count} free ports between {_LOWEST} and {highest} on {LOOPBACK}")


def _first_ephemeral() -> int:
    try:
        text = _RANGE_FILE.read_text(encoding="ascii")
    except OSError:
        return _DEFAULT_EPHEMERAL
    return first_ephemeral(text)


def first_ephemeral(text: str) -> int:
    """Return the first port of the range in *text*; one far too low leaves no room and is raised.

    Some machines widen the range down to 1024; then there are no ports outside it.
    """
    match = re.match(r"\s*(\d+)", text)
    first = int(match[1]) if match else _DEFAULT_EPHEMERAL
    return first if first > _LOWEST + _ATTEMPTS else _DEFAULT_EPHEMERAL
