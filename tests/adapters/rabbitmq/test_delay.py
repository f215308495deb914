from __future__ import annotations

import pytest

from unibus import spi
from unibus_rabbitmq import delay, names
from unibus_rabbitmq.objects import ALTERNATE, Binding, Exchange, Queue


def wait_of(delay_s: float) -> float:
    """Follow a message through the ladder as the broker does, and add up its waits."""
    way = delay.route(names.Address("", "email"), delay_s)
    exchanges = {each.name: each for each in delay.objects() if isinstance(each, Exchange)}
    queues = {each.name: each for each in delay.objects() if isinstance(each, Queue)}
    rules: dict[str, list[Binding]] = {}
    for binding in delay.bindings():
        rules.setdefault(binding.source, []).append(binding)
    waited_ms, at = 0, way.exchange
    while at != delay.DELIVER:
        matches = [
            rule.queue
            for rule in rules[at]
            if all(way.headers.get(k) == v for k, v in rule.arguments.items() if k != "x-match")
        ]
        if matches:
            (queue,) = matches
            arguments = queues[queue].arguments
            waited_ms += int(str(arguments["x-message-ttl"]))
            at = str(arguments["x-dead-letter-exchange"])
        else:
            at = str(exchanges[at].arguments[ALTERNATE])
    return waited_ms / 1000


@pytest.mark.parametrize(
    "delay_s", [0.001, 0.1, 0.1001, 0.25, 1.0, 59.99, 3600.0, 43_200.0, delay.MAX_S]
)
def test_a_message_waits_as_long_as_it_was_asked_and_not_much_longer(delay_s: float) -> None:
    waited_s = wait_of(delay_s)

    assert delay_s <= waited_s < delay_s + delay.RESOLUTION_MS / 1000 + 1e-6


def test_a_delay_beyond_the_ladder_is_refused() -> None:
    with pytest.raises(spi.MessageRejectedError, match="104857"):
        delay.route(names.Address("orders", None), delay.MAX_S + 0.1)


def test_everything_delivered_also_goes_where_it_is_forgotten_at_once() -> None:
    """Queues that keep a message until somebody has it would else be blocked by nobody's."""
    sinks = [
        each.queue
        for each in delay.bindings()
        if each.source == delay.DELIVER and dict(each.arguments) == {"x-match": "all"}
    ]
    queues = {each.name: each for each in delay.objects() if isinstance(each, Queue)}

    assert [queues[name].arguments["x-message-ttl"] for name in sinks] == [0]


def test_a_delay_to_what_is_not_managed_is_refused_not_lost() -> None:
    with pytest.raises(spi.UnsupportedError, match="not managed"):
        delay.route(names.Address("", "legacy", is_ours=False), 1.0)
