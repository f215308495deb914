"""What a profile promises once emulations stand on it."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from unibus.capabilities import Capabilities, Ordering, Profile, none
from unibus.emulation.stack import EMULATIONS
from unibus.specs import OrderingName, Subscription, Topic

Policy = Literal["allow", "refuse"] | None
"""Which emulations may be used: all, none, or (``None``) those lossless for every reader."""


def reach(profile: Profile, *, is_ordered: bool = False, emulate: Policy = None) -> Capabilities:
    """Return what *profile* promises with every emulation that *emulate* allows.

    Some promises differ on ordered topics, where a failed message must not be overtaken: they are
    those of an unordered one unless *is_ordered*. ``on_nack`` is that of an ordered one always.
    """
    plain, _ = with_emulations(reading(Topic("any"), profile), profile, emulate)
    if profile.capabilities.ordering.value is Ordering.NONE:
        return plain
    topic = Topic("any", ordering=_ordering_name(profile.capabilities.ordering.value))
    ordered, _ = with_emulations(reading(topic, profile), profile, emulate)
    return ordered if is_ordered else replace(plain, on_nack=ordered.on_nack)


def reading(topic: Topic, profile: Profile) -> Subscription:
    """Return a plain subscription to *topic*, in the mode that *profile* carries."""
    mode: Literal["queue", "stream"] = "stream" if profile.mode == "stream" else "queue"
    return Subscription(topic.name, topic=topic, mode=mode)


def with_emulations(
    subscription: Subscription, profile: Profile, policy: Policy
) -> tuple[Capabilities, tuple[str, ...]]:
    """Return what *subscription* is promised, and the emulations it is read through."""
    capabilities = profile.capabilities
    stack = []
    for emulation in EMULATIONS:
        if policy == "refuse" or (policy is None and not emulation.is_lossless):
            continue
        if emulation.is_needed(capabilities, subscription):
            stack.append(emulation.name)
        capabilities = emulation.transform(capabilities, subscription)
    return capabilities, tuple(stack)


def narrowed(capabilities: Capabilities, topic: Topic) -> Capabilities:
    """Return *capabilities* with the order that the topic asks for, and no more."""
    asked = Ordering[topic.ordering.upper()]
    if asked is Ordering.NONE:
        return replace(capabilities, ordering=none(asked, "the topic asks for none"))
    return replace(capabilities, ordering=replace(capabilities.ordering, value=asked))


def _ordering_name(ordering: Ordering) -> OrderingName:
    match ordering:
        case Ordering.NONE:
            return "none"
        case Ordering.KEY:
            return "key"
        case Ordering.TOPIC:
            return "topic"
