"""Which messages a subscription with a filter gets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from unibus.errors import ConfigurationError, UnsupportedError
from unibus.message import HeaderValue
from unibus.specs import Exact, Filter, HeaderMatch, Pattern, Subscription, Topic
from unibus_contract.checkers import duplicate, exclusivity, loss, phantom
from unibus_contract.judgement import require, require_raises
from unibus_contract.publishing import MessageFields
from unibus_contract.registry import clause
from unibus_contract.workbench import Bench

Case = tuple[MessageFields, str]
"""A message, and the letters of the filters that let it through."""


@clause("RTE-01")
def test_an_exact_filter_takes_its_routing_key_alone(bench: Bench) -> None:
    filters = {"d": Exact("a.b"), "l": Exact("a.*"), "s": Exact("a")}
    keys = {"a.b": "d", "a": "s", "a.*": "l", "A.B": "", "a.b.c": "", "b": "", "a.x": "", "": ""}
    _prove(bench, filters, [({"routing_key": key}, who) for key, who in keys.items()])


@clause("RTE-02")
def test_a_pattern_takes_what_matches_it(bench: Bench) -> None:
    filters = {
        "w": Pattern("order.*.created"),
        "t": Pattern("order.#"),
        "h": Pattern("#.created", "invoice.*"),
    }
    keys = {
        "order.eu.created": "wth",
        "order.created": "th",
        "order.eu.west.created": "th",
        "order.eu.paid": "t",
        "invoice.paid": "h",
        "invoice.eu.paid": "",
        "orders.eu.created": "h",
        "ORDER.eu.paid": "",
    }
    _prove(bench, filters, [({"routing_key": key}, who) for key, who in keys.items()])


@clause("RTE-50")
def test_a_pattern_knows_no_words_and_empty_words(bench: Bench) -> None:
    filters = {
        "h": Pattern("a.#"),
        "s": Pattern("a.*"),
        "o": Pattern("*"),
        "t": Pattern("*.*"),
        "e": Pattern("#"),
    }
    keys = {
        "a": "hoe",
        "a.b": "hste",
        "a.b.c": "he",
        "a.": "hste",
        "": "e",
        "ab": "oe",
        ".": "te",
        "b.a": "te",
    }
    _prove(bench, filters, [({"routing_key": key}, who) for key, who in keys.items()])


@clause("RTE-51")
def test_two_patterns_that_match_give_one_copy(bench: Bench) -> None:
    filters = {"t": Pattern("a.*", "*.b", "#"), "o": Pattern("a.#", "#.b", "a.b")}
    keys = {"a.b": "to", "a.c": "to", "c": "t"}
    cases: list[Case] = [({"routing_key": key}, who) for key, who in keys.items()]
    _prove(bench, filters, cases * 2)


@clause("RTE-03")
def test_a_header_filter_takes_messages_with_equal_headers(bench: Bench) -> None:
    filters = {"o": HeaderMatch({"region": "eu"}), "t": HeaderMatch({"region": "eu", "Kind": "b"})}
    cases: list[Case] = [
        ({"headers": {"region": "eu"}}, "o"),
        ({"headers": {"region": "eu", "Kind": "b", "more": "x"}}, "ot"),
        ({"headers": {"region": "eu", "kind": "b"}}, "o"),
        ({"headers": {"region": "EU", "Kind": "b"}}, ""),
        ({"headers": {"region": "eu-west"}}, ""),
        ({"headers": {"Kind": "b"}}, ""),
        ({}, ""),
    ]
    _prove(bench, filters, cases)


@clause("RTE-52")
def test_a_header_filter_looks_at_types(bench: Bench) -> None:
    filters = {
        "i": HeaderMatch({"n": 1}),
        "s": HeaderMatch({"n": "1"}),
        "b": HeaderMatch({"n": True}),
    }
    cases: list[Case] = [
        ({"headers": {"n": 1}}, "i"),
        ({"headers": {"n": "1"}}, "s"),
        ({"headers": {"n": True}}, "b"),
        ({"headers": {"n": 2}}, ""),
        ({"headers": {"n": "true"}}, ""),
        ({"headers": {"n": "01"}}, ""),
    ]
    _prove(bench, filters, cases)


@clause("RTE-53")
def test_any_and_presence(bench: Bench) -> None:
    filters = {
        "a": HeaderMatch({"region": "eu", "kind": "b"}, "any"),
        "p": HeaderMatch({"trace": None}),
        "m": HeaderMatch({"trace": None, "kind": "b"}),
    }
    cases: list[Case] = [
        ({"headers": {"region": "eu", "kind": "c"}}, "a"),
        ({"headers": {"kind": "b"}}, "a"),
        ({"headers": {"region": "us", "trace": ""}}, "p"),
        ({"headers": {"trace": "7", "kind": "b"}}, "apm"),
        ({"headers": {"region": "us", "kind": "c"}}, ""),
        ({"headers": {"Trace": "7"}}, ""),
        ({}, ""),
    ]
    _prove(bench, filters, cases)


@clause("RTE-54")
def test_a_filter_is_applied_as_it_is_meant_or_refused(bench: Bench) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    asked = {
        "f": HeaderMatch({"v": 1.0}),
        "y": HeaderMatch({"v": b"1"}),
        "d": HeaderMatch({"v": moment}),
    }
    types = bench.capabilities.headers.value.types
    values: Mapping[str, HeaderValue] = {"f": 1.0, "y": b"1", "d": moment, "-": "1", "+": 1}
    cases: list[Case] = [
        ({"headers": {"v": value}}, name)
        for name, value in values.items()
        if type(value).__name__ in types
    ]
    topic = bench.topic()
    bench.declare(topic)
    granted = {name: chosen for name, chosen in asked.items() if _is_granted(bench, topic, chosen)}
    _prove(bench, granted, cases, topic)


@clause("RTE-55")
def test_header_names_that_begin_with_x_are_matched_too(bench: Bench) -> None:
    filters = {
        "a": HeaderMatch({"x-kind": "b"}),
        "n": HeaderMatch({"x-kind": "b", "X-Other": "c"}, "any"),
    }
    cases: list[Case] = [
        ({"headers": {"x-kind": "b"}}, "an"),
        ({"headers": {"x-kind": "c"}}, ""),
        ({"headers": {"X-Other": "c"}}, "n"),
        ({"headers": {"kind": "b"}}, ""),
    ]
    _prove(bench, filters, cases)


@clause("RTE-05")
def test_a_filter_that_means_nothing_is_refused(bench: Bench) -> None:
    topic = bench.topic()
    long = "x" * 256
    meaningless: Mapping[str, Callable[[], object]] = {
        "Pattern without a pattern": Pattern,
        "HeaderMatch without a header": lambda: HeaderMatch({}),
        "HeaderMatch with an unknown match": lambda: HeaderMatch({"a": "b"}, "some"),  # type: ignore[arg-type]  # what is refused
        "Exact longer than routing keys are": lambda: bench.undeclared(topic, filter=Exact(long)),
        "Pattern longer than routing keys are": lambda: bench.undeclared(
            topic, filter=Pattern("a", long)
        ),
    }
    for what, make in meaningless.items():
        with require_raises(ConfigurationError, sentence=what):
            make()


@clause("RTE-56")
def test_an_emulated_filter_is_refused_to_those_who_refuse_emulations(bench: Bench) -> None:
    topic = bench.topic()
    bench.declare(topic)
    raw = bench.profile.capabilities
    asked = ((raw.filter_exact, Exact("a")), (raw.filter_pattern, Pattern("a.*")))
    for grade, chosen in (*asked, (raw.filter_headers, HeaderMatch({"a": "b"}))):
        subscription = bench.undeclared(topic, filter=chosen, emulate="refuse")
        if not grade:
            with require_raises(UnsupportedError, sentence=f"{type(chosen).__name__}, unemulated"):
                bench.main.topology.apply(subscription)
                bench.sweep(subscription)


@clause("RTE-57")
def test_what_a_filter_keeps_away_takes_no_place(bench: Bench) -> None:
    topic = bench.topic()
    subscription = bench.subscribe(
        topic, filter=Pattern("a.*"), wants=lambda event: event.routing_key == "a.b"
    )
    bench.subscribe(topic)
    consumer = bench.consumer(subscription, max_unsettled=2)
    producer = bench.producer(topic)
    for _ in range(3):
        producer.send(10, routing_key="c.d")
        producer.send(1, routing_key="a.b")
    came = consumer.take(2)
    for each in came:
        each.ack()
    reached = bench.drain(consumer)
    consumer.close()
    later = bench.consumer(subscription)
    is_quiet = later.is_quiet()

    require(len(came) == 2, "messages that it does not want hold up those that it wants")
    require(is_quiet, "something came again, or late")
    bench.judge(subscription, loss, phantom, duplicate, exclusivity)
    assert reached


def _is_granted(bench: Bench, topic: Topic, chosen: Filter) -> bool:
    subscription = bench.undeclared(topic, filter=chosen)
    try:
        bench.main.topology.apply(subscription)
    except UnsupportedError:
        return False
    bench.sweep(subscription)
    return True


def _prove(
    bench: Bench, filters: Mapping[str, Filter], cases: Iterable[Case], topic: Topic | None = None
) -> None:
    """Publish *cases* and judge that each of *filters* let through exactly what names it."""
    topic = topic or bench.topic()
    wanted: dict[str, set[str]] = {name: set() for name in filters}
    subscriptions = [_subscribed(bench, topic, filters[name], wanted[name]) for name in filters]
    everything = bench.subscribe(topic)  # so that no message is refused for want of a reader
    producer = bench.producer(topic)
    for fields, names in cases:
        sent = producer.publish(**fields)
        for name in wanted.keys() & set(names):
            wanted[name].add(sent.message)
    producer.confirm()
    subscriptions.append(everything)
    reached = [bench.drain(bench.consumer(each)) for each in subscriptions]

    for each in subscriptions:
        bench.judge(each, phantom, loss, duplicate, exclusivity)
    assert all(reached)


def _subscribed(bench: Bench, topic: Topic, chosen: Filter, wanted: set[str]) -> Subscription:
    return bench.subscribe(topic, filter=chosen, wants=lambda event: event.message in wanted)
