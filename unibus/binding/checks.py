"""What a spec asks that a profile may not have; each rule gives one clause, or nothing.

A clause says what was asked, what the profile has, and what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from unibus.capabilities import Capabilities, Ordering, Profile
from unibus.emulation.filter import grade_name
from unibus.errors import UnsupportedError
from unibus.requirements import Requirements
from unibus.specs import Subscription, Topic

_Rule = Callable[[Subscription, Capabilities], str | None]


def title(half: Topic | Subscription) -> str:
    """Return how a message names *half*."""
    return f"{type(half).__name__} {half.name!r}"


def check_topic(topic: Topic, profile: Profile) -> None:
    """Refuse an order, a name or a lack of management that *profile* does not carry.

    Raises:
        UnsupportedError: It does not.
    """
    have = profile.capabilities
    clauses = [_order(topic, have), _name(topic, have), _unmanaged(topic, have)]
    _refuse(topic, profile, filter(None, clauses))


def check_subscription(subscription: Subscription, profile: Profile, have: Capabilities) -> None:
    """Refuse what *subscription* asks and *profile*, emulations included, does not have.

    Raises:
        UnsupportedError: It asks something; the message names all of it.
    """
    clauses = (rule(subscription, have) for rule in _RULES)
    _refuse(subscription, profile, filter(None, clauses))
    if subscription.require is not None:
        unmet = subscription.require.unmet(have)
        _refuse(subscription, profile, (f"{each}; require less" for each in unmet))


def check_program(
    half: Topic | Subscription, profile: Profile, require: Requirements, have: Capabilities
) -> None:
    """Refuse a profile that lacks what the whole program requires.

    Raises:
        UnsupportedError: It lacks something.
    """
    unmet = require.unmet(have)
    _refuse(half, profile, (f"{each}; require less" for each in unmet))


def _refuse(half: Topic | Subscription, profile: Profile, clauses: Iterable[str]) -> None:
    if text := "; ".join(clauses):
        raise UnsupportedError(f"{title(half)} on profile {profile.name}: {text}")


def _order(topic: Topic, have: Capabilities) -> str | None:
    asked, kept = Ordering[topic.ordering.upper()], have.ordering.value
    if asked <= kept:
        return None
    return (
        f"ordering {topic.ordering!r} is asked, it keeps {kept.name.lower()!r};"
        " ask for less, or name a profile that keeps it"
    )


def _name(half: Topic | Subscription, have: Capabilities) -> str | None:
    size, limit = len(half.name.encode()), have.max_name_bytes.value
    if limit is None or size <= limit:
        return None
    return f"a name of {size} bytes is asked, it takes {limit}; shorten the name"


def _unmanaged(half: Topic | Subscription, have: Capabilities) -> str | None:
    if half.managed or have.unmanaged:
        return None
    return "managed=False is asked, it only uses what it declares itself; leave managed out"


def _filter(subscription: Subscription, have: Capabilities) -> str | None:
    chosen = subscription.filter
    if chosen is None or getattr(have, grade_name(chosen)):
        return None
    return (
        f"a filter {type(chosen).__name__} is asked, it has none"
        " (filtering at the consumer is refused by emulate='refuse'); allow it, or drop the filter"
    )


def _start(subscription: Subscription, have: Capabilities) -> str | None:
    start = subscription.start
    asked = "time" if isinstance(start, datetime) else start or "declared"
    offered = have.start.value
    if asked in offered:
        return None
    if offered == {"declared"}:
        return (
            f"start {asked!r} is asked, it begins when it is declared;"
            " leave start out, or name a profile with a retained log"
        )
    return (
        f"start {asked!r} is asked, it has {', '.join(sorted(offered))};"
        " choose one of these, or another profile"
    )


def _lease(subscription: Subscription, have: Capabilities) -> str | None:
    asked, longest = subscription.lease_s, have.lease.value.max_s
    if asked is None:
        return None
    if not have.lease:
        return f"a lease of {asked:g} s is asked, it has no leases; leave lease_s out"
    if asked <= longest:
        return None
    return f"a lease of {asked:g} s is asked, it has at most {longest:g} s; ask for less"


def _attempts(subscription: Subscription, have: Capabilities) -> str | None:
    if subscription.max_attempts is None or have.attempts:
        return None
    return (
        f"max_attempts {subscription.max_attempts} is asked, it does not count attempts;"
        " allow emulations, or leave max_attempts out"
    )


def _dead_letter(subscription: Subscription, have: Capabilities) -> str | None:
    if subscription.dead_letter is None or have.dead_letter:
        return None
    return (
        f"dead_letter {subscription.dead_letter!r} is asked, it has none;"
        " allow emulations, or leave dead_letter out"
    )


_RULES: tuple[_Rule, ...] = (
    _name,
    _unmanaged,
    _filter,
    _start,
    _lease,
    _attempts,
    _dead_letter,
)
