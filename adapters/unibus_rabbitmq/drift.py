"""What is to be done so that a spec exists: what is wanted against what is there."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from unibus import spi
from unibus_rabbitmq import bindings, declare, delay, names
from unibus_rabbitmq.control import Control, Finding, Presence
from unibus_rabbitmq.declare import Wanted
from unibus_rabbitmq.objects import ALTERNATE, Binding, Exchange, Queue

Half = spi.Topic | spi.Subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one change does, in this order; each part of it twice is once.

    Attributes:
        objects: To be declared.
        bind: To be bound.
        unbind: To be bound no longer, after that: what matches both is never missed.
        begins: A stream, and the queue that is to hold where it ends, unless it holds something.
        outdated: A record to be deleted.
        record: A record to be declared.
        about: The exchange that the record goes with.
    """

    objects: tuple[Exchange | Queue, ...] = ()
    bind: tuple[Binding, ...] = ()
    unbind: tuple[Binding, ...] = ()
    begins: tuple[str, str] | None = None
    outdated: Exchange | None = None
    record: Exchange | None = None
    about: str | None = None


def half_of(spec: spi.Spec) -> Half:
    """Return the part of *spec* that has something at the broker."""
    return spec.subscription if isinstance(spec, spi.Queue) else spec


def changes(
    control: Control, specs: Sequence[spi.Spec], default: str | None
) -> Iterator[spi.Change]:
    """Yield what is to be done, in an order in which it can be done.

    Args:
        control: Asks the broker.
        specs: Managed ones are compared, others only have to be there.
        default: The profile of specs that name none.
    """
    topics_first = sorted(specs, key=lambda spec: not isinstance(spec, spi.Topic))
    yield from _ladder(control, topics_first, default)
    planned: set[str] = set()
    for spec in topics_first:
        half = half_of(spec)
        steps = (
            list(_managed(control, spec, declare.wanted(half, default)))
            if half.managed
            else list(_unmanaged(control, spec, half))
        )
        # Half of what somebody else will not like is worse than nothing of it.
        refusals = [step for step in steps if step.kind == "refuse"]
        for step in refusals or steps:
            if step.text not in planned:  # two subscriptions may share an exchange
                planned.add(step.text)
                yield step


def _managed(control: Control, spec: spi.Spec, want: Wanted) -> Iterator[spi.Change]:
    is_missing = False
    for item in want.objects:
        finding = control.compare(item)
        if finding.presence is Presence.DIFFERENT:
            yield _refusal(spec, item, finding)
        elif finding.presence is Presence.MISSING:
            is_missing = True
            work = Work(objects=(item,))
            yield spi.Change(kind="create", spec=spec, text=f"declare {item.text}", native=work)
    yield from _connection(control, spec, want, is_needed=is_missing)


def _ladder(
    control: Control, specs: Sequence[spi.Spec], default: str | None
) -> Iterator[spi.Change]:
    needing = [spec for spec in specs if declare.is_delayable(half_of(spec), default)]
    if not needing or control.is_there(delay.RECORD):
        return
    ladder = declare.ladder()
    yield spi.Change(
        kind="create",
        spec=needing[0],
        text=f"declare the delay ladder ({delay.LEVELS} exchanges and quorum queues"
        f" {delay.RECORD.name}-..., once for the virtual host)",
        native=Work(objects=ladder.objects, bind=ladder.bindings, record=ladder.record),
    )


def _unmanaged(control: Control, spec: spi.Spec, half: Half) -> Iterator[spi.Change]:
    kind, name, type_ = names.native(half)
    item: Exchange | Queue
    if kind == "exchange":
        item = Exchange(name=name, type=type_ or "topic")
    else:
        item = Queue(name=name, arguments={"x-queue-type": kind})
    if not control.is_there(item):
        text = f"{kind} {name} does not exist, and is not managed; declare it, or name another"
        yield _refuse(spec, text)
    elif isinstance(item, Exchange) and type_ is not None:
        finding = control.compare(item)
        if finding.argument == "type":
            yield _refusal(spec, item, finding)


