"""Refuses what a broker cannot carry before any of it is sent; names fields, never their values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from math import inf
from typing import Final, NamedTuple

from unibus.clock import Clock
from unibus.engine.pending import Extras
from unibus.errors import MessageRejectedError, MessageTooLargeError, UnsupportedError
from unibus.header_names import EXPIRES_AT, PREFIX, is_reserved
from unibus.message import Headers, HeaderValue, Message
from unibus.spi import Binding, HeaderLimits, Support, Timing

_MAX_NAME_BYTES: Final = 255  # ids and routing keys: AMQP 0-9-1 shortstr, the narrowest of brokers
_SURELY_SHORT: Final = _MAX_NAME_BYTES // 4  # UTF-8 has at most four bytes a character


class Checked(NamedTuple):
    """What is left to know of a message that was checked."""

    size: int
    extras: Extras | None


class Validation:
    """The rules of one binding. Thread-safe.

    ``is_plain`` is for the hot path; what it does not let through goes to ``check``, which also
    says what is wrong.

    Attributes:
        min_plain_bytes: Smallest body that needs no further look.
        max_plain_bytes: Largest one.
    """

    def __init__(self, binding: Binding, clock: Clock) -> None:
        capabilities = binding.capabilities
        self._name = f"{type(binding.spec).__name__.lower()} {binding.spec.name!r}"
        self._profile = binding.profile.name
        self._capabilities = capabilities
        self._headers = HeaderRules(capabilities.headers.value)
        self._clock = clock
        self._expires_by_header = capabilities.ttl.support is Support.EMULATED
        self._expires_at_broker = bool(binding.profile.capabilities.ttl)
        limit = capabilities.max_body_bytes.value
        self.max_plain_bytes: float = inf if limit is None else limit
        self.min_plain_bytes = 0 if capabilities.empty_body else 1

    def check(self, message: Message) -> Checked:
        """Return what has to be carried along with *message*.

        Raises:
            UnsupportedError: It needs something that the broker does not promise.
            MessageTooLargeError: The body is larger than the broker takes.
            MessageRejectedError: The broker can never take it as it is.
        """
        size = self._check_body(message.body)
        self._check_text("key", message.key, inf)
        self._check_text("routing_key", message.routing_key, _MAX_NAME_BYTES)
        self._check_text("id", message.id, _MAX_NAME_BYTES)
        if message.id == "":
            raise MessageRejectedError(f"{self._name}: id is empty; leave it out or name one")
        timing = self._timing(message)
        headers, header_bytes = self._check_headers(message.headers)
        if message.ttl_s is not None and self._expires_by_header:
            expires_at_ms = int((self._clock.wall() + message.ttl_s) * 1000)
            headers = {**(headers or {}), EXPIRES_AT: str(expires_at_ms)}
        if headers is None and message.id is None and timing is None:
            return Checked(size, None)
        return Checked(size + header_bytes, Extras(headers, message.id, timing))

    def is_plain(self, body: bytes | None, key: str | None, routing_key: str | None) -> bool:
        """Return whether a message of only these fields needs no further look; quick."""
        return (
            type(body) is bytes
            and self.min_plain_bytes <= len(body) <= self.max_plain_bytes
            and (routing_key is None or is_surely_short(routing_key))
            and (key is None or is_surely_short(key))
        )

    def _check_body(self, body: bytes | None) -> int:
        if body is None:
            if not self._capabilities.tombstone:
                raise self._unsupported("a tombstone (a body of None)")
            return 0
        if not isinstance(body, bytes):
            raise MessageRejectedError(
                f"{self._name}: body is {type(body).__name__}; it has to be bytes, encode it"
            )
        if not self.min_plain_bytes <= len(body) <= self.max_plain_bytes:
            if not body:
                raise self._unsupported("an empty body")
            raise MessageTooLargeError(
                f"{self._name}: a body of {len(body)} bytes; profile {self._profile} takes"
                f" {self.max_plain_bytes}, make it smaller or send a reference to it"
            )
        return len(body)

    def _check_text(self, field: str, value: object, limit: float) -> None:
        if value is None:
            return
        if not isinstance(value, str):
            raise MessageRejectedError(
                f"{self._name}: {field} is {type(value).__name__}; it has to be str"
            )
        size = _utf8_size(value)
        if size is None:
            raise MessageRejectedError(f"{self._name}: {field} has no UTF-8 form")
        if size > limit:
            raise MessageRejectedError(
                f"{self._name}: {field} has {size} bytes; it can have {limit}"
            )

    def _timing(self, message: Message) -> Timing | None:
        delay_s = self._check_delay(message.delay_s)
        ttl_s = self._check_ttl(message.ttl_s)
        priority = self._check_priority(message.priority)
        if delay_s is None and ttl_s is None and priority is None:
            return None
        return delay_s, ttl_s, priority

    def _check_delay(self, delay_s: float | None) -> float | None:
        if delay_s is None or delay_s == 0:
            return None
        self._check_seconds("delay_s", delay_s)
        if not self._capabilities.delay:
            raise self._unsupported("delay_s")
        longest = self._capabilities.delay.value.max_s
        if delay_s > longest:
            raise self._unsupported(f"delay_s of {delay_s:g} (above {longest:g})")
        return delay_s

    def _check_ttl(self, ttl_s: float | None) -> float | None:
        if ttl_s is None:
            return None
        self._check_seconds("ttl_s", ttl_s)
        if not self._capabilities.ttl:
            raise self._unsupported("ttl_s")
        return ttl_s if self._expires_at_broker else None

    def _check_seconds(self, field: str, value: object) -> None:
        if not isinstance(value, int | float) or not 0 < value < inf:
            raise MessageRejectedError(
                f"{self._name}: {field} is {value!r}; it has to be a number of seconds above 0"
            )

    def _check_priority(self, priority: int | None) -> int | None:
        if priority is None:
            return None
        if not self._capabilities.priority:
            raise self._unsupported("priority")
        levels = self._capabilities.priority.value
        if type(priority) is not int or not 0 <= priority < levels:
            raise MessageRejectedError(
                f"{self._name}: priority is {priority!r}; it is a whole number from 0 to"
                f" {levels - 1}"
            )
        return priority

    def _check_headers(
        self, headers: Mapping[str, HeaderValue] | None
    ) -> tuple[Mapping[str, HeaderValue] | None, int]:
        if headers is None:
            return None, 0
        if not isinstance(headers, Mapping):
            raise MessageRejectedError(
                f"{self._name}: headers are {type(headers).__name__}; they have to be a mapping"
            )
        if not headers:
            return None, 0
        if not self._capabilities.headers:
            raise self._unsupported("headers")
        # A copy: the program may change its own before the batch is sent.
        kept = headers if isinstance(headers, Headers) else dict(headers)
        try:
            return kept, self._headers.check(kept)
        except MessageRejectedError as error:
            raise MessageRejectedError(f"{self._name}: {error}") from None

    def _unsupported(self, what: str) -> UnsupportedError:
        return UnsupportedError(
            f"{self._name}: {what} was asked for, profile {self._profile} does not have it;"
            " do without, or choose another profile or broker"
        )


class HeaderRules:
    """What headers can be, compiled once."""

    def __init__(self, limits: HeaderLimits) -> None:
        self._limits = limits
        self._max_count = inf if limits.max_count is None else limits.max_count
        self._max_bytes = inf if limits.max_bytes is None else limits.max_bytes
        self._max_name = inf if limits.max_name_bytes is None else limits.max_name_bytes

    def check(self, headers: Mapping[str, HeaderValue]) -> int:
        """Return how many bytes *headers* have.

        Raises:
            MessageRejectedError: The broker cannot carry them.
        """
        pairs = headers.pairs if isinstance(headers, Headers) else tuple(headers.items())
        if len(pairs) > self._max_count:
            raise MessageRejectedError(f"{len(pairs)} headers; it takes {self._max_count}")
        if isinstance(headers, Headers) and headers.has_repeats and not self._limits.repeats:
            raise MessageRejectedError("a header name occurs twice; the broker keeps one")
        size = sum(self._name_size(name) + self._value_size(name, value) for name, value in pairs)
        if size > self._max_bytes:
            raise MessageRejectedError(f"headers of {size} bytes; it takes {self._max_bytes}")
        return size

    def _name_size(self, name: object) -> int:
        if not isinstance(name, str) or not name:
            raise MessageRejectedError("a header name has to be a non-empty str")
        if is_reserved(name):
            raise MessageRejectedError(f"header {name!r}: names that begin with {PREFIX} are ours")
        size = _utf8_size(name)
        if size is None or size > self._max_name:
            raise MessageRejectedError(
                f"header {name!r}: the name is too long ({self._max_name} bytes) or not UTF-8"
            )
        return size

    def _value_size(self, name: str, value: HeaderValue) -> int:
        kind = "None" if value is None else type(value).__name__
        if kind not in self._limits.types:
            raise MessageRejectedError(
                f"header {name!r} is {kind}; it can be {', '.join(sorted(self._limits.types))}"
            )
        if isinstance(value, datetime) and value.tzinfo is None:
            raise MessageRejectedError(
                f"header {name!r} is a naive datetime, which means another moment on another"
                " machine; give it a time zone"
            )
        size = _utf8_size(value) if isinstance(value, str) else _binary_size(value)
        if size is None:
            raise MessageRejectedError(f"header {name!r} has no UTF-8 form")
        return size


def is_surely_short(text: str) -> bool:
    """Return whether *text* is a str short enough for an id or a routing key; quick."""
    return type(text) is str and len(text) <= _SURELY_SHORT and text.isascii()


def _binary_size(value: HeaderValue) -> int:
    return len(value) if isinstance(value, bytes) else 8  # numbers and moments


def _utf8_size(text: str) -> int | None:
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError:  # a lone surrogate
        return None
