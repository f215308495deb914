"""AMQP 0-9-1 field tables as bytes: what headers are on the wire.

pika cannot send a float, cuts one it receives to an integer, and gives up the connection over a
timestamp that no ``datetime`` can hold; so tables are coded here. Types and sizes: RabbitMQ's
"AMQP 0-9-1 errata", section 3, field types.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal

from unibus import spi

MAX_NAME_BYTES = 255
"""Longest header name: AMQP 0-9-1 section 4.2.5.3."""

_INT32 = range(-(1 << 31), 1 << 31)
_INT64 = range(-(1 << 63), 1 << 63)
_LAST_TIMESTAMP = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())

_pack_size = struct.Struct(">I").pack
_size_at = struct.Struct(">I").unpack_from
_pack_int32 = struct.Struct(">ci").pack
_pack_int64 = struct.Struct(">cq").pack
_pack_double = struct.Struct(">cd").pack
_pack_timestamp = struct.Struct(">cQ").pack

_FIXED: dict[int, struct.Struct] = {
    ord(kind): struct.Struct(f">{code}")
    for kind, code in {
        "t": "?",
        "b": "b",
        "B": "B",
        "s": "h",
        "U": "h",
        "u": "H",
        "I": "i",
        "i": "I",
        "l": "q",
        "L": "q",
        "f": "f",
        "d": "d",
        "T": "Q",
    }.items()
}
_DECIMAL = struct.Struct(">Bi")
_CONSTANTS = {None: b"V", False: b"t\x00", True: b"t\x01"}
_TEXT, _BYTES, _TABLE, _ARRAY, _VOID, _DEC, _TIME = b"SxFAVDT"


def encode_table(headers: Mapping[str, spi.HeaderValue]) -> bytes:
    """Return *headers* as a field table, its size before it.

    Raises:
        MessageRejectedError: A name or value that RabbitMQ has no room for; it names the header.
    """
    parts: list[bytes] = []
    for name, value in headers.items():
        encoded = name.encode()
        size = len(encoded)
        if size > MAX_NAME_BYTES:
            raise spi.MessageRejectedError(
                f"header {name[:40]!r}...: the name has {size} bytes; shorten it to at most"
                f" {MAX_NAME_BYTES}"
            )
        if type(value) is str:  # nearly all of them
            data = value.encode()
            parts.append(b"%c%bS%b%b" % (size, encoded, _pack_size(len(data)), data))
        else:
            parts.append(b"%c%b%b" % (size, encoded, _encode_value(name, value)))
    table = b"".join(parts)
    return _pack_size(len(table)) + table


def _encode_value(name: str, value: spi.HeaderValue) -> bytes:
    if isinstance(value, str):
        data = value.encode()
        return b"S" + _pack_size(len(data)) + data
    if value is None or isinstance(value, bool):  # bool is an int and goes before it
        return _CONSTANTS[value]
    if isinstance(value, int):
        return _encode_int(name, value)
    if isinstance(value, bytes):
        return b"x" + _pack_size(len(value)) + value
    if isinstance(value, float):
        return _encode_float(name, value)
    return _encode_datetime(name, value)


def _encode_int(name: str, value: int) -> bytes:
    if value in _INT32:
        return _pack_int32(b"I", value)
    if value in _INT64:
        return _pack_int64(b"l", value)
    raise spi.MessageRejectedError(
        f"header {name!r}: an integer of more than 64 bits; send it as text"
    )


def _encode_float(name: str, value: float) -> bytes:
    if math.isfinite(value):
        return _pack_double(b"d", value)
    # RabbitMQ 3.10 to 4.3 answer an infinity or NaN with 541 and close the connection.
    raise spi.MessageRejectedError(
        f"header {name!r}: {value!r} is no number for RabbitMQ; send it as text"
    )


def _encode_datetime(name: str, value: datetime) -> bytes:
    if value.microsecond:
        raise spi.MessageRejectedError(
            f"header {name!r}: RabbitMQ's timestamps are whole seconds; leave the fraction out, or"
            " send text"
        )
    seconds = int(value.timestamp())
    if seconds < 0:
        raise spi.MessageRejectedError(
            f"header {name!r}: RabbitMQ has no timestamps before 1970; send text"
        )
    return _pack_timestamp(b"T", seconds)


def decode_table(data: bytes, at: int) -> tuple[dict[str, object], int]:
    """Return the table at *at*, as Python has it, and where it ends; of repeated names the last.

    Nested tables are dicts, arrays lists, decimals ``Decimal``; text that is not UTF-8 is bytes.

    Raises:
        ValueError: A value cannot be decoded; it names the header.
    """
    end = at + 4 + _size_at(data, at)[0]
    if end > len(data):
        raise ValueError("a header table is longer than what it came in")
    at += 4
    headers: dict[str, object] = {}
    while at < end:
        name, at = _decode_name(data, at)
        try:
            headers[name], at = _decode_value(data, at)
        except (ValueError, struct.error, IndexError, RecursionError) as error:
            raise ValueError(f"header {name!r} cannot be decoded: {error}") from error
    return headers, end


def _decode_name(data: bytes, at: int) -> tuple[str, int]:
    start = at + 1
    end = start + data[at]
    return data[start:end].decode(errors="backslashreplace"), end


def _decode_value(data: bytes, at: int) -> tuple[object, int]:
    kind = data[at]
    at += 1
    if kind in (_TEXT, _BYTES):
        start = at + 4
        at = start + _size_at(data, at)[0]
        value = data[start:at]
        if len(value) != at - start:
            raise ValueError("it is longer than what it came in")
        return (_text(value) if kind == _TEXT else value), at
    if (fixed := _FIXED.get(kind)) is not None:
        number = fixed.unpack_from(data, at)[0]
        return (_timestamp(number) if kind == _TIME else number), at + fixed.size
    if kind == _VOID:
        return None, at
    if kind == _TABLE:
        return _decode_nested(data, at)
    if kind == _ARRAY:
        return _decode_array(data, at)
    if kind == _DEC:
        scale, number = _DECIMAL.unpack_from(data, at)
        return Decimal(number).scaleb(-scale), at + _DECIMAL.size
    raise ValueError(f"AMQP 0-9-1 has no field type {kind:#04x}")


def _decode_nested(data: bytes, at: int) -> tuple[dict[str, object], int]:
    end = at + 4 + _size_at(data, at)[0]
    at += 4
    fields: dict[str, object] = {}
    while at < end:
        name, at = _decode_name(data, at)
        fields[name], at = _decode_value(data, at)
    return fields, end


def _decode_array(data: bytes, at: int) -> tuple[list[object], int]:
    end = at + 4 + _size_at(data, at)[0]
    at += 4
    values = []
    while at < end:
        value, at = _decode_value(data, at)
        values.append(value)
    return values, end


def _text(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _timestamp(seconds: int) -> datetime:
    if seconds > _LAST_TIMESTAMP:
        raise ValueError(f"a timestamp of {seconds} seconds is after the year 9999")
    return datetime.fromtimestamp(seconds, UTC)


def header_value(value: object) -> spi.HeaderValue:
    """Return *value* as a header can be: what is no ``HeaderValue`` becomes text.

    Tables and arrays become JSON, in it bytes base64, timestamps ISO 8601 and decimals text; a
    decimal by itself becomes its digits.
    """
    if value is None or type(value) in _PLAIN:
        return value  # type: ignore[return-value]  # just looked at
    if isinstance(value, int):
        return int(value)  # pika has a subclass of its own, whose text ends in L
    if isinstance(value, dict | list):
        return json.dumps(value, default=_json, ensure_ascii=False)
    return str(value)


_PLAIN = frozenset({str, bytes, int, float, bool, datetime})


def _json(value: object) -> str:
    render: Callable[[], str] | None = getattr(value, "isoformat", None)
    if render is not None:
        return render()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
