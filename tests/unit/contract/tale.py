"""Writes histories by hand, one short line an event."""

from __future__ import annotations

from typing import Unpack

from unibus_contract.history import Event, History, Kind, Phase, Scope
from unibus_contract.recorder import EventFields

SCOPE = Scope("topic", "sub")
DEAD = Scope("topic", "sub", max_attempts=2, dead_letter="dead")


class Tale:
    """A history in the making; time passes by one second an event."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def note(self, process: str, kind: Kind, phase: Phase, **fields: Unpack[EventFields]) -> Event:
        seq = len(self.events)
        event = Event(t=float(seq), seq=seq, process=process, kind=kind, phase=phase, **fields)
        self.events.append(event)
        return event

    def published(
        self, message: str, phase: Phase = Phase.OK, **fields: Unpack[EventFields]
    ) -> None:
        known: EventFields = {"destination": "topic", "message": message, "body": f"b{message}"}
        self.note("p1", Kind.PUBLISH, Phase.INVOKE, **{**known, **fields})
        self.note("p1", Kind.PUBLISH, phase, destination=known["destination"], message=message)

    def delivered(self, message: str, to: str = "c1", **fields: Unpack[EventFields]) -> str:
        lease = f"{to}#{len(self.events)}"
        known: EventFields = {
            "subscription": "sub",
            "message": message,
            "lease": lease,
            "body": f"b{message}",
            "attempt": 1,
        }
        self.note(to, Kind.DELIVER, Phase.INFO, **{**known, **fields})
        return lease

    def settled(
        self,
        lease: str,
        kind: Kind = Kind.ACK,
        phase: Phase = Phase.OK,
        error: str = "",
    ) -> None:
        held = next(each for each in self.events if each.lease == lease)
        who = held.process
        fields: EventFields = {
            "subscription": held.subscription,
            "message": held.message,
            "lease": lease,
        }
        self.note(who, kind, Phase.INVOKE, **{**fields, "error": error})
        self.note(who, kind, phase, **fields)

    def handled(self, message: str, to: str = "c1", **fields: Unpack[EventFields]) -> None:
        self.settled(self.delivered(message, to, **fields))

    @property
    def history(self) -> History:
        return History(self.events)
