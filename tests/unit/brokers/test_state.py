from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from unibus.errors import ConfigurationError
from unibus_contract.brokers.home import brokers_folder, home
from unibus_contract.brokers.processes import Process
from unibus_contract.brokers.state import (
    State,
    claim,
    from_text,
    load,
    load_all,
    release,
    to_text,
)

DEAD = Process(pid=2**22 + 1, started=1)  # above the largest pid, proc(5) pid_max


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIBUS_HOME", str(tmp_path))


def a_state() -> State:
    return State(
        kind="rabbitmq",
        folder=brokers_folder() / "one",
        rung="native",
        starter=Process(1, 2),
        version="4.3.6",
        url="amqp://guest:guest@127.0.0.1:1",
        ports={"amqp": 1},
        processes={"broker": Process(3, 4)},
        details={"tree": "/trees/forky"},
    )


def test_a_state_comes_back_as_it_was_written() -> None:
    assert from_text(to_text(a_state()), brokers_folder() / "one") == a_state()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 0}', '{"format": 1, "kind": "x"}'])
def test_a_text_that_is_no_state_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"broker\.json"):
        from_text(text, brokers_folder())


def test_a_file_that_cannot_be_read_is_named() -> None:
    folder = brokers_folder() / "torn"
    folder.mkdir(parents=True)
    (folder / "broker.json").write_text("{")

    with pytest.raises(ConfigurationError, match=str(folder)):
        load("torn")


def test_a_name_is_claimed_once() -> None:
    assert claim("rabbitmq", "one") is not None
    assert claim("rabbitmq", "one") is None
    assert [path.name for path in brokers_folder().iterdir()] == ["one"]


def test_a_claimed_name_can_be_claimed_again_after_its_release() -> None:
    state = claim("rabbitmq", "one")
    assert state is not None

    release(state)
    release(state)

    assert list(load_all()) == []
    assert claim("rabbitmq", "one") is not None


def test_a_claim_shows_who_is_starting_it_and_is_not_ready() -> None:
    claim("rabbitmq", "one")
    state = load("one")

    assert state is not None
    assert state.starter == Process.this()
    assert not state.is_ready
    assert not state.is_abandoned


def test_a_state_whose_starter_died_is_abandoned() -> None:
    state = replace(a_state(), starter=DEAD)

    assert state.is_abandoned
    assert not replace(state, starter=None).is_abandoned


def test_what_is_saved_is_what_another_process_reads() -> None:
    state = claim("rabbitmq", "one")
    assert state is not None

    saved = replace(state, url="amqp://x").save()

    assert load("one") == saved
    assert list(load_all()) == [saved]


def test_home_is_unibus_home_then_xdg_then_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/users/a")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    monkeypatch.setenv("UNIBUS_HOME", "/own")
    assert home() == Path("/own")

    monkeypatch.delenv("UNIBUS_HOME")
    assert home() == Path("/xdg/unibus")

    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert home() == Path("/users/a/.cache/unibus")
