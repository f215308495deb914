"""The ladder: gets a broker in the best way that is open here.

Best first: one that the environment names, one in Docker, one installed on this machine.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from unibus.errors import ConfigurationError, UnavailableError
from unibus_contract.brokers.broker import START_TIMEOUT_S, Broker
from unibus_contract.brokers.progress import Progress, to_stderr
from unibus_contract.brokers.rabbitmq import RabbitMQ
from unibus_contract.brokers.rung import Kind, Rung
from unibus_contract.brokers.state import State, claim, load, load_all, release
from unibus_contract.brokers.waiting import wait_until

KINDS: Final[Mapping[str, Kind]] = {"rabbitmq": RabbitMQ()}
"""A new broker goes here, with a package beside ``rabbitmq``."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,60}")


@contextmanager
def up(
    kind: str, version: str | None = None, *, progress: Progress = to_stderr
) -> Iterator[Broker]:
    """Provide a broker for the block alone; nothing of it is left afterwards.

    One that the environment names is handed out as it is and left running. When the process is
    killed within the block, the next use of the ladder on this machine cleans up after it.

    Raises:
        ConfigurationError: No way is open here; each one's reason and remedy is said.
        UnavailableError: It was started and did not come up.
    """
    chosen = _kind(kind)
    sweep(progress)
    broker = _given(chosen, version, progress)
    if broker is not None:
        yield broker
        return
    wanted = version or chosen.default_version
    name = f"{kind}-{wanted}-{secrets.token_hex(3)}"
    broker = _start_claimed(chosen, _claim_fresh(kind, name), wanted, progress)
    try:
        yield broker
    finally:
        broker.destroy()


def start(
    kind: str,
    version: str | None = None,
    *,
    name: str | None = None,
    progress: Progress = to_stderr,
) -> Broker:
    """Return the broker called *name*, which stays until it is stopped; start it unless it runs.

    Without a *name* it is called by kind and version, such as ``rabbitmq-4.3``.

    Raises:
        ConfigurationError: No way is open here, or the name cannot be one.
        UnavailableError: It was started and did not come up.
    """
    chosen = _kind(kind)
    sweep(progress)
    broker = _given(chosen, version, progress)
    if broker is not None:
        return broker
    wanted = version or chosen.default_version
    state = _claim_or_running(kind, _checked(name or f"{kind}-{wanted}"), progress)
    if isinstance(state, Broker):
        return state
    broker = _start_claimed(chosen, state, wanted, progress)
    written = load(state.name)
    if written is not None:
        replace(written, starter=None).save()
    return _attach(state.name) or broker


def stop(name: str, *, progress: Progress = to_stderr) -> bool:
    """End the broker called *name* and delete its data; return False when there is none."""
    state = load(_checked(name))
    if state is None:
        return False
    progress(f"{name}: ending it and deleting its data")
    _destroy(state)
    return True


def stop_all(*, progress: Progress = to_stderr) -> int:
    """End every broker that stands for everybody; return how many.

    Those that a running program has for itself alone (``up``) stay.
    """
    sweep(progress)
    names = [state.name for state in load_all() if state.starter is None]
    return sum(stop(name, progress=progress) for name in names)


def status() -> list[Broker]:
    """Return every broker that has come up and was not taken down, dead ones included."""
    return [_rung_of(state).attach(state) for state in load_all() if state.is_ready]


def find(url: str) -> Broker | None:
    """Return the broker of the ladder that listens where *url* points; None when none does."""
    wanted = urlsplit(url)
    for broker in status():
        have = urlsplit(broker.url)
        if (have.hostname, have.port) == (wanted.hostname, wanted.port):
            return broker
    return None


def sweep(progress: Progress = to_stderr) -> None:
    """End what was left behind by processes that died before they could clean up."""
    for state in load_all():
        if state.is_abandoned:
            progress(f"{state.name}: whoever started it is gone; cleaning up")
            try:
                _destroy(state)
            except UnavailableError as error:
                progress(f"{state.name}: left as it is for now: {error}")


def _kind(name: str) -> Kind:
    if name not in KINDS:
        raise ConfigurationError(f"there is no broker {name!r}; known are: {', '.join(KINDS)}")
    return KINDS[name]


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} cannot name a broker; use up to 61 of a-z 0-9 . _ -, a letter or digit first"
        )
    return name


def _given(kind: Kind, version: str | None, progress: Progress) -> Broker | None:
    given = kind.given(version)
    if isinstance(given, str):
        return None
    progress(f"using {kind.name} {given.version} at {given.shown_url}, from the environment")
    return given


def _claim_fresh(kind: str, name: str) -> State:
    state = claim(kind, name)
    if state is None:
        raise UnavailableError(f"another process has just taken the name {name}; try again")
    return state


def _claim_or_running(kind: str, name: str, progress: Progress) -> State | Broker:
    """Return a folder of our own called *name*, or the broker that runs under that name."""
    if (written := load(name)) is not None:
        if written.kind != kind:
            raise ConfigurationError(f"{name} is a {written.kind} broker; choose another name")
        if not written.is_ready:
            progress(f"{name}: another process is starting it; waiting")
            wait_until(lambda: _is_decided(name), START_TIMEOUT_S)
        running = _attach(name)
        if running is not None and running.is_running:
            progress(f"{name}: already running")
            return running
        if (stale := load(name)) is not None:
            progress(f"{name}: its process is gone; starting afresh")
            _destroy(stale)
    return _claim_fresh(kind, name)


def _is_decided(name: str) -> bool:
    state = load(name)
    return state is None or state.is_ready or state.is_abandoned


def _start_claimed(kind: Kind, state: State, version: str, progress: Progress) -> Broker:
    """Start a broker in the claimed folder; leave nothing of it when that fails."""
    try:
        rung = _first_open(kind, version, progress)
        progress(f"{state.name}: starting {kind.name} {version} ({rung.name})")
        broker = rung.start(replace(state, rung=rung.name).save(), version, progress)
    except BaseException:
        _destroy(load(state.name) or state)
        raise
    progress(f"{state.name}: {kind.name} {broker.version} answers at {broker.shown_url}")
    return broker


def _first_open(kind: Kind, version: str, progress: Progress) -> Rung:
    given = kind.given(version)
    reasons = [f"environment: {given}"]
    for rung in kind.rungs:
        reason = rung.prepare(version, progress)
        if reason is None:
            return rung
        reasons.append(f"{rung.name}: {reason}")
    listed = "".join(f"\n  - {reason}" for reason in reasons)
    raise ConfigurationError(f"{kind.name} {version} cannot be started here:{listed}")


def _attach(name: str) -> Broker | None:
    state = load(name)
    return _rung_of(state).attach(state) if state is not None and state.is_ready else None


def _rung_of(state: State) -> Rung:
    for rung in _kind(state.kind).rungs:
        if rung.name == state.rung:
            return rung
    raise ConfigurationError(
        f"{state.name} stands on the rung {state.rung!r}, which this version of unibus has not"
    )


def _destroy(state: State) -> None:
    if state.rung:
        _rung_of(state).attach(state).destroy()
    release(state)
