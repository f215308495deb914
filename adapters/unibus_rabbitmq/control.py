"""What the control plane asks of the broker, over a connection of its own that may block.

A failed declaration closes the channel it was made on, so none of this ever happens on a channel
that carries messages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import Enum
from typing import NamedTuple, Protocol, TypeVar

import pika.exceptions

from unibus_rabbitmq import errors
from unibus_rabbitmq.objects import ALTERNATE, Binding, Exchange, Queue

T = TypeVar("T")

_FORBIDDEN, _LOCKED, _CONFLICT = 403, 405, 406
_ARGUMENT = re.compile(r"inequivalent arg '(?P<argument>[^']+)'")
_VALUES = re.compile(r"received (?P<asked>.*?) but current is (?P<found>.*)", re.DOTALL)
_CUT = "..."
_QUOTED = re.compile(r"(?:the value )?'(?P<value>.*?)'(?: of type '\w+')?", re.DOTALL)


class DeclareOk(Protocol):
    """What the broker answers to a declaration of a queue."""

    message_count: int


class Frame(Protocol):
    """An answer, as pika wraps it."""

    @property
    def method(self) -> DeclareOk:
        """The answer itself."""


class Channel(Protocol):
    """A channel whose calls wait for the answer; named as pika's."""

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""

    def exchange_declare(
        self,
        exchange: str,
        exchange_type: str = ...,
        *,
        passive: bool = ...,
        durable: bool = ...,
        auto_delete: bool = ...,
        internal: bool = ...,
        arguments: Mapping[str, object] | None = ...,
    ) -> object:
        """Declare an exchange, or see whether it is there."""

    def queue_declare(
        self,
        queue: str,
        *,
        passive: bool = ...,
        durable: bool = ...,
        arguments: Mapping[str, object] | None = ...,
    ) -> Frame:
        """Declare a queue, or see whether it is there."""

    def exchange_bind(
        self, destination: str, source: str, routing_key: str, arguments: Mapping[str, object]
    ) -> object:
        """Bind an exchange to another."""

    def exchange_unbind(
        self, destination: str, source: str, routing_key: str, arguments: Mapping[str, object]
    ) -> object:
        """Undo that."""

    def queue_bind(
        self, queue: str, exchange: str, routing_key: str, arguments: Mapping[str, object]
    ) -> object:
        """Bind a queue to an exchange."""

    def queue_unbind(
        self, queue: str, exchange: str, routing_key: str, arguments: Mapping[str, object]
    ) -> object:
        """Undo that."""

    def exchange_delete(self, exchange: str) -> object:
        """Delete an exchange; quiet if it is not there."""

    def queue_delete(self, queue: str) -> object:
        """Delete a queue and what is in it; quiet if it is not there."""

    def queue_purge(self, queue: str) -> object:
        """Empty a queue."""


class Connection(Protocol):
    """Opens such channels."""

    def channel(self) -> Channel:
        """Open a channel."""


class Presence(Enum):
    """Whether something is there, and as it was asked for."""

    MISSING = "missing"
    SAME = "same"
    DIFFERENT = "different"


class Finding(NamedTuple):
    """What the broker says about an exchange or queue.

    Attributes:
        presence: Whether it is there as asked.
        argument: What differs.
        asked: What was asked for, as the broker says it; ``None`` if it cut its answer off.
        found: What there is; likewise.
    """

    presence: Presence
    argument: str = ""
    asked: str | None = None
    found: str | None = None


