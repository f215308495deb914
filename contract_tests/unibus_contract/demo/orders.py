"""An order service in one file; only the URL says which broker it runs on.

python orders.py memory://
python orders.py amqp://guest:guest@localhost:5672/
"""

from __future__ import annotations

import threading
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
POISON = b"cleo:packed"


def publish(bus: unibus.Bus) -> None:
    """Publish every step of every customer's order; a customer's steps stay in order."""
    with bus.producer(ORDERS) as producer:
        for step in STEPS:
            for customer in CUSTOMERS:
                body = f"{customer}:{step}".encode()
                producer.publish(body, key=customer, routing_key=f"order.{step}")
    print(f"published  {len(STEPS) * len(CUSTOMERS)} events of {len(CUSTOMERS)} customers")


def send_mails(bus: unibus.Bus) -> None:
    """Fan-out: e-mail has a copy of its own, and only of what its filter matches."""
    with bus.consumer(EMAIL) as consumer:
        batch = receive_all(consumer, len(CUSTOMERS))
    print(f"e-mail     {len(batch)} mails, for order.created only")


def move_stock(bus: unibus.Bus, expected: int, *, broken: bool) -> dict[str, list[str]]:
    """Two workers share the subscription; each customer's steps are handled in order."""
    steps: dict[str, list[str]] = defaultdict(list)
    shares = [0, 0]
    handled = threading.Semaphore(0)

    def work(number: int, consumer: unibus.Consumer) -> None:
        for delivery in consumer:
            with delivery:
                if broken and delivery.body == POISON:
                    raise ValueError("no such shelf")
                customer, step = bytes(delivery.body or b"").decode().split(":")
                steps[customer].append(step)
                shares[number] += 1
                handled.release()

    with bus.consumer(STOCK, backoff=unibus.Backoff(0)) as one, bus.consumer(STOCK) as two:
        workers = [threading.Thread(target=work, args=each) for each in enumerate((one, two))]
        for worker in workers:
            worker.start()
        done = all(handled.acquire(timeout=20) for _ in range(expected))
    for worker in workers:
        worker.join()
    print(f"stock      {sum(shares)} steps by two workers, {shares[0]} + {shares[1]}")
    if not done:
        raise SystemExit(f"only {sum(shares)} of {expected} steps arrived within 20 s")
    return steps


def look_at_dead_letters(bus: unibus.Bus) -> None:
    """The poison message lies in the dead letter queue and says why."""
    with bus.consumer(unibus.Queue("orders.stock.dead"), max_unsettled=1) as consumer:
        (delivery,) = receive_all(consumer, 1)
        record = delivery.dead_letter
        delivery.release()
    if record is None:
        raise SystemExit("the dead letter says nothing about where it came from")
    print(
        f"dead       1 message: {record.reason} after {record.attempts} attempts: {record.detail}"
    )


def replay(bus: unibus.Bus) -> None:
    """An auditor reads everything from the start, if the broker keeps it; else it is refused."""
    try:
        with bus.consumer(AUDIT) as consumer:
            total = len(STEPS) * len(CUSTOMERS)
            receive_all(consumer, total)
            consumer.seek("earliest")
            again = receive_all(consumer, total)
    except unibus.UnsupportedError as refusal:
        print(f"replay     refused: {refusal}")
    else:
        print(f"replay     {len(again)} events read a second time")


def receive_all(consumer: unibus.Consumer, count: int) -> list[unibus.Delivery]:
    """Receive exactly *count* deliveries and ack all but a lone one."""
    got: list[unibus.Delivery] = []
    while len(got) < count:
        batch = consumer.receive(count - len(got), timeout_s=20)
        if not batch:
            raise SystemExit(f"only {len(got)} of {count} messages arrived within 20 s")
        got += batch
        if count > 1:
            batch.ack()
    return got
