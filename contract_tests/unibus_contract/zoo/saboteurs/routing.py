"""Brokers that filter otherwise than it is meant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, cast

from typing_extensions import override

from unibus import Bus, Topology, specs
from unibus.filters import compile_filter
from unibus.message import HeaderValue
from unibus.spi import (
    Binding,
    Change,
    Events,
    Exact,
    Filter,
    Flow,
    HeaderMatch,
    Incoming,
    Message,
    Outgoing,
    Pattern,
    Receiver,
    Source,
    Spec,
    Subscription,
    Verdict,
    VerdictKind,
)
from unibus_contract.harness import BrokerUnderTest
from unibus_contract.watch import OverWrapped
from unibus_contract.wrap import AdapterWrap, ReceiverWrap, SourceWrap
from unibus_contract.zoo.facade import Facade
from unibus_contract.zoo.saboteur import saboteur


class _Translates(AdapterWrap):
    """Declares another filter than that which is asked for."""

    def translated(self, chosen: Filter) -> Filter | None:
        """Return what is declared for *chosen*."""
        raise NotImplementedError

    @override
    def apply(self, change: Change, *, timeout_s: float) -> None:
        spec = change.spec
        if isinstance(spec, Subscription) and spec.filter is not None:
            change = replace(change, spec=replace(spec, filter=self.translated(spec.filter)))
        super().apply(change, timeout_s=timeout_s)


@saboteur("Exact also takes what begins with the same words.", "RTE-01")
class TakesExactForTheBeginning(_Translates):
    """As subscriptions by prefix do."""

    @override
    def translated(self, chosen: Filter) -> Filter | None:
        if isinstance(chosen, Exact):
            return Pattern(chosen.routing_key, f"{chosen.routing_key}.#")
        return chosen


@saboteur("In a pattern, * takes several words.", "RTE-02", "RTE-50")
class LetsAStarCrossDots(_Translates):
    """As wildcards of file names do, and those of SNS."""

    @override
    def translated(self, chosen: Filter) -> Filter | None:
        if isinstance(chosen, Pattern):
            return Pattern(*(each.replace("*", "#") for each in chosen.patterns))
        return chosen


@saboteur("In a pattern, # takes at least one word.", "RTE-50")
class WantsAWordForAHash(_Translates):
    """As the plus of a regular expression does."""

    @override
    def translated(self, chosen: Filter) -> Filter | None:
        if isinstance(chosen, Pattern):
            return Pattern(
                *(f"{each[:-1]}*.#" if each[-1:] == "#" else each for each in chosen.patterns)
            )
        return chosen


@saboteur("Of several headers to match, one is enough.", "RTE-03", "RTE-53")
class TakesAllForAny(_Translates):
    """As a headers exchange does with the wrong x-match."""

    @override
    def translated(self, chosen: Filter) -> Filter | None:
        return HeaderMatch(chosen.headers, "any") if isinstance(chosen, HeaderMatch) else chosen


class _Filters(_Translates):
    """Filters by itself, message by message, instead of the broker."""

    kind: ClassVar[type[Filter]] = HeaderMatch
    settles_the_others: ClassVar[bool] = True

    def lets_through(self, chosen: Filter, message: Message) -> bool:
        """Return whether *message* is delivered."""
        return compile_filter(chosen)(message)

    @override
    def translated(self, chosen: Filter) -> Filter | None:
        return None if isinstance(chosen, self.kind) else chosen

    @override
    def open_receiver(
        self, binding: Binding, flow: Flow, events: Events, *, timeout_s: float
    ) -> Receiver:
        spec = binding.spec
        chosen = spec.filter if isinstance(spec, Subscription) else None
        if not isinstance(chosen, self.kind):
            return super().open_receiver(binding, flow, events, timeout_s=timeout_s)
        single = flow._replace(max_batch=1)
        receiver = super().open_receiver(binding, single, events, timeout_s=timeout_s)
        return _Filtering(receiver, self, chosen)


class _Filtering(ReceiverWrap):
    def __init__(self, inner: Receiver, rules: _Filters, chosen: Filter) -> None:
        super().__init__(inner)
        self._rules = rules
        self._chosen = chosen

    @override
    def take(self) -> Incoming | None:
        while (taken := super().take()) is not None:
            if self._rules.lets_through(self._chosen, taken.message(0)):
                return taken
            if self._rules.settles_the_others:
                self.settle([Verdict(taken.ticket, 0, 1, VerdictKind.ACK)])
        return None


class _Compares(_Filters):
    """Compares headers in a way of its own."""

    def is_equal(self, name: str, wanted: HeaderValue, found: HeaderValue) -> bool:
        """Return whether a header is as it is wanted."""
        del name
        return wanted is None or (type(wanted) is type(found) and wanted == found)

    @override
    def lets_through(self, chosen: Filter, message: Message) -> bool:
        assert isinstance(chosen, HeaderMatch)
        found = message.headers or {}
        decide = all if chosen.match == "all" else any
        return decide(
            name in found and self.is_equal(name, wanted, found[name])
            for name, wanted in chosen.headers.items()
        )


@saboteur("Values of headers are compared without letter case.", "RTE-03")
class ComparesWithoutLetterCase(_Compares):
    """As names of HTTP headers are."""

    @override
    def is_equal(self, name: str, wanted: HeaderValue, found: HeaderValue) -> bool:
        if isinstance(wanted, str) and isinstance(found, str):
            return wanted.lower() == found.lower()
        return super().is_equal(name, wanted, found)


@saboteur("Values of headers are compared as text.", "RTE-52")
class ComparesHeadersAsText(_Compares):
    """As brokers do whose headers are text."""

    @override
    def is_equal(self, name: str, wanted: HeaderValue, found: HeaderValue) -> bool:
        return wanted is None or str(wanted) == str(found)


@saboteur("A header that only has to be there has to be None.", "RTE-53")
class TakesPresenceForAValue(_Compares):
    """Compares like all others what is no value."""

    @override
    def is_equal(self, name: str, wanted: HeaderValue, found: HeaderValue) -> bool:
        return type(wanted) is type(found) and wanted == found


@saboteur("To a filter, bytes are text.", "RTE-54")
class TakesBytesForText(_Compares):
    """As AMQP 0-9-1 leaves it to the broker."""

    @override
    def is_equal(self, name: str, wanted: HeaderValue, found: HeaderValue) -> bool:
        texts = [each.decode() if isinstance(each, bytes) else each for each in (wanted, found)]
        return super().is_equal(name, *texts)


@saboteur("Headers whose names begin with x- are overlooked.", "RTE-55")
class OverlooksNamesWithX(_Compares):
    """As headers exchanges do."""

    @override
    def is_equal(self, name: str, wanted: HeaderValue, found: HeaderValue) -> bool:
        return name.lower().startswith("x-") or super().is_equal(name, wanted, found)


@saboteur("What a filter keeps away stays in the window of its consumer.", "RTE-57")
class HoldsWhatItKeepsAway(_Filters):
    """As a filter does that only hides."""

    kind, settles_the_others = Pattern, False


@saboteur("A message that matches two patterns of a subscription is stored twice.", "RTE-51")
def stores_once_for_each_pattern(broker: BrokerUnderTest) -> BrokerUnderTest:
    """Make a copy for each of them, as one binding beside another would."""
    patterns: defaultdict[str, list[Pattern]] = defaultdict(list)

    class Copying(SourceWrap):
        def __init__(self, inner: Source, topic: str) -> None:
            super().__init__(inner)
            self._topic = topic

        @override
        def select(self, batch: Outgoing) -> Sequence[int]:
            indexes = range(len(batch))
            return sorted([*indexes, *(i for i in indexes if self._is_twice(batch.message(i)))])

        def _is_twice(self, message: Message) -> bool:
            return any(
                sum(compile_filter(Pattern(one))(message) for one in each.patterns) > 1
                for each in patterns[self._topic]
            )

    class PerPattern(AdapterWrap):
        @override
        def apply(self, change: Change, *, timeout_s: float) -> None:
            super().apply(change, timeout_s=timeout_s)
            spec = change.spec
            if isinstance(spec, Subscription) and isinstance(spec.filter, Pattern):
                patterns[spec.topic.name].append(spec.filter)

        @override
        def source(self, source: Source, binding: Binding) -> Source:
            return Copying(source, binding.spec.name)

    return OverWrapped(broker, PerPattern)


@saboteur("Who refuses emulations gets them all the same.", "RTE-56", profile="sqs")
class EmulatesRegardless(Bus):
    """And its program filters in every process."""

    class _Lenient(Facade):
        def apply(self, *asked: Spec, **settings: Any) -> object:  # noqa: ANN401  # those of apply
            lenient = (
                replace(each, emulate=None) if isinstance(each, Subscription) else each
                for each in asked
            )
            return self.inner.apply(*lenient, **settings)

    @cached_property
    @override
    def topology(self) -> Topology:
        """What exists, seen through."""
        return cast("Topology", self._Lenient(super().topology))


@saboteur("A filter of any length is taken.", "RTE-05")
class TakesFiltersOfAnyLength(Bus):
    """While it is open; the broker finds out."""

    _check = staticmethod(vars(specs)["_check_filter"])

    def __init__(self, core: Any) -> None:  # noqa: ANN401  # what a bus is made of is its own business
        super().__init__(core)
        vars(specs)["_check_filter"] = lambda _name, _chosen: None

    @override
    def close(self, timeout_s: float = 10.0) -> None:
        vars(specs)["_check_filter"] = self._check
        super().close(timeout_s)
