"""The first exchange of AMQP 0-9-1: proof that a broker answers, and what it says it is."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Mapping
from typing import Final

PROTOCOL_HEADER: Final = b"AMQP\x00\x00\x09\x01"
_METHOD_FRAME: Final = 1
_CONNECTION_START: Final = (10, 10)
_FRAME_HEADER: Final = struct.Struct(">BHI")
_LARGEST_START: Final = 1 << 20

PropertyValue = str | bool | int | Mapping[str, "PropertyValue"]
Properties = Mapping[str, PropertyValue]


def server_properties(host: str, port: int, *, timeout_s: float, tls: bool = False) -> Properties:
    """Return what the broker says of itself: ``product``, ``version``, ``cluster_name`` and more.

    Raises:
        OSError: It does not answer within *timeout_s*, or nobody listens.
        ValueError: What answers does not speak AMQP 0-9-1.
    """
    with socket.create_connection((host, port), timeout_s) as plain:
        plain.settimeout(timeout_s)
        if not tls:
            return _exchange(plain)
        with ssl.create_default_context().wrap_socket(plain, server_hostname=host) as encrypted:
            return _exchange(encrypted)


def _exchange(connection: socket.socket) -> Properties:
    connection.sendall(PROTOCOL_HEADER)
    kind, _, size = _FRAME_HEADER.unpack(_receive(connection, _FRAME_HEADER.size))
    if kind != _METHOD_FRAME or size > _LARGEST_START:
        raise ValueError("what answers does not speak AMQP 0-9-1")
    return parse_start(_receive(connection, size))


def _receive(connection: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        piece = connection.recv(size - len(received))
        if not piece:
            raise ConnectionError("the connection was closed during the handshake")
        received += piece
    return bytes(received)


def parse_start(payload: bytes) -> Properties:
    """Return the server properties in the payload of a ``connection.start`` method.

    AMQP 0-9-1 specification, 1.4.2.1: class, method, version major and minor, then the table.

    Raises:
        ValueError: It is another method, or malformed.
    """
    try:
        if struct.unpack_from(">HH", payload) != _CONNECTION_START:
            raise ValueError("the broker did not begin with connection.start")
        return _table(payload, 6)[0]
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"malformed connection.start: {error}") from error


def _table(payload: bytes, at: int) -> tuple[Properties, int]:
    (size,) = struct.unpack_from(">I", payload, at)
    at += 4
    end = at + size
    entries: dict[str, PropertyValue] = {}
    while at < end:
        length = payload[at]
        name = payload[at + 1 : at + 1 + length].decode()
        entries[name], at = _value(payload, at + 1 + length)
    return entries, end


def _value(payload: bytes, at: int) -> tuple[PropertyValue, int]:
    kind, at = payload[at : at + 1], at + 1
    match kind:
        case b"S":
            (size,) = struct.unpack_from(">I", payload, at)
            return payload[at + 4 : at + 4 + size].decode(), at + 4 + size
        case b"t":
            return payload[at] != 0, at + 1
        case b"I":
            return struct.unpack_from(">i", payload, at)[0], at + 4
        case b"F":
            return _table(payload, at)
    raise ValueError(f"a server property has the type {kind!r}, which no broker has used so far")
