from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from typing_extensions import override

from unibus.errors import ConfigurationError, UnavailableError
from unibus_contract.brokers import ladder
from unibus_contract.brokers.broker import Broker
from unibus_contract.brokers.home import brokers_folder
from unibus_contract.brokers.processes import Process
from unibus_contract.brokers.progress import Progress, silent
from unibus_contract.brokers.rabbitmq.environment import GivenBroker
from unibus_contract.brokers.recorded import RecordedBroker
from unibus_contract.brokers.rung import Kind, Rung
from unibus_contract.brokers.state import State, claim, load, release

DEAD = Process(pid=2**22 + 1, started=1)


class FakeBroker(RecordedBroker):
    rung = "fake"

    @property
    @override
    def is_running(self) -> bool:
        return "dead" not in self._state.details

    @override
    def kill(self) -> None:
        self._state = replace(self._state, details={"dead": "yes"}).save()

    @override
    def destroy(self) -> None:
        release(self._state)

    @override
    def pause(self) -> None: ...

    @override
    def resume(self) -> None: ...

    @override
    def stop(self, timeout_s: float = 0.0) -> None: ...

    @override
    def start(self, timeout_s: float = 0.0) -> None: ...

    @override
    def ctl(self, *arguments: str, timeout_s: float = 0.0) -> str:
        return ""

    @override
    def log(self, lines: int = 0) -> str:
        return ""


class FakeRung(Rung):
    def __init__(self, name: str, reason: str | None, failure: Exception | None = None) -> None:
        self._name = name
        self._reason = reason
        self._failure = failure

    @property
    @override
    def name(self) -> str:
        return self._name

    @override
    def prepare(self, version: str, progress: Progress) -> str | None:
        return self._reason

    @override
    def start(self, state: State, version: str, progress: Progress) -> Broker:
        if self._failure is not None:
            raise self._failure
        return FakeBroker(replace(state, version=version, url="fake://u:p@127.0.0.1:7").save())

    @override
    def attach(self, state: State) -> Broker:
        return FakeBroker(state)


class FakeKind(Kind):
    name = "fake"
    default_version = "9"

    def __init__(self, *rungs: Rung, given: Broker | None = None) -> None:
        self._rungs = rungs
        self._given = given

    @property
    @override
    def rungs(self) -> Sequence[Rung]:
        return self._rungs

    @override
    def given(self, version: str | None) -> Broker | str:
        return self._given or "FAKE_URL is not set"


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIBUS_HOME", str(tmp_path))


def use(monkeypatch: pytest.MonkeyPatch, kind: Kind) -> None:
    monkeypatch.setattr(ladder, "KINDS", {"fake": kind})


@pytest.fixture
def simple(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeKind(FakeRung("best", None), FakeRung("worst", None)))


def names() -> list[str]:
    return sorted(path.name for path in brokers_folder().iterdir())


def test_the_first_rung_that_is_open_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeKind(FakeRung("docker", "no daemon"), FakeRung("native", None)))

    with ladder.up("fake", progress=silent) as broker:
        state = load(broker.name)
        assert state is not None
        assert state.rung == "native"
        assert broker.version == "9"


def test_a_broker_of_the_environment_is_taken_before_any_rung(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    theirs = GivenBroker("amqp://h", "", "4.3.6")
    use(monkeypatch, FakeKind(FakeRung("native", None), given=theirs))

    with ladder.up("fake", progress=silent) as broker:
        assert broker is theirs
    assert ladder.start("fake", progress=silent) is theirs
    assert ladder.status() == []


def test_when_no_rung_is_open_every_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeKind(FakeRung("docker", "no daemon"), FakeRung("native", "not root")))

    with pytest.raises(ConfigurationError) as caught:
        ladder.start("fake", progress=silent)
    for reason in ("environment: FAKE_URL is not set", "docker: no daemon", "native: not root"):
        assert reason in str(caught.value)
    assert names() == []


def test_a_broker_that_does_not_come_up_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeKind(FakeRung("native", None, UnavailableError("its log ends: boom"))))

    with pytest.raises(UnavailableError, match="boom"), ladder.up("fake", progress=silent):
        pytest.fail("it was said to be up")
    assert names() == []


@pytest.mark.usefixtures("simple")
def test_two_blocks_side_by_side_have_a_broker_each_and_leave_nothing() -> None:
    with (
        ladder.up("fake", progress=silent) as one,
        ladder.up("fake", progress=silent) as other,
    ):
        assert names() == sorted([one.name, other.name])
    assert names() == []


@pytest.mark.usefixtures("simple")
def test_starting_what_runs_returns_it() -> None:
    first = ladder.start("fake", progress=silent)
    second = ladder.start("fake", progress=silent)

    assert first.name == second.name == "fake-9"
    assert [broker.name for broker in ladder.status()] == ["fake-9"]


@pytest.mark.usefixtures("simple")
def test_a_broker_whose_process_is_gone_is_started_afresh() -> None:
    ladder.start("fake", progress=silent).kill()
    assert not ladder.status()[0].is_running

    assert ladder.start("fake", progress=silent).is_running


@pytest.mark.usefixtures("simple")
def test_what_a_dead_process_was_starting_or_using_is_swept() -> None:
    ladder.start("fake", progress=silent)
    for name in ("half", "whole"):
        state = claim("fake", name)
        assert state is not None
        replace(state, starter=DEAD, url="" if name == "half" else "fake://h:1").save()

    ladder.sweep(silent)

    assert names() == ["fake-9"]


@pytest.mark.usefixtures("simple")
def test_stopping_all_spares_what_a_running_program_has_for_itself() -> None:
    ladder.start("fake", name="shared", progress=silent)
    with ladder.up("fake", progress=silent) as own:
        assert ladder.stop_all(progress=silent) == 1
        assert names() == [own.name]


@pytest.mark.usefixtures("simple")
def test_a_broker_is_found_by_where_its_url_points() -> None:
    started = ladder.start("fake", progress=silent)
    found = ladder.find("other://127.0.0.1:7/vhost?x=1")

    assert found is not None
    assert found.name == started.name
    assert ladder.find("fake://127.0.0.1:8") is None


@pytest.mark.usefixtures("simple")
@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "A"])
def test_a_name_that_could_leave_the_folder_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot name a broker"):
        ladder.stop(name, progress=silent)


@pytest.mark.usefixtures("simple")
def test_an_unknown_kind_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ConfigurationError, match="known are: fake"):
        ladder.start("kafka", progress=silent)
