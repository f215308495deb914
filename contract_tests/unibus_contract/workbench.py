"""What the proof of a clause is given: a broker under test and everything to write short tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Unpack

from unibus.specs import Queue, Subscription, Topic
from unibus_contract.agents import Agent, AgentProcess
from unibus_contract.checkers import Checker
from unibus_contract.consuming import Handler, RecordingConsumer, acked
from unibus_contract.crew import Crew
from unibus_contract.draining import Drain, drain
from unibus_contract.elsewhere import way_to
from unibus_contract.fields import ConsumerFields, ProducerFields
from unibus_contract.harness import BrokerUnderTest, Evidence
from unibus_contract.judgement import judge
from unibus_contract.premises import Premises, closed_quietly
from unibus_contract.publishing import RecordingProducer
from unibus_contract.running import Running
from unibus_contract.severed import SeverableAgent
from unibus_contract.timing import eventually

if TYPE_CHECKING:
    from unibus import Bus, Producer


class Bench(Premises):
    """One run of one clause on one profile; closed by the runner.

    It adds traffic and verdicts to its ``Premises``: everything published, delivered and settled
    through it is recorded.
    """

    def __init__(self, broker: BrokerUnderTest, profile_name: str, run: str, clause: str) -> None:
        super().__init__(broker, profile_name, run, clause)
        self._sentinels: dict[str, Producer] = {}

    # Traffic

    def producer(
        self,
        target: Topic | Queue,
        *,
        bus: Bus | None = None,
        **options: Unpack[ProducerFields],
    ) -> RecordingProducer:
        """Open a producer that writes down what it does."""
        raw = (bus or self.main).producer(target, **options)
        self.handles.callback(closed_quietly, raw)
        return RecordingProducer(self.recorder, raw, target.name, self.timing.patience_s)

    def consumer(
        self,
        source: Subscription | Queue,
        *,
        bus: Bus | None = None,
        **options: Unpack[ConsumerFields],
    ) -> RecordingConsumer:
        """Open a consumer that writes down what it gets and does."""
        raw = (bus or self.main).consumer(source, **options)
        self.handles.callback(closed_quietly, raw)
        return RecordingConsumer(self.recorder, raw, self.recorder.scope(source.name), self.timing)

    def agent(
        self,
        source: Subscription,
        *,
        ack: int = 0,
        die: str | None = None,
        **options: Unpack[ConsumerFields],
    ) -> Agent:
        """Start a consumer that can be killed: a process, or as good as for an in-process broker.

        Args:
            source: What it reads.
            ack: How many deliveries it acks by itself; the others it holds.
            die: What in a body kills it; a real process only.
            **options: Of its consumer.
        """
        if self.broker.evidence is Evidence.IN_PROCESS:
            severable = SeverableAgent(
                self.recorder, self.timing, self.broker, self.url, source, ack=ack, **options
            )
            self.handles.callback(severable.close)
            return severable
        way = way_to(self.broker, self.url)
        order = {**way, "ack": ack, "die": die, "options": options}
        scope = self.recorder.scope(source.name)
        process = AgentProcess(self.recorder, scope, self.timing, source, order)
        self.handles.callback(process.close)
        process.wait_ready()
        return process

    def letters(self, subscription: Subscription) -> RecordingConsumer:
        """Open a consumer of the dead letter queue of *subscription*."""
        (queue,) = self.dead_letters(subscription)
        return self.consumer(queue)

    def crew(
        self,
        source: Subscription | Queue,
        members: int,
        *,
        handler: Handler = acked,
        **options: Unpack[ConsumerFields],
    ) -> Crew:
        """Return *members* consumers, each on a bus and a thread of its own, to be entered."""
        consumers = [self.consumer(source, bus=self.bus(), **options) for _ in range(members)]
        return Crew(self.recorder, consumers, handler)

    def running(
        self, consumer: RecordingConsumer, handler: Handler = lambda _: None, *, workers: int = 1
    ) -> Running:
        """Return ``Consumer.run`` on a thread of its own, to be entered."""
        return Running(consumer, handler, workers)

    def drain(
        self,
        *consumers: RecordingConsumer,
        handler: Handler = acked,
        quiet_s: float | None = None,
    ) -> bool:
        """Read one subscription to its end with its *consumers*; return whether it was reached.

        The end: all that was accepted is settled, and a sentinel published behind it has arrived.
        What ``handler`` leaves unsettled is never the end.
        """
        end = self.end_of(consumers[0].subscription)
        return drain(end, consumers, handler=handler, quiet_s=quiet_s)

    def end_of(self, subscription: str) -> Drain:
        """Return what knows when *subscription* has come to its end, for a crew's ``drain``."""
        return Drain(self.recorder, subscription, self.timing, self._sentinel_producer)

    # Verdict

    def judge(self, source: Subscription | Queue, *checkers: Checker) -> None:
        """Break the clause if one of *checkers* finds a counter-example in what was recorded.

        Raises:
            ViolationError: One does.
        """
        history, scope = self.recorder.history, self.recorder.scope(source.name)
        judge(*(checker(history, scope) for checker in checkers))

    def eventually(self, predicate: Callable[[], object], *, within_s: float | None = None) -> bool:
        """Return whether *predicate* becomes true; within the profile's patience by default."""
        limit_s = self.timing.patience_s if within_s is None else within_s
        return eventually(predicate, within_s=limit_s)

    def _sentinel_producer(self, topic: str) -> Producer:
        if topic not in self._sentinels:
            spec = next(each for each in self.declared if each.name == topic)
            target = spec.topic if isinstance(spec, Subscription) else spec
            producer = self._sentinels[topic] = self.main.producer(target)
            self.handles.callback(closed_quietly, producer)
        return self._sentinels[topic]
