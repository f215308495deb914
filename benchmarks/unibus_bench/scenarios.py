"""What is compared with what, and the ratio that is aimed at."""

from __future__ import annotations

from unibus_bench import memory, rabbitmq_raw, rabbitmq_unibus
from unibus_bench.measure import Contestant, Goal, Scenario


def memory_scenarios(count: int) -> list[Scenario]:
    """Return what runs in this process alone."""
    return [
        Scenario(
            name="memory: publish, handle, ack each",
            contestants=[memory.Kombu(), memory.Unibus(), memory.UnibusLoaded()],
            count=count,
            goals=[
                Goal(contestant=memory.Unibus.name, base=memory.Kombu.name, floor=20),
                Goal(
                    contestant=memory.UnibusLoaded.name,
                    base=memory.Unibus.name,
                    floor=1 / 1.10,
                ),
            ],
        )
    ]


def rabbitmq_scenarios(url: str, queue: str, count: int) -> list[Scenario]:
    """Return what runs against the RabbitMQ at *url*, all of it on *queue*."""
    quickest = rabbitmq_raw.PublishQuickest
    tutorial = rabbitmq_raw.PublishTutorial
    publish: list[Contestant] = [
        each(url, queue)
        for each in (tutorial, quickest, rabbitmq_unibus.Publish, rabbitmq_unibus.PublishMany)
    ]
    consume: list[Contestant] = [
        each(url, queue)
        for each in (
            rabbitmq_raw.ConsumeTutorial,
            rabbitmq_raw.ConsumeQuickest,
            rabbitmq_unibus.Consume,
        )
    ]
    aio: list[Contestant] = [
        each(url, queue) for each in (rabbitmq_raw.PublishAioPika, rabbitmq_unibus.AioPublishMany)
    ]
    return [
        Scenario(
            name="rabbitmq: publish, confirmed",
            contestants=publish,
            count=count,
            goals=[
                _goal(rabbitmq_unibus.Publish, quickest, 1.2),
                _goal(rabbitmq_unibus.Publish, tutorial, 10),
            ],
        ),
        Scenario(
            name="rabbitmq: handle, ack each",
            contestants=consume,
            count=count,
            goals=[_goal(rabbitmq_unibus.Consume, rabbitmq_raw.ConsumeQuickest, 1.0)],
        ),
        Scenario(
            name="rabbitmq: asyncio bulk publish",
            contestants=aio,
            count=count,
            goals=[_goal(rabbitmq_unibus.AioPublishMany, rabbitmq_raw.PublishAioPika, 5)],
        ),
    ]


def _goal(contestant: type[Contestant], base: type[Contestant], floor: float) -> Goal:
    return Goal(contestant=contestant.name, base=base.name, floor=floor)
