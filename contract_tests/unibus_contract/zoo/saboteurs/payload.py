"""Adapters and cores that do not leave a body alone."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import replace
from typing import cast

from typing_extensions import override

from unibus import Producer, Receipt
from unibus.errors import MessageTooLargeError
from unibus.spi import Binding, Outgoing, Source, none
from unibus_contract.wrap import AdapterWrap, SourceWrap
from unibus_contract.zoo.facade import BusWithBindings, BusWithProducers, ProducerFacade
from unibus_contract.zoo.saboteur import saboteur

_MIB = 1 << 20
_ENVELOPE = 512
_NO_WORD = 8


class _Rewriting(SourceWrap):
    def __init__(self, inner: Source, rewrite: Callable[[bytes], bytes]) -> None:
        super().__init__(inner)
        self._rewrite = rewrite

    @override
    def pull(self) -> Outgoing | None:
        batch = super().pull()
        if batch is not None:
            batch.bodies = [body and self._rewrite(body) for body in batch.bodies]
        return batch


@saboteur("A body that is JSON is written anew.", "PAY-01", "PAY-02")
class WritesJsonAnew(AdapterWrap):
    """As clients do that take it upon them to serialise."""

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        return _Rewriting(source, _written_anew)


def _written_anew(body: bytes) -> bytes:
    try:
        return json.dumps(json.loads(body)).encode()
    except ValueError:
        return body


@saboteur("A body that looks like base64 is decoded.", "PAY-02")
class DecodesBase64(AdapterWrap):
    """As adapters do that have to encode and put no mark on it."""

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        return _Rewriting(source, _decoded)


def _decoded(body: bytes) -> bytes:
    try:
        return base64.b64decode(body, validate=True) if len(body) >= _NO_WORD else body
    except binascii.Error:
        return body


@saboteur("A body is cut off after one mebibyte.", "PAY-08")
class CutsOffAfterAMebibyte(AdapterWrap):
    """As brokers do whose limit truncates."""

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        return _Rewriting(source, lambda body: body[:_MIB])


class _Nullifying(SourceWrap):
    @override
    def pull(self) -> Outgoing | None:
        batch = super().pull()
        if batch is not None:
            batch.bodies = [b"" if body is None else body for body in batch.bodies]
        return batch


@saboteur("No body becomes an empty one.", "PAY-51")
class KnowsNoTombstones(AdapterWrap):
    """As clients do that ask ``if body``."""

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        return _Nullifying(source)


class _Helpful(ProducerFacade):
    @override
    def publish(self, *arguments: object, **fields: object) -> Receipt:
        body, *rest = arguments
        if isinstance(body, str):
            body = body.encode()
        return super().publish(body, *rest, **fields)


@saboteur("Text is encoded without being asked.", "PAY-04")
class EncodesText(BusWithProducers):
    """In an encoding that the reader has to guess."""

    facade = _Helpful


class _Fussy(ProducerFacade):
    @override
    def publish(self, *arguments: object, **fields: object) -> Receipt:
        limit = cast("Producer", self.inner).capabilities.max_body_bytes.value
        body = arguments[0]
        if isinstance(body, bytes) and limit is not None and len(body) > limit - _ENVELOPE:
            raise MessageTooLargeError(f"{self.inner.topic}: {len(body)} bytes, {limit} are taken")
        return super().publish(*arguments, **fields)


@saboteur(
    "The adapter's own envelope is taken off the size that is declared.",
    "PAY-50",
    profile="rabbitmq",
)
class CountsItsEnvelope(BusWithProducers):
    """So that nobody knows how much a body may have."""

    facade = _Fussy


@saboteur("The declared size of a body is not looked at.", "ERR-02", "PAY-06", profile="rabbitmq")
class LeavesTheSizeToTheBroker(BusWithBindings):
    """Which closes the connection."""

    @override
    def rebind(self, binding: Binding) -> Binding:
        boundless = replace(binding.capabilities, max_body_bytes=none(None))
        return replace(binding, capabilities=boundless)
