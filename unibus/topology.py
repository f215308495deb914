"""Declaring topics and subscriptions, and comparing them with what exists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from unibus import observe
from unibus.engine.closing import Budget
from unibus.engine.core import Core
from unibus.engine.translation import translated
from unibus.errors import NotFoundError, TopologyConflictError, UnsupportedError
from unibus.specs import Spec, Subscription, Topic
from unibus.spi import Change, SupportsDelete

_log = observe.logger("topology")


class Topology:
    """What exists at the broker, and what has to; made by ``bus.topology``. Thread-safe.

    Every call first refuses, without asking the broker, what it cannot carry. A subscription's dead
    letter queue goes with it. What has ``managed=False`` is looked for and never changed.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    def plan(self, *specs: Spec, timeout_s: float = 30.0) -> tuple[Change, ...]:
        """Return what ``apply`` would do, in order; empty if everything is as it has to be.

        Raises:
            NotFoundError: One with ``managed=False`` does not exist.
            UnsupportedError: The broker cannot carry one of them.
            UnibusError: What the broker answered.
        """
        return self._plan(specs, Budget(self._core.clock, timeout_s))

    def apply(
        self, *specs: Spec, allow_danger: bool = False, timeout_s: float = 30.0
    ) -> tuple[Change, ...]:
        """Make *specs* exist, and return what was done; doing it twice is doing it once.

        Nothing is done if one of the changes cannot be.

        Args:
            *specs: Topics, subscriptions and queues, in any order.
            allow_danger: Also do what loses something, e.g. messages.
            timeout_s: For all of it, in seconds.

        Raises:
            TopologyConflictError: One exists with settings that cannot be changed, or only by
                losing something.
            NotFoundError: One with ``managed=False`` does not exist.
            UnsupportedError: The broker cannot carry one of them.
            UnibusError: What the broker answered.
        """
        budget = Budget(self._core.clock, timeout_s)
        changes = self._plan(specs, budget)
        _refuse(changes, allow_danger=allow_danger)
        for change in changes:
            with translated(self._core.adapter):
                self._core.adapter.apply(change, timeout_s=budget.left_s)
            extra = observe.fields(observe.TOPOLOGY_CHANGED, destination=change.spec.name)
            _log.info("%s", change.text, extra=extra)
        return changes

    def describe(self, *specs: Spec, timeout_s: float = 30.0) -> tuple[Spec, ...]:
        """Return those of *specs* that exist, with the settings that they have at the broker.

        Raises:
            UnibusError: What the broker answered.
        """
        return self._inspect(_sorted(map(self._placed, specs)), timeout_s)

    def delete(self, *specs: Spec, timeout_s: float = 30.0) -> None:
        """Remove *specs* and what waits in them, subscriptions first; quiet about what is gone.

        Dead letter queues stay: what lies there belongs to nobody else.

        Raises:
            UnsupportedError: One has ``managed=False``, or the adapter deletes nothing.
            UnibusError: What the broker answered.
        """
        adapter = self._core.adapter
        if not isinstance(adapter, SupportsDelete):
            raise UnsupportedError(
                f"{adapter.identity.system}: this adapter deletes nothing; use the broker's tools"
            )
        for spec in specs:
            if not spec.managed:
                raise UnsupportedError(
                    f"{_title(spec)} has managed=False: it is not ours to delete"
                )
        budget = Budget(self._core.clock, timeout_s)
        for spec in reversed(_sorted(map(self._placed, specs))):
            with translated(adapter):
                adapter.delete(spec, timeout_s=budget.left_s)

    def _plan(self, specs: Sequence[Spec], budget: Budget) -> tuple[Change, ...]:
        wanted = _sorted(self._with_extras(specs))
        unmanaged = [spec for spec in wanted if not spec.managed]
        if unmanaged:
            self._check_existing(unmanaged, budget.left_s)
        managed = [spec for spec in wanted if spec.managed]
        if not managed:
            return ()
        with translated(self._core.adapter):
            return tuple(self._core.adapter.plan(managed, timeout_s=budget.left_s))

    def _with_extras(self, specs: Sequence[Spec]) -> list[Spec]:
        """Return *specs*, and what their bindings need beside them, each once."""
        wanted = list(dict.fromkeys(map(self._placed, specs)))
        named = {_title(spec) for spec in wanted}
        for spec in specs:
            for extra in self._core.bind(spec).extra_specs:
                if _title(extra) not in named:
                    named.add(_title(extra))
                    wanted.append(self._placed(replace(extra, managed=spec.managed)))
        return wanted

    def _placed(self, spec: Spec) -> Spec:
        """Return *spec* with the profile that it was resolved to."""
        return replace(spec, profile=self._core.bind(spec).profile.name)

    def _inspect(self, specs: Sequence[Spec], timeout_s: float) -> tuple[Spec, ...]:
        with translated(self._core.adapter):
            return tuple(self._core.adapter.inspect(specs, timeout_s=timeout_s))

    def _check_existing(self, specs: Sequence[Spec], timeout_s: float) -> None:
        found = {(_receives(spec), spec.name) for spec in self._inspect(specs, timeout_s)}
        missing = [_title(each) for each in specs if (_receives(each), each.name) not in found]
        if missing:
            raise NotFoundError(
                f"{', '.join(missing)}: not there, and managed=False; declare it with the tool that"
                " owns it, or let unibus manage it"
            )


def _refuse(changes: Iterable[Change], *, allow_danger: bool) -> None:
    refused = [change.text for change in changes if change.kind == "refuse"]
    if refused:
        raise TopologyConflictError(
            f"{'; '.join(refused)}: agree on one declaration, or delete what is there"
        )
    dangers = [change.text for change in changes if change.kind == "danger"]
    if dangers and not allow_danger:
        raise TopologyConflictError(
            f"{'; '.join(dangers)}: this loses something; apply(allow_danger=True) does it"
        )


def _sorted(specs: Iterable[Spec]) -> list[Spec]:
    """Return *specs* with what is published to before what is subscribed."""
    return sorted(specs, key=lambda spec: isinstance(spec, Subscription))


def _receives(spec: Spec) -> bool:
    """Return whether it is a subscription; of a queue that is the half that says it all."""
    return not isinstance(spec, Topic)


def _title(spec: Spec) -> str:
    return f"{type(spec).__name__} {spec.name!r}"
