"""Connecting."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from typing_extensions import override

from unibus.errors import (
    ConfigurationError,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
    UnibusError,
)
from unibus_contract.judgement import require, require_raises
from unibus_contract.registry import clause
from unibus_contract.workbench import Bench

_SECRET: Final = "s3cr3t-of-nobody"  # noqa: S105  # nobody's
_SHORT_S: Final = 1.0


def _connect(
    bench: Bench,
    url: str,
    *,
    options: Mapping[str, object] | None = None,
    timeout_s: float = 10.0,
) -> None:
    bench.broker.connect(url, options=options, timeout_s=timeout_s).close()


def _with_query(url: str, **query: str) -> str:
    parts = urlsplit(url)
    merged = {**dict(parse_qsl(parts.query)), **query}
    return urlunsplit(parts._replace(query=urlencode(merged)))


def _with_secret(url: str) -> str:
    parts = urlsplit(url)
    address = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"guest:{_SECRET}@{address}"))


@clause("ERR-05")
def test_a_setting_that_there_is_not_is_refused(bench: Bench) -> None:
    url, bogus = bench.url, "bogus_setting"
    with require_raises(ConfigurationError, sentence="an unknown setting", saying=[bogus]):
        _connect(bench, url, options={bogus: 1})
    with require_raises(ConfigurationError, sentence="an unknown setting in a URL", saying=[bogus]):
        _connect(bench, _with_query(url, **{bogus: "1"}))
    says = ["profile", bench.profile_name]
    with require_raises(ConfigurationError, sentence="an unknown profile", saying=says):
        _connect(bench, _with_query(url, profile="bogus"))


@clause("ERR-11")
def test_an_unknown_scheme_is_refused(bench: Bench) -> None:
    scheme = urlsplit(bench.url).scheme
    for url in ("nosuch://host/", "", "host:5672", "://host"):
        says = [f"{scheme}://", *(["nosuch"] if "nosuch" in url else [])]
        with require_raises(ConfigurationError, sentence=f"connect({url!r})", saying=says):
            _connect(bench, url)


class _Said(logging.Handler):
    """Keeps what is logged while it is attached."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.lines += [record.getMessage(), repr(vars(record))]


@contextmanager
def _listening() -> Iterator[_Said]:
    said = _Said()
    log = logging.getLogger("unibus")
    level = log.level
    log.addHandler(said)
    log.setLevel(logging.DEBUG)
    try:
        yield said
    finally:
        log.setLevel(level)
        log.removeHandler(said)


def _told(error: BaseException | None) -> Iterator[str]:
    """Yield all that a traceback, a log or a debugger would show of *error*."""
    while error is not None:
        yield from (str(error), repr(error), repr(error.args), *getattr(error, "__notes__", ()))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


@clause("ERR-12")
def test_no_password_is_shown(bench: Bench) -> None:
    url = _with_secret(bench.url)
    netloc = urlsplit(url).netloc
    scheme = urlsplit(url).scheme
    wrong: Mapping[str, Callable[[], None]] = {
        "an unknown scheme": lambda: _connect(bench, f"nosuch://{netloc}/"),
        "no scheme": lambda: _connect(bench, f"{netloc}/{_SECRET}"),
        "a port that is no number": lambda: _connect(bench, f"{scheme}://u:{_SECRET}@h:port/"),
        "an unescaped slash": lambda: _connect(bench, f"{scheme}://u:{_SECRET}/x@h:1/?bogus=1"),
        "an open bracket": lambda: _connect(bench, f"{scheme}://u:{_SECRET}@[::1/?bogus=1"),
        "an unknown setting": lambda: _connect(bench, _with_query(url, bogus="1")),
        "a setting with a secret": lambda: _connect(bench, url, options={"bogus": _SECRET}),
        "an unknown profile": lambda: _connect(bench, _with_query(url, profile="bogus")),
        "a port where nobody listens": lambda: _connect(
            bench, f"{scheme}://u:{_SECRET}@127.0.0.1:1/?bogus=1", timeout_s=_SHORT_S
        ),
        "a wrong password": lambda: _connect(bench, url, timeout_s=_SHORT_S),
    }
    for what, attempt in wrong.items():
        with _listening() as said:
            try:
                attempt()
            except UnibusError as error:
                shown = [each for each in _told(error) if _SECRET in each]
                require(not shown, f"{what}: an error shows the password: {shown[:1]}")
        logged = [each for each in said.lines if _SECRET in each]
        require(not logged, f"{what}: a log shows the password: {logged[:1]}")


@clause("ERR-13")
def test_a_port_where_nobody_listens(bench: Bench) -> None:
    with bench.faults.cut(bench.url) as cut:
        cut.refuse()
        parts = urlsplit(cut.url)
        says = [f"{parts.hostname}:{parts.port}"]
        began = time.monotonic()
        with require_raises(UnavailableError, sentence="nobody listens", saying=says):
            _connect(bench, cut.url, timeout_s=bench.timing.recovery_s)
        took = time.monotonic() - began

    require(took < bench.timing.patience_s, f"that nobody listens was known after {took:.1f} s")


@clause("ERR-14")
def test_a_port_that_says_nothing(bench: Bench) -> None:
    with bench.faults.cut(bench.url) as cut:
        cut.swallow_answers()
        parts = urlsplit(cut.url)
        says = [f"{parts.hostname}:{parts.port}"]
        began = time.monotonic()
        with require_raises(UnavailableError, sentence="it says nothing", saying=says):
            _connect(bench, cut.url, timeout_s=_SHORT_S)
        took = time.monotonic() - began

    require(took < _SHORT_S + 0.5, f"connect(timeout_s={_SHORT_S}) took {took:.1f} s")


@clause("ERR-15")
def test_a_wrong_password(bench: Bench) -> None:
    url = bench.faults.wrong_login(bench.url)
    with require_raises(PermissionDeniedError, sentence="a wrong password", saying=["password"]):
        _connect(bench, url)


@clause("ERR-16")
def test_a_place_that_is_not_there(bench: Bench) -> None:
    url = bench.faults.wrong_place(bench.url)
    place = urlsplit(url).path.lstrip("/")
    with require_raises(
        NotFoundError, PermissionDeniedError, sentence="a place that is not there", saying=[place]
    ):
        _connect(bench, url)