def _refusal(spec: spi.Spec, item: Exchange | Queue, finding: Finding) -> spi.Change:
    name, word = names.decode(item.name)
    if finding.found is None:
        what = f"{item.text} exists with another {finding.argument}"
    elif word == names.SHARDS and finding.argument == ALTERNATE:
        asked, found = (str(each).rpartition("-")[2] for each in (finding.asked, finding.found))
        what = f"{name} exists with {found} lanes, asked are {asked}"
    else:
        what = (
            f"{item.text} exists with another {finding.argument}: asked {finding.asked},"
            f" it has {finding.found}"
        )
    return _refuse(spec, f"{what}; delete it, or ask for what it has")


def _refuse(spec: spi.Spec, text: str) -> spi.Change:
    return spi.Change(kind="refuse", spec=spec, text=text)


def _connection(
    control: Control, spec: spi.Spec, want: Wanted, *, is_needed: bool
) -> Iterator[spi.Change]:
    if want.record is None:
        return
    finding = control.compare(want.record)
    if finding.presence is Presence.DIFFERENT:
        yield _reconnection(control, spec, want, want.record)
    elif is_needed or finding.presence is Presence.MISSING:
        # A binding goes with what it binds, without a word in the record.
        yield spi.Change(
            kind="create",
            spec=spec,
            text=_bind_text(half_of(spec)),
            native=Work(
                bind=want.bindings, begins=want.begins, record=want.record, about=want.about
            ),
        )


def _bind_text(half: Half) -> str:
    if isinstance(half, spi.Topic):
        return f"bind topic {half.name}"
    if half.topic.point_to_point:
        return f"bind queue {half.name}"
    return f"bind {half.name} to {half.topic.name} by {_filter_text(half.filter)}"


def _filter_text(chosen: spi.Filter | None) -> str:
    if chosen is None:
        return "everything"
    return textwrap.shorten(json.dumps(bindings.filter_text(chosen)), 120, placeholder=" ...")


def _reconnection(control: Control, spec: spi.Spec, want: Wanted, record: Exchange) -> spi.Change:
    """Return how to get from the record that is there to *record*."""
    half = half_of(spec)
    text, asked = control.text_of(record), str(record.arguments[ALTERNATE])
    if isinstance(half, spi.Topic):
        what = f"{half.name} exists as {text or 'something else'}, asked is {asked}"
        return _refuse(spec, f"{what}; delete it, or ask for what it has")
    try:
        source, before = _read(text)
    except ValueError:
        what = f"{half.name} is bound by another filter, which RabbitMQ does not say in full"
        return _refuse(spec, f"{what}; delete it, or choose another name for this one")
    if source != json.loads(asked)[0]:
        what = f"{half.name} is subscribed to {source}"
        return _refuse(spec, f"{what}; delete it, or choose another name for this one")
    work = Work(
        bind=want.bindings,
        unbind=_outdated(half, before, want),
        outdated=record,
        record=record,
        about=want.about,
    )
    what = (
        f"bind {half.name} by {_filter_text(half.filter)} instead of {_filter_text(before)};"
        " what waits in it stays"
    )
    return spi.Change(kind="alter", spec=spec, text=what, native=work)


def _outdated(
    half: spi.Subscription, before: spi.Filter | None, want: Wanted
) -> tuple[Binding, ...]:
    """Return the bindings of the old filter alone; an exchange beside the topic's serves others."""
    target = bindings.target_of(half)
    return tuple(
        binding
        for binding in bindings.of_filter(half, before)
        if (binding.exchange, binding.queue) == (target.exchange, target.queue)
        and binding not in want.bindings
    )


def bound_filter(control: Control, half: spi.Subscription, want: Wanted) -> spi.Filter | None:
    """Return by which filter *half* is bound, as far as the broker tells; else its own."""
    if want.record is None or control.compare(want.record).presence is not Presence.DIFFERENT:
        return half.filter
    try:
        return _read(control.text_of(want.record))[1]
    except ValueError:
        return half.filter


def _read(text: str | None) -> tuple[str | None, spi.Filter | None]:
    """Return exchange and filter of a subscription's record.

    Raises:
        ValueError: It cannot be read, mostly because the broker cut it off.
    """
    match json.loads(text or ""):
        case [None | str() as source, chosen]:
            return source, bindings.read_filter(chosen)
        case _:
            raise ValueError("not the record of a subscription")