class Control:
    """Asks one thing after another; opens another channel when one was closed by an answer."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._channel: Channel | None = None

    def do(self, ask: Callable[[Channel], T]) -> T:
        """Return what *ask* gives on an open channel.

        Raises:
            Exception: What pika raises.
        """
        if self._channel is None or not self._channel.is_open:
            self._channel = self._connection.channel()
        return ask(self._channel)

    def is_there(self, item: Exchange | Queue) -> bool:
        """Return whether there is something of the name and kind of *item*."""
        try:
            self.require(item)
        except pika.exceptions.ChannelClosedByBroker as error:
            if error.reply_code == _LOCKED:
                return True
            if errors.is_missing(error):
                return False
            raise
        return True

    def require(self, item: Exchange | Queue) -> None:
        """Fail unless there is something of the name and kind of *item*; needs no right to declare.

        Raises:
            ChannelClosedByBroker: 404.
        """
        if isinstance(item, Queue):
            self.do(lambda channel: channel.queue_declare(item.name, passive=True))
        else:
            self.do(lambda channel: channel.exchange_declare(item.name, passive=True))

    def compare(self, item: Exchange | Queue) -> Finding:
        """Return whether *item* is there as it is asked for.

        Only declaring it again can tell. A user without the right to declare cannot know.
        """
        if not self.is_there(item):
            return Finding(Presence.MISSING)
        try:
            self.declare(item)
        except pika.exceptions.ChannelClosedByBroker as error:
            if error.reply_code == _FORBIDDEN:
                return Finding(Presence.SAME)
            if error.reply_code in (_CONFLICT, _LOCKED):
                return _difference(error.reply_text)
            raise
        return Finding(Presence.SAME)

    def text_of(self, record: Exchange) -> str | None:
        """Return the alternate exchange of *record*, which is there; ``None`` if it cannot be read.

        Asking for none leaves most room in the answer, which has 255 bytes.
        """
        finding = self.compare(replace(record, arguments={}))
        return finding.found if finding.argument == ALTERNATE else None

    def declare(self, item: Exchange | Queue) -> None:
        """Declare *item*; twice is once.

        Raises:
            ChannelClosedByBroker: It is there and different (406), or it is not allowed (403).
        """
        self.do(lambda channel: _declare(channel, item))

    def bind(self, binding: Binding) -> None:
        """Make *binding*; twice is once."""
        self.do(lambda channel: _bind(channel, binding))

    def unbind(self, binding: Binding) -> None:
        """Undo *binding*; quiet if it is not there."""
        self.do(lambda channel: _unbind(channel, binding))

    def delete_exchange(self, name: str) -> None:
        """Delete an exchange; quiet if it is not there."""
        self.do(lambda channel: channel.exchange_delete(name))

    def delete_queue(self, name: str) -> None:
        """Delete a queue and what is in it; quiet if it is not there."""
        self.do(lambda channel: channel.queue_delete(name))

    def purge(self, queue: str) -> None:
        """Remove what waits in *queue*."""
        self.do(lambda channel: channel.queue_purge(queue))

    def count(self, queue: str) -> int:
        """Return how many messages wait in *queue*."""
        reply = self.do(lambda channel: channel.queue_declare(queue, passive=True))
        return reply.method.message_count


def _declare(channel: Channel, item: Exchange | Queue) -> None:
    if isinstance(item, Queue):
        channel.queue_declare(item.name, durable=True, arguments=item.arguments)
        return
    channel.exchange_declare(
        item.name,
        item.type,
        durable=True,
        auto_delete=item.auto_delete,
        internal=item.internal,
        arguments=item.arguments,
    )


def _bind(channel: Channel, binding: Binding) -> None:
    source, key, arguments = binding.source, binding.key, binding.arguments
    if binding.exchange is not None:
        channel.exchange_bind(binding.exchange, source, key, arguments)
    else:
        channel.queue_bind(binding.queue, source, key, arguments)


def _unbind(channel: Channel, binding: Binding) -> None:
    source, key, arguments = binding.source, binding.key, binding.arguments
    if binding.exchange is not None:
        channel.exchange_unbind(binding.exchange, source, key, arguments)
    else:
        channel.queue_unbind(binding.queue, source, key, arguments)


def _difference(text: str) -> Finding:
    """Return what a 406 says: the broker's words are all there is to tell what differs."""
    argument = match["argument"] if (match := _ARGUMENT.search(text)) else "setting"
    values = _VALUES.search(text)
    if values is None or text.endswith(_CUT):
        return Finding(Presence.DIFFERENT, argument)
    return Finding(Presence.DIFFERENT, argument, _value(values["asked"]), _value(values["found"]))


def _value(said: str) -> str:
    match = _QUOTED.fullmatch(said)
    return match["value"] if match else said
