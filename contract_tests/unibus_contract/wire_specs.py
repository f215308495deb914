"""Topics and subscriptions as plain JSON values, to hand them to another process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unibus.specs import Exact, Filter, HeaderMatch, Pattern, Subscription, Topic

_TOPIC = ("name", "ordering", "partitions", "profile", "managed", "point_to_point")
_SUBSCRIPTION = (
    "name",
    "mode",
    "lease_s",
    "max_attempts",
    "dead_letter",
    "profile",
    "emulate",
    "managed",
)


def topic_to_json(topic: Topic) -> Mapping[str, Any]:
    """Return what ``topic_from_json`` makes an equal topic of."""
    return {**{name: getattr(topic, name) for name in _TOPIC}, "native": dict(topic.native)}


def topic_from_json(values: Mapping[str, Any]) -> Topic:
    """Return the topic that was handed over."""
    return Topic(**values)


def subscription_to_json(subscription: Subscription) -> Mapping[str, Any]:
    """Return what ``subscription_from_json`` makes an equal subscription of.

    Its ``start`` stays behind: it only matters where it is declared.
    """
    return {
        **{name: getattr(subscription, name) for name in _SUBSCRIPTION},
        "native": dict(subscription.native),
        "topic": topic_to_json(subscription.topic),
        "filter": _filter_to_json(subscription.filter),
    }


def subscription_from_json(values: Mapping[str, Any]) -> Subscription:
    """Return the subscription that was handed over."""
    topic = topic_from_json(values["topic"])
    chosen = _filter_from_json(values["filter"])
    return Subscription(**{**values, "topic": topic, "filter": chosen})


def _filter_to_json(chosen: Filter | None) -> Mapping[str, Any] | None:
    match chosen:
        case Exact():
            return {"exact": chosen.routing_key}
        case Pattern():
            return {"pattern": list(chosen.patterns)}
        case HeaderMatch():
            return {"headers": dict(chosen.headers), "match": chosen.match}
        case _:
            return None


def _filter_from_json(values: Mapping[str, Any] | None) -> Filter | None:
    match values:
        case {"exact": str(routing_key)}:
            return Exact(routing_key)
        case {"pattern": [*patterns]}:
            return Pattern(*patterns)
        case {"headers": headers, "match": match}:
            return HeaderMatch(headers, match)
        case _:
            return None
