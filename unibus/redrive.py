"""Sending dead letters back to the subscription they died in."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from unibus.consumer import Consumer
from unibus.emulation.provenance import redriven_copy
from unibus.emulation.relay import Relay
from unibus.engine.asking import dead_letters_of
from unibus.engine.core import Core
from unibus.engine.deliveries import Delivery, message_of
from unibus.errors import MessageRejectedError
from unibus.message import Message
from unibus.outcome import Outcome, OutcomeKind
from unibus.retry import Backoff
from unibus.specs import Queue, Subscription

_UNSETTLED = 1000
_AT_ONCE = 100  # copies under way; each holds a dead letter unsettled


@dataclass(frozen=True, slots=True, kw_only=True)
class Redriven:
    """What a redrive did.

    Attributes:
        redriven: Messages that were sent back; their dead letters are gone.
        kept: Dead letters that stay, since the broker did not take their copy, or not provably.
        foreign: Dead letters that stay, since they are of another subscription.
    """

    redriven: int
    kept: int
    foreign: int


def redrive(
    core: Core,
    subscription: Subscription | Queue,
    *,
    max_messages: int | None,
    timeout_s: float,
) -> Redriven:
    """Send the dead letters of *subscription* back to it; blocks, for both fronts.

    Raises:
        UnibusError: See ``Bus.redrive``.
    """
    letters = dead_letters_of(core, subscription)
    target = subscription.subscription if isinstance(subscription, Queue) else subscription
    relay = core.relay(target)
    consumer = Consumer(
        core.adapter,
        core.bind(letters),
        clock=core.clock,
        delivery="at_least_once",
        max_unsettled=_UNSETTLED,
        max_batch=_AT_ONCE,
        renew_leases=True,
        backoff=Backoff(),
        timeout_s=timeout_s,
        relays=core.relay,
        on_close=_forget,
    )
    with consumer:
        work = Redrive(consumer, relay, target)
        return work.run(max_messages=max_messages, timeout_s=timeout_s)


def _forget(_: Consumer) -> None:
    """Nobody else knows of this consumer."""


class Redrive:
    """Publishes each dead letter back to one subscription alone, and acks it once that is accepted.

    A message keeps its id and says why it had died; its attempts begin anew. A crash between the
    two steps leaves a duplicate, never a loss.

    Args:
        consumer: Receives the dead letter queue; whoever made it closes it, which gives back the
            letters that stay.
        relay: Publishes to *subscription* alone.
        subscription: Where the letters died; others are left where they are.
        quiet_s: The queue is empty when nothing came for so long.
    """

    def __init__(
        self,
        consumer: Consumer,
        relay: Relay,
        subscription: Subscription,
        *,
        quiet_s: float = 1.0,
    ) -> None:
        self._consumer = consumer
        self._relay = relay
        self._subscription = subscription
        self._quiet_s = quiet_s
        self._changed = threading.Condition()
        self._under_way = 0
        self._redriven = 0
        self._kept = 0
        self._foreign = 0
        self._seen: set[str] = set()
        self._has_come_back = False

    def run(self, *, max_messages: int | None = None, timeout_s: float = 30.0) -> Redriven:
        """Send back what is there, at most *max_messages*, for at most *timeout_s* seconds.

        It stops at a message that has come back meanwhile, having failed again.

        Raises:
            LeaseLostError: Some letters were settled too late: they will be sent back twice.
            UnibusError: As ``Consumer.receive`` and ``Consumer.flush``.
        """
        end = time.monotonic() + timeout_s
        sent = 0
        while max_messages is None or sent < max_messages:
            room = _AT_ONCE if max_messages is None else min(_AT_ONCE, max_messages - sent)
            quiet_s = min(self._quiet_s, max(end - time.monotonic(), 0.0))
            batch = self._consumer.receive(room, timeout_s=quiet_s)
            sent += sum([self._send(delivery) for delivery in batch])
            self._wait(end)
            if not batch or self._has_come_back or time.monotonic() >= end:
                break
        self._consumer.flush(max(end - time.monotonic(), 1.0))
        with self._changed:
            # What is under way still may be accepted or not: the letter stays.
            kept = self._kept + self._under_way
            return Redriven(redriven=self._redriven, kept=kept, foreign=self._foreign)

    def _send(self, delivery: Delivery) -> bool:
        """Send one letter back; return whether that was done, since it may have to stay."""
        letter = self._letter(delivery)
        if letter is None:
            return False
        if letter.id in self._seen:
            self._has_come_back = True
            delivery.release()
            return False
        if letter.id is not None:
            self._seen.add(letter.id)
        with self._changed:
            self._under_way += 1
        self._relay.hand_over(redriven_copy(letter), lambda outcome: self._done(delivery, outcome))
        return True

    def _letter(self, delivery: Delivery) -> Message | None:
        """Return the message to send back; ``None`` if it stays here, which is noted."""
        try:
            letter = message_of(delivery)
            death = delivery.dead_letter
        except MessageRejectedError:
            self._kept += 1
            return None
        if death is not None and death.subscription not in (None, self._subscription.name):
            self._foreign += 1
            return None
        return letter

    def _done(self, delivery: Delivery, outcome: Outcome) -> None:
        is_accepted = outcome.kind is OutcomeKind.ACCEPTED
        if is_accepted:
            delivery.ack()
        with self._changed:
            self._under_way -= 1
            self._redriven += is_accepted
            self._kept += not is_accepted
            self._changed.notify_all()

    def _wait(self, end: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._under_way, max(end - time.monotonic(), 0.0))
