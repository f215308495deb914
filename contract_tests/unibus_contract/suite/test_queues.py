"""Point to point: queues, and what waits in them and in subscriptions."""

from __future__ import annotations

from unibus.capabilities import Backlog
from unibus.specs import Queue, Subscription
from unibus_contract.checkers import duplicate, exclusivity, fidelity, loss, phantom
from unibus_contract.judgement import require, require_equal
from unibus_contract.registry import clause
from unibus_contract.workbench import Bench


@clause("QUE-01")
def test_a_queue_gives_each_message_to_one_consumer(bench: Bench) -> None:
    queue = bench.queue()
    with bench.crew(queue, 2, max_unsettled=5) as crew:
        producer = bench.producer(queue)
        producer.send(10)
        producer.send_batch([{}] * 20)
        reached = crew.drain(bench.end_of(queue.name))

    bench.judge(queue, loss, phantom, duplicate, exclusivity, fidelity)
    assert reached


@clause("QUE-02")
def test_a_routing_key_leads_to_no_other_queue(bench: Bench) -> None:
    one, other = bench.queue(), bench.queue()
    producer = bench.producer(one)
    for routing_key in (other.name, one.name, "a.b", ""):
        producer.send(2, routing_key=routing_key)
    bench.producer(other).send(2)
    reached = [bench.drain(bench.consumer(each)) for each in (one, other)]

    for each in (one, other):
        bench.judge(each, loss, phantom, duplicate, exclusivity, fidelity)
    assert all(reached)


@clause("QUE-03")
def test_what_waits_in_a_queue_goes_with_it_and_not_before(bench: Bench) -> None:
    queue = bench.queue()
    producer = bench.producer(queue)
    producer.send(5)
    producer.close()
    bench.bus().topology.apply(queue)
    consumer = bench.consumer(queue)
    reached = bench.drain(consumer)
    consumer.close()
    bench.judge(queue, loss, duplicate, exclusivity)
    assert reached

    bench.producer(queue).send(5)
    bench.main.topology.delete(queue)
    bench.declare(queue)
    is_empty = bench.consumer(queue).is_quiet()

    require(is_empty, "a queue that was deleted has come back with what waited in it")


@clause("TOP-06")
def test_purge_removes_what_waits_and_nothing_else(bench: Bench) -> None:
    subscription = bench.subscription()
    producer = bench.producer(subscription.topic)
    held_back = bench.consumer(subscription, max_unsettled=3)
    sent = [each.message for each in producer.send(3)]
    held = held_back.take(3)
    gone = {each.message for each in producer.send(20)}
    bench.main.purge(subscription)
    for each in held:
        each.ack()
    held_back.settled()
    producer.send(3)
    came = held_back.take(3)
    for each in came:
        each.ack()
    is_all = held_back.is_quiet()

    require_equal(sorted(sent), sorted(each.message for each in held), "what was held before")
    found = gone & {each.message for each in came}
    require(not found, f"{found} waited when the subscription was purged")
    require(len(came) == 3, "what came after the purge is not delivered")
    require(is_all, "more came than was published after the purge")


@clause("TOP-07")
def test_backlog_is_what_waits(bench: Bench) -> None:
    is_exact = bench.capabilities.backlog.value is Backlog.EXACT
    specs: list[Subscription | Queue] = [bench.subscription()]
    if bench.capabilities.ordering:
        specs.append(bench.subscription(ordering="key"))
    for spec in specs:
        producer = bench.producer(spec.topic)
        for number in range(12):
            producer.publish(key=f"k{number}")
        producer.confirm()
        _require_backlog(bench, spec, 12, "after twelve publishes")
        consumer = bench.consumer(spec, max_unsettled=4)
        if is_exact and spec.topic.ordering == "none":
            held = consumer.take(4)
            _require_backlog(bench, spec, 8, "while four of twelve are held")
            for each in held:
                each.ack()
        reached = bench.drain(consumer)
        consumer.close()
        _require_backlog(bench, spec, 0, "after all was settled")
        bench.judge(spec, loss)
        assert reached


def _require_backlog(bench: Bench, spec: Subscription | Queue, expected: int, when: str) -> None:
    told: list[int] = []

    def look() -> bool:
        told.append(bench.main.backlog(spec))
        return told[-1] == expected

    bench.eventually(look)
    require_equal(expected, told[-1], f"the backlog {when}")
