"""What becomes of publishes that are not accepted, in words."""

from __future__ import annotations

from unibus import spi
from unibus_rabbitmq import errors


def nacked(where: str) -> spi.Outcome:
    """Return the outcome of what the broker at *where* did not take."""
    return spi.rejected(
        spi.OverloadedError(
            f"RabbitMQ at {where} did not take the message: a queue is full, or is moving to"
            " another node; try again later"
        )
    )


def returned(exchange: str, routing_key: str, said: str) -> spi.Outcome:
    """Return the outcome of what came back because no queue is bound for it."""
    to = f"topic exchange {exchange!r}" if exchange else f"queue {routing_key!r}"
    return spi.rejected(
        spi.UnroutableError(
            f"published to {to} and no subscription takes it ({said}); declare one that does, or"
            " widen a filter"
        )
    )


def lost(cause: Exception, where: str) -> spi.Outcome:
    """Return the outcome of what was written and not confirmed when the channel was lost."""
    translated = errors.translate(cause, where)
    if isinstance(translated, spi.ConnectionLostError | spi.PermissionDeniedError):
        return spi.unknown(translated)
    error = spi.ConnectionLostError(
        f"the channel to RabbitMQ at {where} was lost before it confirmed: {translated}"
    )
    error.__cause__ = cause
    return spi.unknown(error)


def too_late(cause: Exception, where: str) -> spi.Outcome:
    """Return the outcome of what was not confirmed when the sender was closed."""
    error = spi.DeadlineExceededError(
        f"RabbitMQ at {where} had not confirmed the message when the sender was closed"
    )
    error.__cause__ = cause
    return spi.unknown(error)
