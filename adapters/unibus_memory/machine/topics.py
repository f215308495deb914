"""Topics and the subscriptions that share in what is published to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from unibus.spi import (
    NotFoundError,
    Outgoing,
    Predicate,
    Subscription,
    Topic,
    compile_filter,
)
from unibus_memory.machine.chunks import Run, Tail
from unibus_memory.machine.grouped import GroupedSubscription
from unibus_memory.machine.shared import SharedSubscription


class TopicState:
    """One topic: its spec, where it grows, and who is subscribed."""

    __slots__ = ("spec", "subscriptions", "tail")

    def __init__(self, spec: Topic) -> None:
        self.spec = spec
        self.tail = Tail(spec.name)
        self.subscriptions: dict[str, SubscriptionState] = {}


class SubscriptionState:
    """One subscription: its spec, its filter, its messages."""

    __slots__ = ("_is_wanted", "direct", "messages", "spec")

    def __init__(self, spec: Subscription) -> None:
        self.spec = spec
        ordering = spec.topic.ordering
        self.messages: SharedSubscription | GroupedSubscription = (
            SharedSubscription()
            if ordering == "none"
            else GroupedSubscription(keeps_whole_order=ordering == "topic")
        )
        self.direct = Tail(f"{spec.name}/direct")
        self._is_wanted: Predicate | None = (
            compile_filter(spec.filter) if spec.filter is not None else None
        )

    def matching(self, run: Run) -> Sequence[int] | None:
        """Return what the filter lets pass, counted from 0 in *run*; ``None`` is all of it."""
        wanted = self._is_wanted
        if wanted is None:
            return None
        message, start = run.chunk.message, run.start
        return [index for index in range(run.length) if wanted(message(start + index))]


class Directory:
    """Every topic and subscription by name. Not thread-safe."""

    def __init__(self) -> None:
        self.topics: dict[str, TopicState] = {}
        self.subscriptions: dict[str, SubscriptionState] = {}

    def declare_topic(self, spec: Topic) -> None:
        """Make the topic exist; one that exists keeps its messages and takes the new spec."""
        state = self.topics.get(spec.name)
        if state is None:
            self.topics[spec.name] = TopicState(spec)
        else:
            state.spec = spec

    def declare_subscription(self, spec: Subscription) -> None:
        """Make the subscription exist, from now on; one that exists stays as it is.

        Raises:
            NotFoundError: Its topic does not exist.
        """
        topic = self.topic(spec.topic.name)
        if spec.name not in self.subscriptions:
            state = SubscriptionState(spec)
            self.subscriptions[spec.name] = topic.subscriptions[spec.name] = state

    def topic(self, name: str) -> TopicState:
        """Return a topic.

        Raises:
            NotFoundError: It does not exist.
        """
        if (state := self.topics.get(name)) is None:
            raise NotFoundError(
                f"topic {name!r} does not exist; declare it with bus.topology.apply(...)"
            )
        return state

    def subscription(self, name: str) -> SubscriptionState:
        """Return a subscription.

        Raises:
            NotFoundError: It does not exist.
        """
        if (state := self.subscriptions.get(name)) is None:
            raise NotFoundError(
                f"subscription {name!r} does not exist; declare it with bus.topology.apply(...)"
            )
        return state

    def delete_topic(self, name: str) -> None:
        """Remove a topic and its subscriptions; quiet if it does not exist."""
        topic = self.topics.pop(name, None)
        for each in topic.subscriptions if topic else ():
            self.subscriptions.pop(each, None)

    def delete_subscription(self, name: str) -> None:
        """Remove a subscription and what waits in it; quiet if it does not exist."""
        state = self.subscriptions.pop(name, None)
        if state is not None and (topic := self.topics.get(state.spec.topic.name)) is not None:
            topic.subscriptions.pop(name, None)

    def route(
        self, topic: str, batch: Outgoing, published_s: float
    ) -> Iterator[tuple[SubscriptionState, Run, Sequence[int] | None]]:
        """Number *batch* and yield who gets which of it; ``None`` is all of it."""
        state = self.topic(topic)
        run = state.tail.append(batch, published_s)
        for subscription in state.subscriptions.values():
            indexes = subscription.matching(run)
            if indexes is None or indexes:
                yield subscription, run, indexes

    def address(self, subscription: str, batch: Outgoing, published_s: float) -> Run:
        """Number *batch* for *subscription* alone."""
        return self.subscription(subscription).direct.append(batch, published_s)
