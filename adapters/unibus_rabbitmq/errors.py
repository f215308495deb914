"""What pika, TLS and sockets raise, as errors of unibus: one table, and where it happened."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Iterator

import pika.exceptions
from pika.adapters.utils import connection_workflow

from unibus import spi

_NOT_FOUND = 404  # AMQP 0-9-1 section 1.2

_Build = Callable[[str, str], spi.UnibusError]
"""Makes the error from ``host:port`` and what was found."""


def _say(kind: type[spi.UnibusError], text: str) -> _Build:
    """Return what makes a *kind*; *text* has places for ``where`` and ``found``."""

    def build(where: str, found: str) -> spi.UnibusError:
        return kind(text.format(where=where, found=found))

    return build


_LOST = _say(
    spi.ConnectionLostError, "the connection to RabbitMQ at {where} is lost: {found}; try again"
)
_DOWN = _say(
    spi.UnavailableError,
    "RabbitMQ at {where} cannot be reached: {found}; check host and port, and that it runs",
)
_SILENT = _say(
    spi.UnavailableError,
    "{where} accepts connections and does not answer as RabbitMQ does: {found}; check the port",
)
_CREDENTIALS = _say(
    spi.PermissionDeniedError,
    "RabbitMQ at {where} refuses the user or its password: {found}; check both",
)
_FORBIDDEN = _say(
    spi.PermissionDeniedError,
    "RabbitMQ at {where} does not allow it: {found}; give the user the right, or use another",
)
_NO_VHOST = _say(
    spi.NotFoundError,
    "RabbitMQ at {where} has no such virtual host: {found}; check the path of the URL",
)
_MISSING = _say(
    spi.NotFoundError, "RabbitMQ at {where} does not have it: {found}; declare the topology first"
)
_ASLEEP = _say(
    spi.UnavailableError,
    "RabbitMQ at {where} has it and cannot get at it: {found}; try again when its node is up",
)
_CONFLICT = _say(
    spi.TopologyConflictError,
    "RabbitMQ at {where} has it with other settings: {found}; delete it, or ask for what there is",
)
_LOCKED = _say(
    spi.TopologyConflictError,
    "RabbitMQ at {where} has it locked by another connection: {found}; use another name",
)
_REJECTED = _say(
    spi.MessageRejectedError, "RabbitMQ at {where} refuses the message: {found}; change it"
)
_TOO_LARGE = _say(
    spi.MessageTooLargeError,
    "RabbitMQ at {where} refuses the message: {found}; make it smaller, or raise"
    " max_message_size there",
)
_UNROUTABLE = _say(
    spi.UnroutableError,
    "no queue at RabbitMQ at {where} takes the message: {found}; subscribe to it first",
)
_OVERLOADED = _say(
    spi.OverloadedError, "RabbitMQ at {where} takes no more for now: {found}; try again later"
)
_UNSUPPORTED = _say(
    spi.UnsupportedError, "RabbitMQ at {where} cannot do it: {found}; leave it, or use another"
)
_LEASE = _say(
    spi.LeaseLostError, "RabbitMQ at {where} took the delivery back: {found}; it comes again"
)
_TOO_SLOW = _say(
    spi.DeadlineExceededError, "RabbitMQ at {where} did not answer in time: {found}; try again"
)
_UNTRUSTED = _say(
    spi.ConfigurationError,
    "the certificate of {where} is not to be trusted: {found}; check ca_file and the host name",
)
_NOT_TLS = _say(
    spi.ConfigurationError,
    "{where} does not speak TLS: {found}; check the port, or use amqp:// instead of amqps://",
)
_UNKNOWN = _say(
    spi.AdapterError, "RabbitMQ at {where} raised what the adapter does not know: {found}"
)

_BY_REPLY_CODE: dict[int, _Build] = {
    # AMQP 0-9-1 section 1.2, "constants"; 506 and 541 mean the broker, not the program.
    311: _TOO_LARGE,
    312: _UNROUTABLE,
    320: _LOST,
    402: _NO_VHOST,
    403: _FORBIDDEN,
    404: _MISSING,
    405: _LOCKED,
    501: _LOST,
    502: _LOST,
    503: _LOST,
    504: _LOST,
    505: _LOST,
    506: _OVERLOADED,
    530: _FORBIDDEN,
    540: _UNSUPPORTED,
    541: _LOST,
}
_ASLEEP_TEXT = r"is down or inaccessible"  # also for a moment after its node has started
_BY_REPLY_TEXT: tuple[tuple[int, str, _Build], ...] = (
    (404, _ASLEEP_TEXT, _ASLEEP),
    (406, r"inequivalent arg", _CONFLICT),
    (406, r"message size", _TOO_LARGE),
    (406, r"invalid (message|expiration)", _REJECTED),
    (406, r"unknown delivery tag", _LEASE),
    (406, r"delivery acknowledgement on channel .* timed out|consumer timeout", _LEASE),
    (530, r"vhost .* not found", _NO_VHOST),
)

_BY_CLASS: tuple[tuple[type[Exception], _Build], ...] = (
    # Subclasses stand before what they are subclasses of.
    (pika.exceptions.ProbableAuthenticationError, _CREDENTIALS),
    (pika.exceptions.AuthenticationError, _CREDENTIALS),
    (pika.exceptions.ProbableAccessDeniedError, _FORBIDDEN),
    (pika.exceptions.IncompatibleProtocolError, _SILENT),
    (pika.exceptions.ConnectionBlockedTimeout, _OVERLOADED),
    (pika.exceptions.NoFreeChannels, _OVERLOADED),
    (pika.exceptions.StreamLostError, _LOST),
    (pika.exceptions.AMQPHeartbeatTimeout, _LOST),
    (pika.exceptions.ConnectionClosed, _LOST),
    (pika.exceptions.ConnectionWrongStateError, _LOST),
    (pika.exceptions.ConnectionOpenAborted, _DOWN),
    (pika.exceptions.UnroutableError, _UNROUTABLE),
    (pika.exceptions.NackError, _OVERLOADED),
    (pika.exceptions.ConsumerCancelled, _MISSING),
    (pika.exceptions.ChannelWrongStateError, _LOST),
    (pika.exceptions.ChannelClosedByClient, _LOST),
    (pika.exceptions.ShortStringTooLong, _REJECTED),
    (pika.exceptions.UnsupportedAMQPFieldException, _REJECTED),
    (pika.exceptions.ProtocolSyntaxError, _LOST),
    (connection_workflow.AMQPConnectorStackTimeout, _SILENT),
    (connection_workflow.AMQPConnectorException, _DOWN),
    (connection_workflow.AMQPConnectionWorkflowFailed, _DOWN),
    (pika.exceptions.AMQPConnectionError, _DOWN),
    (ssl.SSLCertVerificationError, _UNTRUSTED),
    (ssl.SSLError, _SILENT),
    (socket.gaierror, _DOWN),
    (ConnectionRefusedError, _DOWN),
    (ConnectionError, _LOST),
    (TimeoutError, _TOO_SLOW),
    (OSError, _DOWN),
)
_TELLING = (
    (ssl.SSLError, socket.gaierror, ConnectionRefusedError),
    connection_workflow.AMQPConnectorStackTimeout,
    pika.exceptions.AMQPError,
)
"""Causes that say more than what pika wraps them into, the most telling first."""


def translate(error: Exception, where: str) -> spi.UnibusError:
    """Return the unibus error that means *error*, which happened at *where* (``host:port``).

    It never shows credentials, bodies or headers. ``AdapterError`` means that nobody knew it.
    """
    if isinstance(error, spi.UnibusError):
        return error
    causes = tuple(_causes(error))
    told = next((each for kind in _TELLING for each in causes if isinstance(each, kind)), error)
    translated = _build(told)(where, _found(causes))
    translated.__cause__ = error
    return translated


def is_missing(error: Exception) -> bool:
    """Return whether *error* says that something does not exist."""
    is_404 = getattr(error, "reply_code", None) == _NOT_FOUND
    return is_404 and re.search(_ASLEEP_TEXT, str(error)) is None


def _build(error: Exception) -> _Build:
    if isinstance(error, ssl.SSLError) and error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
        return _NOT_TLS
    code = getattr(error, "reply_code", None) or _code_in(error)
    text = str(error)
    for each, pattern, build in _BY_REPLY_TEXT:
        if code == each and re.search(pattern, text, re.DOTALL):
            return build
    if code in _BY_REPLY_CODE and not isinstance(error, _CREDENTIAL_ERRORS):
        return _BY_REPLY_CODE[code]
    return next((build for kind, build in _BY_CLASS if isinstance(error, kind)), _UNKNOWN)


_CREDENTIAL_ERRORS = (
    pika.exceptions.ProbableAuthenticationError,
    pika.exceptions.AuthenticationError,
)


def _code_in(error: Exception) -> int | None:
    """Return the reply code that pika puts into a text when opening fails."""
    if not isinstance(error, pika.exceptions.AMQPConnectionError):
        return None
    match = re.search(r"\((\d{3})\)", str(error))
    return int(match[1]) if match else None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield *error* and what it was made of, outermost first; pika hides them in several ways."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop(0)
        if not isinstance(each, BaseException) or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [each.__cause__, getattr(each, "exception", None), *each.args]
        waiting += reversed(getattr(each, "exceptions", ()) or ())


def _found(causes: tuple[BaseException, ...]) -> str:
    """Return the most telling text of *causes*: the innermost that has one, with its class."""
    for each in reversed(causes):
        text = _text(each)
        if text:
            return text
    return type(causes[0]).__name__


def _text(error: BaseException) -> str:
    if isinstance(error, pika.exceptions.ShortStringTooLong):
        return "a name or key has more than 255 bytes"  # its own text shows the value
    if isinstance(error, pika.exceptions.UnsupportedAMQPFieldException):
        return "a header value has a type that AMQP 0-9-1 does not know"  # likewise
    if isinstance(error, connection_workflow.AMQPConnectorStackTimeout):
        return str(error).partition("'")[0]  # the rest is the address, as getaddrinfo has it
    reply = getattr(error, "reply_text", None)
    if reply is not None:
        return f"{getattr(error, 'reply_code', '')} {reply}"
    if isinstance(error, OSError) and error.strerror:
        return f"{type(error).__name__}: {error.strerror}"
    own = [str(each) for each in error.args if not isinstance(each, BaseException)]
    return ": ".join([type(error).__name__, *filter(None, own)]) if any(own) else ""
