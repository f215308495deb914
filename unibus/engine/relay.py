"""How the engine publishes copies for the emulations: retries, dead letters, redrives."""

from __future__ import annotations

from collections.abc import Callable

from typing_extensions import override

from unibus.emulation.relay import Relay
from unibus.engine.outlet import Outlet
from unibus.engine.pending import Extras
from unibus.errors import UnibusError
from unibus.message import Message
from unibus.outcome import ACCEPTED, Outcome, rejected


class OutletRelay(Relay):
    """Hands copies to an outlet: ids and reserved headers are carried on, nothing is checked."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet

    @override
    def hand_over(self, message: Message, done: Callable[[Outcome], None]) -> None:
        outbox = self._outlet.outbox
        body = message.body
        try:
            receipt = outbox.put(
                body, len(body or b""), message.key, message.routing_key, _extras(message)
            )
        except UnibusError as refusal:
            done(rejected(refusal))
            return
        if receipt is None:
            done(rejected(outbox.overload()))
            return
        batch, index = receipt

        def decided() -> None:
            done(batch.outcome(index) or ACCEPTED)

        if not outbox.when_decided(batch, index, decided):
            decided()


def _extras(message: Message) -> Extras:
    timing = (message.delay_s, message.ttl_s, message.priority)
    is_timed = timing != (None, None, None)
    return Extras(message.headers, message.id, timing if is_timed else None)
