"""From a spec and the profiles of a broker to a binding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from unibus.binding.checks import check_program, check_subscription, check_topic, title
from unibus.binding.promises import Policy, narrowed, reach, reading, with_emulations
from unibus.capabilities import Profile
from unibus.errors import ConfigurationError, UnsupportedError
from unibus.requirements import Requirements
from unibus.specs import Queue, Spec, Subscription, Topic
from unibus.spi import Binding


def resolve(
    spec: Spec,
    profiles: Sequence[Profile],
    *,
    require: Requirements | None = None,
    emulate: Policy = None,
    default_profile: str | None = None,
) -> Binding:
    """Return what *spec* becomes on a broker with *profiles*, preferred ones first.

    A queue is resolved as its subscription; ``queue.topic`` is its other half. The profile is the
    one that the spec names, else *default_profile*, else the first that carries all of it and is
    not ``on_request``. A spec's own ``emulate`` goes before the one given here.

    Args:
        spec: What is to be bound.
        profiles: As the open adapter has them.
        require: What the whole program needs of the profile.
        emulate: Which emulations may be used.
        default_profile: What the URL names, or ``choose`` found for the whole program.

    Raises:
        UnsupportedError: No profile carries it; one sentence says why and what to do.
        ConfigurationError: A profile is named that the broker does not have.
    """
    half = spec.subscription if isinstance(spec, Queue) else spec
    refusals = []
    for profile in _candidates(half, profiles, default_profile):
        try:
            binding = _bind(half, profile, require, emulate)
        except UnsupportedError as refusal:
            refusals.append(str(refusal))
        else:
            return replace(binding, extra_specs=_dead_letters(half, profiles, default_profile))
    raise UnsupportedError(" / ".join(refusals) or f"{title(half)}: the broker has no profile")


def choose(
    profiles: Sequence[Profile], *, require: Requirements | None = None, named: str | None = None
) -> Profile:
    """Return the profile that a program stands on: *named*, else the first that meets *require*.

    Raises:
        UnsupportedError: None meets all of *require*; the message says what each one lacks.
        ConfigurationError: *named* is none of *profiles*.
    """
    need = require or Requirements()
    lacks = []
    for profile in [_by_name(profiles, named)] if named else _offered(profiles):
        unmet = need.unmet(reach(profile, is_ordered=_wants_order(need)))
        if not unmet:
            return profile
        lacks.append(f"profile {profile.name}: {', '.join(unmet)}")
    raise UnsupportedError("; ".join(lacks) + "; require less, or connect to another broker")


def _candidates(
    half: Topic | Subscription, profiles: Sequence[Profile], default_profile: str | None
) -> Sequence[Profile]:
    named = half.profile
    if named is None and isinstance(half, Subscription):
        named = half.topic.profile
    if (name := named or default_profile) is not None:
        return [_by_name(profiles, name)]
    offered = _offered(profiles)
    if isinstance(half, Topic):
        return offered
    return [profile for profile in offered if _carries(profile, half)] or offered


def _wants_order(need: Requirements) -> bool:
    return need.ordering not in (None, "none") or need.on_nack == "blocks"


def _by_name(profiles: Sequence[Profile], name: str) -> Profile:
    for profile in profiles:
        if profile.name == name:
            return profile
    offered = ", ".join(profile.name for profile in profiles)
    raise ConfigurationError(f"there is no profile {name!r} here; choose one of {offered}")


def _offered(profiles: Sequence[Profile]) -> Sequence[Profile]:
    return [profile for profile in profiles if not profile.on_request]


def _bind(
    half: Topic | Subscription, profile: Profile, require: Requirements | None, emulate: Policy
) -> Binding:
    if require is not None:
        have = reach(profile, is_ordered=_wants_order(require), emulate=emulate)
        check_program(half, profile, require, have)
    return (
        _bind_topic(half, profile, emulate)
        if isinstance(half, Topic)
        else _bind_subscription(half, profile, half.emulate or emulate)
    )


def _bind_topic(topic: Topic, profile: Profile, policy: Policy) -> Binding:
    check_topic(topic, profile)
    have, _ = with_emulations(reading(topic, profile), profile, policy)
    return Binding(spec=topic, profile=profile, capabilities=narrowed(have, topic))


def _bind_subscription(subscription: Subscription, profile: Profile, policy: Policy) -> Binding:
    if not _carries(profile, subscription):
        raise UnsupportedError(
            f"{title(subscription)} on profile {profile.name}: mode {subscription.mode!r} is asked,"
            f" it carries {profile.mode!r}; name a profile that carries it"
        )
    check_topic(subscription.topic, profile)
    have, stack = with_emulations(subscription, profile, policy)
    have = narrowed(have, subscription.topic)
    check_subscription(subscription, profile, have)
    return Binding(spec=subscription, profile=profile, capabilities=have, stack=stack)


def _carries(profile: Profile, subscription: Subscription) -> bool:
    return profile.mode in ("any", subscription.mode)


def _dead_letters(
    half: Topic | Subscription, profiles: Sequence[Profile], default_profile: str | None
) -> tuple[Spec, ...]:
    """Return the dead letter queue, on a profile that can carry one.

    Where the program stands on a profile that carries streams only, the queue names another.
    """
    if isinstance(half, Topic) or half.dead_letter is None:
        return ()
    queue = Queue(half.dead_letter)
    fitting = [each.name for each in _offered(profiles) if _carries(each, queue.subscription)]
    default_fits = default_profile is None or _carries(
        _by_name(profiles, default_profile), queue.subscription
    )
    if default_fits or not fitting:
        return (queue,)
    return (replace(queue, profile=fitting[0]),)
