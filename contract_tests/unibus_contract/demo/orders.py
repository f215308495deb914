"""An order service in one file; only the URL says which broker it runs on.

Try ``python orders.py memory://`` and ``python orders.py amqp://guest:guest@localhost:5672/``.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import defaultdict

import unibus

ORDERS = unibus.Topic("orders", ordering="key")
EMAIL = unibus.Subscription("orders.email", topic=ORDERS, filter=unibus.Pattern("*.created"))
STOCK = unibus.Subscription(
    "orders.stock", topic=ORDERS, max_attempts=2, dead_letter="orders.stock.dead"
)
AUDIT = unibus.Subscription("orders.audit", topic=ORDERS, mode="stream", start="earliest")

CUSTOMERS = ("ann", "bob", "cleo", "dan")
STEPS = ("created", "paid", "packed", "shipped", "delivered")
EVENTS = len(CUSTOMERS) * len(STEPS)
POISON = b"cleo:packed"
PATIENCE_S = 20.0


def publish(bus: unibus.Bus) -> None:
    """A customer's steps are published, and stay, in order; the customers' are interleaved."""
    with bus.producer(ORDERS) as producer:
        for step in STEPS:
            for customer in CUSTOMERS:
                body = f"{customer}:{step}".encode()
                producer.publish(body, key=customer, routing_key=f"order.{step}")
    print(f"publish     {EVENTS} events of {len(CUSTOMERS)} customers, each confirmed")


def send_mails(bus: unibus.Bus) -> None:
    """Fan-out: e-mail has a copy of its own, and only of what its filter matches."""
    with bus.consumer(EMAIL) as consumer:
        mails = receive(consumer, len(CUSTOMERS))
    print(f"fan-out     e-mail got its own copies: {', '.join(mails)}")


def move_stock(bus: unibus.Bus, expected: int, *, shelf_is_missing: bool) -> None:
    """Two workers share a subscription; a failing message is tried again, then set aside."""
    steps: dict[str, list[str]] = defaultdict(list)
    shares = [0, 0]
    handled = threading.Semaphore(0)

    def work(number: int, consumer: unibus.Consumer) -> None:
        for delivery in consumer:
            with delivery:  # acks; an exception is a nack, and the last nack a dead letter
                if shelf_is_missing and delivery.body == POISON:
                    raise LookupError("no such shelf")
                time.sleep(0.005)  # as moving a box would
                customer, step = (delivery.body or b"").decode().split(":")
                steps[customer].append(step)
                shares[number] += 1
                handled.release()

    def worker_of_two() -> unibus.Consumer:
        return bus.consumer(STOCK, max_unsettled=2, backoff=unibus.Backoff(initial_s=0))

    with worker_of_two() as one, worker_of_two() as two:
        workers = [threading.Thread(target=work, args=each) for each in enumerate((one, two))]
        for worker in workers:
            worker.start()
        arrived = [handled.acquire(timeout=PATIENCE_S) for _ in range(expected)]
    for worker in workers:
        worker.join()
    check(all(arrived), f"{sum(shares)} of {expected} steps arrived within {PATIENCE_S:g} s")
    for customer, done in steps.items():
        check(done == sorted(done, key=STEPS.index), f"{customer}'s steps came as {done}")
    print(f"workers     {expected} steps, {shares[0]} + {shares[1]}, each customer's in order")


def redrive(bus: unibus.Bus) -> None:
    """The poison message lies in the dead letter queue, says why, and can be sent back."""
    with bus.consumer(unibus.Queue("orders.stock.dead"), max_unsettled=1) as consumer:
        delivery = consumer.receive(1, timeout_s=PATIENCE_S)[0]
        letter = delivery.dead_letter
        delivery.release()
    check(letter is not None, "the dead letter does not say where it came from")
    if letter is not None:
        why = f"{letter.reason} ({letter.detail}) after {letter.attempts} attempts"
        print(f"dead letter {POISON.decode()}: {why}")
    sent = bus.redrive(STOCK)
    print(f"redrive     {sent.redriven} message back to {STOCK.name}")


def replay(bus: unibus.Bus) -> None:
    """An auditor reads everything a second time, where the broker keeps it."""
    try:
        with bus.consumer(AUDIT) as consumer:
            receive(consumer, EVENTS)
            consumer.seek("earliest")
            again = receive(consumer, EVENTS)
    except unibus.UnsupportedError as refusal:
        print(f"replay      refused: {refusal}")
    else:
        print(f"replay      {len(again)} events a second time, from {again[0]}")


def receive(consumer: unibus.Consumer, count: int) -> list[str]:
    """Receive and ack exactly *count* deliveries; return their bodies as text."""
    bodies: list[str] = []
    while len(bodies) < count:
        batch = consumer.receive(count - len(bodies), timeout_s=PATIENCE_S)
        check(bool(batch), f"{len(bodies)} of {count} messages arrived within {PATIENCE_S:g} s")
        bodies += [(body or b"").decode() for body in batch.bodies]
        batch.ack()
    return bodies


def check(holds: bool, otherwise: str) -> None:  # noqa: FBT001  # as an assertion reads
    """Stop the program with a sentence unless *holds*."""
    if not holds:
        raise SystemExit(otherwise)


def declare(bus: unibus.Bus) -> list[unibus.Spec]:
    """Declare what the program needs; a broker that keeps no log is asked for none."""
    specs: list[unibus.Spec] = [ORDERS, EMAIL, STOCK]
    bus.topology.apply(*specs)
    try:
        bus.topology.apply(AUDIT)
        specs.append(AUDIT)
    except unibus.UnsupportedError:
        print(f"topology    no {AUDIT.name}: this broker keeps no log")
    return specs


def main(url: str) -> None:
    """Run every step on the broker at *url*, and leave nothing there."""
    logging.getLogger("unibus").setLevel(logging.ERROR)  # the poison is no news here
    with unibus.connect(url) as bus:
        print(f"connect     {bus.identity.system} {bus.identity.version}")
        specs = declare(bus)
        publish(bus)
        send_mails(bus)
        move_stock(bus, EVENTS - 1, shelf_is_missing=True)
        redrive(bus)
        move_stock(bus, 1, shelf_is_missing=False)
        replay(bus)
        bus.topology.delete(*specs, unibus.Queue("orders.stock.dead"))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "memory://")
