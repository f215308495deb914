"""Every error unibus raises, arranged by what a program can do about it.

* UnibusError
  * ConfigurationError      fix the settings
  * UnsupportedError        choose another broker or profile, or ask for less
  * NotFoundError           declare the topology
  * TopologyConflictError   agree on one declaration
  * PermissionDeniedError   fix the credentials or the rights
  * MessageRejectedError    fix the message
    * MessageTooLargeError  make it smaller
    * UnroutableError       nobody is subscribed to what was published
  * OverloadedError         slow down, then try again
  * UnavailableError        nothing was sent; try again when the broker is back
  * ConnectionLostError     try again; the last outcome is unknown
  * DeadlineExceededError   try again; the last outcome is unknown
  * LeaseLostError          stop working on the delivery
  * AlreadySettledError     fix the program: it settled one delivery in two ways
  * ClosedError             fix the program: it used a closed object
    * ForkedError           open the bus after the fork
  * PublishFailedError      look at the receipts it carries
  * AdapterError            report a bug: the adapter did not classify this
"""

from __future__ import annotations

from typing import ClassVar


class UnibusError(Exception):
    """Base of every error unibus raises; the broker's own exception is its ``__cause__``."""

    retryable: ClassVar[bool] = False
    """Whether the same call may succeed later."""

    outcome_unknown: ClassVar[bool] = False
    """Whether the broker may have done the work although it did not say so."""


class ConfigurationError(UnibusError, ValueError):
    """A setting is missing, malformed or contradicts another."""


class UnsupportedError(UnibusError):
    """The broker does not promise what the call needs; nothing was sent."""


class NotFoundError(UnibusError, LookupError):
    """The topic, subscription or native object does not exist."""


class TopologyConflictError(UnibusError):
    """The topic or subscription exists with other settings."""


class PermissionDeniedError(UnibusError, PermissionError):
    """The broker refused the credentials, or the operation to them."""


class MessageRejectedError(UnibusError, ValueError):
    """The broker will never accept this message as it is."""


class MessageTooLargeError(MessageRejectedError):
    """The message is larger than the broker takes."""


class UnroutableError(MessageRejectedError):
    """No subscription matches the message, and the broker said so."""


class OverloadedError(UnibusError):
    """The broker, or the producer's own window, asks for less traffic; nothing was sent."""

    retryable = True


class UnavailableError(UnibusError, ConnectionError):
    """The broker cannot be reached; nothing was sent."""

    retryable = True


class ConnectionLostError(UnibusError, ConnectionError):
    """The connection broke after the request was handed over."""

    retryable = True
    outcome_unknown = True


class DeadlineExceededError(UnibusError, TimeoutError):
    """The broker did not answer within the given time."""

    retryable = True
    outcome_unknown = True


class LeaseLostError(UnibusError):
    """The delivery was settled too late; the broker may have given it to someone else."""


class AlreadySettledError(UnibusError):
    """The delivery was settled before, and differently."""


class ClosedError(UnibusError):
    """The object was used after it was closed."""


class ForkedError(ClosedError):
    """The bus was opened before this process was forked off."""


class AdapterError(UnibusError):
    """The adapter met an error that it does not classify."""


class PublishFailedError(UnibusError):
    """At least one publish was rejected or has an unknown outcome.

    Attributes:
        failures: The receipts of those publishes, in publishing order.
    """

    def __init__(self, message: str, failures: tuple[object, ...] = ()) -> None:
        super().__init__(message)
        self.failures = failures
