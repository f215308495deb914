"""Proves that what a profile does not promise is refused: typed, and before any I/O.

A clause that is not always due says in ``refused`` how to ask for it: a table of any of

* ``require``: fields of ``Requirements``, for ``connect``;
* ``topic``, ``subscription``, ``queue``: fields of that spec, for ``topology.apply``; a filter is
  ``{exact = "a"}``, ``{pattern = "a.*"}`` or ``{headers = {name = "value"}}``;
* ``producer``, ``consumer``: arguments for opening one;
* ``message``: arguments of ``publish``; ``tombstone = true`` is a body of ``None``;
* ``call``: the name of a call, one of ``clauses.CALLS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from unibus.errors import UnsupportedError
from unibus.requirements import Requirements
from unibus.specs import Exact, Filter, HeaderMatch, Pattern, Queue, Subscription, Topic
from unibus_contract.clauses import Clause
from unibus_contract.judgement import require, require_raises
from unibus_contract.workbench import Bench

if TYPE_CHECKING:
    from unibus_contract.watch import Watch

_REFUSED = "what is not promised is refused"
Ask = Callable[[Bench, "Watch", Any], None]


def prove_refused(bench: Bench, watch: Watch, clause: Clause) -> None:
    """Ask for what *clause* promises, in each way it names, and demand a refusal.

    Args:
        bench: Opens its buses through *watch*.
        watch: Sees what reaches the adapter.
        clause: One that is not due, with ``refused``.

    Raises:
        ViolationError: It was granted, refused with another error, or refused too late.
    """
    for way, wanted in (clause.refused or {}).items():
        _WAYS[way](bench, watch, wanted)


def _refuse(watch: Watch, what: str, ask: Callable[[], object]) -> None:
    before = watch.count
    with require_raises(UnsupportedError, sentence=f"{_REFUSED}: {what}"):
        ask()
    late = watch.since(before)
    require(not late, f"{what} is refused before any I/O; it came after {', '.join(late)}")


def _require(bench: Bench, watch: Watch, wanted: Mapping[str, Any]) -> None:
    fields: dict[str, Any] = {
        name: frozenset(value) if isinstance(value, list) else value
        for name, value in wanted.items()
    }
    need = Requirements(**fields)
    _refuse(watch, f"connect(require={need})", lambda: bench.bus(require=need))


def _topic(bench: Bench, watch: Watch, wanted: Mapping[str, Any]) -> None:
    topic = Topic(bench.name(), **wanted)
    _refuse(watch, f"Topic({_shown(wanted)})", lambda: bench.main.topology.apply(topic))


def _queue(bench: Bench, watch: Watch, wanted: Mapping[str, Any]) -> None:
    queue = Queue(bench.name(), **wanted)
    _refuse(watch, f"Queue({_shown(wanted)})", lambda: bench.main.topology.apply(queue))


def _subscription(bench: Bench, watch: Watch, wanted: Mapping[str, Any]) -> None:
    fields = dict(wanted)
    if "filter" in fields:
        fields["filter"] = _filter(fields["filter"])
    if bench.profile.mode == "stream":
        fields.setdefault("mode", "stream")
    topic = bench.topic(ordering=fields.pop("ordering", "none"))
    subscription = Subscription(bench.name(), topic=topic, **fields)
    asked = f"Subscription({_shown(wanted)})"
    _refuse(watch, asked, lambda: bench.main.topology.apply(topic, subscription))


def _producer(bench: Bench, watch: Watch, wanted: Mapping[str, Any]) -> None:
    topic = bench.subscription().topic
    asked = f"bus.producer({_shown(wanted)})"
    _refuse(watch, asked, lambda: bench.main.producer(topic, **wanted))


def _consumer(bench: Bench, watch: Watch, wanted: Mapping[str, Any]) -> None:
    subscription = bench.subscription()
    asked = f"bus.consumer({_shown(wanted)})"
    _refuse(watch, asked, lambda: bench.main.consumer(subscription, **wanted))


def _message(bench: Bench, watch: Watch, wanted: Mapping[str, Any]) -> None:
    producer = bench.producer(bench.subscription().topic)
    fields = dict(wanted)
    text = str(fields.pop("body", "refused"))
    body = None if fields.pop("tombstone", False) else text.encode()
    asked = f"publish({_shown(wanted)})"
    _refuse(watch, asked, lambda: producer.raw.publish(body, **fields))


def _call(bench: Bench, watch: Watch, wanted: str) -> None:
    subscription = bench.subscription()
    if wanted in _ON_BUS:
        method = getattr(bench.main, wanted)
        _refuse(watch, f"bus.{wanted}", lambda: method(subscription))
        return
    bench.producer(subscription.topic).send()
    consumer = bench.consumer(subscription)
    if wanted == "seek":
        _refuse(watch, "seek", lambda: consumer.raw.seek("earliest"))
        return
    held = consumer.take()
    assert held, "the message that is to be settled did not arrive"
    settle = _ON_DELIVERY[wanted]
    _refuse(watch, wanted, lambda: settle(held[0].raw))
    held[0].ack()


_ON_BUS = frozenset({"backlog", "purge", "redrive"})
_ON_DELIVERY: Mapping[str, Callable[[Any], None]] = {
    "extend": lambda delivery: delivery.extend(60.0),
    "nack": lambda delivery: delivery.nack(),
    "nack later": lambda delivery: delivery.nack(delay_s=1.0),
    "release": lambda delivery: delivery.release(),
}


def _filter(wanted: Mapping[str, Any]) -> Filter:
    ((kind, value),) = wanted.items()
    match kind:
        case "exact":
            return Exact(value)
        case "pattern":
            return Pattern(value)
        case _:
            return HeaderMatch(value)


def _shown(wanted: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in wanted.items())


_WAYS: Mapping[str, Ask] = {
    "require": _require,
    "topic": _topic,
    "queue": _queue,
    "subscription": _subscription,
    "producer": _producer,
    "consumer": _consumer,
    "message": _message,
    "call": _call,
}
