from __future__ import annotations

import socket
import ssl

import pika
import pytest
from pika.adapters.utils import connection_workflow as workflow
from pika.exceptions import (
    AMQPConnectionError,
    AMQPHeartbeatTimeout,
    ChannelClosedByBroker,
    ConnectionBlockedTimeout,
    ConnectionClosedByBroker,
    ConsumerCancelled,
    IncompatibleProtocolError,
    NackError,
    ProbableAccessDeniedError,
    ProbableAuthenticationError,
    ShortStringTooLong,
    StreamLostError,
    UnroutableError,
)

from unibus import spi
from unibus_rabbitmq import errors

WHERE = "broker:5672"
REFUSED = ConnectionRefusedError(111, "Connection refused")


def ssl_error(kind: type[ssl.SSLError], reason: str) -> ssl.SSLError:
    error = kind(1, f"[SSL: {reason}] as OpenSSL says it")
    error.reason = reason
    return error


CASES = [
    (ProbableAuthenticationError("(403) 'ACCESS_REFUSED - Login'"), spi.PermissionDeniedError),
    (ProbableAccessDeniedError("(530) 'NOT_ALLOWED - vhost x not found'"), spi.NotFoundError),
    (ProbableAccessDeniedError("(530) \"access to vhost '/' refused\""), spi.PermissionDeniedError),
    (IncompatibleProtocolError("StreamLostError: EOF"), spi.UnavailableError),
    (
        AMQPConnectionError(workflow.AMQPConnectorSocketConnectError(REFUSED)),
        spi.UnavailableError,
    ),
    (
        workflow.AMQPConnectionWorkflowFailed(
            [workflow.AMQPConnectorAMQPHandshakeError(ProbableAuthenticationError("(403) 'no'"))]
        ),
        spi.PermissionDeniedError,
    ),
    (AMQPConnectionError(), spi.UnavailableError),
    (workflow.AMQPConnectorStackTimeout("Timeout during handshake'1.2.3.4'"), spi.UnavailableError),
    (
        ssl_error(ssl.SSLCertVerificationError, "CERTIFICATE_VERIFY_FAILED"),
        spi.ConfigurationError,
    ),
    (ssl_error(ssl.SSLError, "WRONG_VERSION_NUMBER"), spi.ConfigurationError),
    (ssl_error(ssl.SSLEOFError, "UNEXPECTED_EOF_WHILE_READING"), spi.UnavailableError),
    (socket.gaierror(-2, "Name or service not known"), spi.UnavailableError),
    (REFUSED, spi.UnavailableError),
    (ConnectionResetError(104, "Connection reset by peer"), spi.ConnectionLostError),
    (StreamLostError("Stream connection lost: BrokenPipeError"), spi.ConnectionLostError),
    (AMQPHeartbeatTimeout("no heartbeat"), spi.ConnectionLostError),
    (ConnectionBlockedTimeout("blocked"), spi.OverloadedError),
    (TimeoutError(), spi.DeadlineExceededError),
    (ConnectionClosedByBroker(320, "CONNECTION_FORCED - bye"), spi.ConnectionLostError),
    (ConnectionClosedByBroker(540, "NOT_IMPLEMENTED - queue.purge"), spi.UnsupportedError),
    (ConnectionClosedByBroker(541, "INTERNAL_ERROR"), spi.ConnectionLostError),
    (ChannelClosedByBroker(403, "ACCESS_REFUSED - access"), spi.PermissionDeniedError),
    (ChannelClosedByBroker(404, "NOT_FOUND - no exchange 'x'"), spi.NotFoundError),
    (
        ChannelClosedByBroker(404, "home node 'x@y' of durable queue 'q' is down or inaccessible"),
        spi.UnavailableError,
    ),
    (ChannelClosedByBroker(405, "RESOURCE_LOCKED - queue"), spi.TopologyConflictError),
    (
        ChannelClosedByBroker(406, "PRECONDITION_FAILED - inequivalent arg 'x-max-age'"),
        spi.TopologyConflictError,
    ),
    (
        ChannelClosedByBroker(406, "PRECONDITION_FAILED - message size 9 is larger than 8"),
        spi.MessageTooLargeError,
    ),
    (
        ChannelClosedByBroker(406, "PRECONDITION_FAILED - invalid expiration '-1'"),
        spi.MessageRejectedError,
    ),
    (
        ChannelClosedByBroker(406, "PRECONDITION_FAILED - unknown delivery tag 9"),
        spi.LeaseLostError,
    ),
    (ChannelClosedByBroker(406, "PRECONDITION_FAILED - something new"), spi.AdapterError),
    (UnroutableError([]), spi.UnroutableError),
    (NackError([]), spi.OverloadedError),
    (ConsumerCancelled(), spi.NotFoundError),
    (ShortStringTooLong(b"secret" * 50), spi.MessageRejectedError),
    (KeyError("what"), spi.AdapterError),
]


@pytest.mark.parametrize(("native", "kind"), CASES, ids=[repr(each)[:60] for each, _ in CASES])
def test_each_native_error_means_one_of_ours(
    native: Exception, kind: type[spi.UnibusError]
) -> None:
    error = errors.translate(native, WHERE)

    assert type(error) is kind
    assert error.__cause__ is native


@pytest.mark.parametrize("native", [each for each, _ in CASES], ids=lambda each: repr(each)[:60])
def test_every_text_names_the_place_and_what_was_found(native: Exception) -> None:
    text = str(errors.translate(native, WHERE))

    assert WHERE in text
    assert ": ;" not in text
    assert ": ," not in text
    assert not text.endswith(".")


def test_an_error_whose_text_is_empty_is_told_by_its_cause() -> None:
    native = AMQPConnectionError(workflow.AMQPConnectorSocketConnectError(REFUSED))

    assert str(native.args[0].args) == "()"
    assert "ConnectionRefusedError: Connection refused" in str(errors.translate(native, WHERE))


def test_a_name_that_is_too_long_is_not_shown() -> None:
    assert "secret" not in str(errors.translate(ShortStringTooLong(b"secret" * 50), WHERE))


def test_a_header_value_that_cannot_be_sent_is_not_shown() -> None:
    native = pika.exceptions.UnsupportedAMQPFieldException(["pieces"], {"secret"})

    error = errors.translate(native, WHERE)

    assert type(error) is spi.MessageRejectedError
    assert "secret" not in str(error)


def test_an_error_of_ours_is_left_alone() -> None:
    error = spi.UnsupportedError("no")

    assert errors.translate(error, WHERE) is error
