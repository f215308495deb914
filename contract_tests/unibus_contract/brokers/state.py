"""What is written down about a broker that was started, so that another process finds it."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from unibus.errors import ConfigurationError
from unibus_contract.brokers.home import brokers_folder
from unibus_contract.brokers.processes import Process

_FILE: Final = "broker.json"
_FORMAT: Final = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """One broker, as far as it has come up.

    Attributes:
        kind: Such as ``rabbitmq``.
        folder: Where its files are, this state among them; not written down.
        rung: The rung of the ladder it stands on.
        starter: Who is starting it, or who uses it alone; None once it stands for everybody.
        version: What the broker itself says; empty before it has answered.
        url: Where programs connect; empty before it has answered.
        management_url: Where its management interface is.
        ports: By purpose.
        processes: By purpose; written as soon as each is started.
        details: What only the rung understands.
    """

    kind: str
    folder: Path
    rung: str = ""
    starter: Process | None = None
    version: str = ""
    url: str = ""
    management_url: str = ""
    ports: Mapping[str, int]
    processes: Mapping[str, Process]
    details: Mapping[str, str]

    @property
    def name(self) -> str:
        """What it is called, which is the name of its folder."""
        return self.folder.name

    @property
    def is_ready(self) -> bool:
        """Whether it had come up completely when this was written."""
        return bool(self.url)

    @property
    def is_abandoned(self) -> bool:
        """Whether whoever was starting it, or used it alone, is gone."""
        return self.starter is not None and not self.starter.is_alive

    def save(self) -> State:
        """Write it, whole or not at all, and return it."""
        temporary = self.folder / f"{_FILE}.new"
        temporary.write_text(to_text(self), encoding="utf-8")
        temporary.replace(self.folder / _FILE)
        return self


def to_text(state: State) -> str:
    """Return *state* as a file's text."""
    values = asdict(state)
    del values["folder"]
    return json.dumps({"format": _FORMAT, **values}, indent=2)


def from_text(text: str, folder: Path) -> State:
    """Return the state that ``to_text`` wrote into a file of *folder*.

    Raises:
        ConfigurationError: It is not such a text, or of a version of unibus that writes others.
    """
    try:
        values = json.loads(text)
        if values.pop("format") != _FORMAT:
            raise ConfigurationError(f"{_FILE} has another format than {_FORMAT}")
        starter = values.pop("starter")
        processes = values.pop("processes")
        return State(
            **values,
            folder=folder,
            starter=None if starter is None else Process(**starter),
            processes={purpose: Process(**process) for purpose, process in processes.items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"{_FILE} cannot be read: {error}") from error


def claim(kind: str, name: str) -> State | None:
    """Take *name* for a broker that this process is going to start; None when it is taken.

    A folder that is complete before it gets its name is what makes it one step: whoever looks
    sees no broker, or one with a starter.
    """
    folder = brokers_folder() / name
    state = State(
        kind=kind, folder=folder, starter=Process.this(), ports={}, processes={}, details={}
    )
    prepared = folder.with_name(f".new-{secrets.token_hex(4)}")
    prepared.mkdir(mode=0o700, parents=True)
    (prepared / _FILE).write_text(to_text(state), encoding="utf-8")
    try:
        # POSIX rename(2) replaces an empty folder only.
        prepared.rename(folder)
    except OSError:
        shutil.rmtree(prepared)
        return None
    return state


def release(state: State) -> None:
    """Delete the folder of a broker whose processes are gone; safe to call twice."""
    gone = state.folder.with_name(f".gone-{secrets.token_hex(4)}")
    try:
        state.folder.rename(gone)
    except FileNotFoundError:
        return
    shutil.rmtree(gone)


def load(name: str) -> State | None:
    """Return what is written about *name*; None when there is nothing."""
    folder = brokers_folder() / name
    try:
        text = (folder / _FILE).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return from_text(text, folder)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{error}; end what runs from {folder}, then delete that folder"
        ) from error


def load_all() -> Iterator[State]:
    """Yield what is written about each broker, by name."""
    try:
        names = sorted(folder.name for folder in brokers_folder().iterdir())
    except FileNotFoundError:
        return
    for name in names:
        if not name.startswith(".") and (state := load(name)) is not None:
            yield state
