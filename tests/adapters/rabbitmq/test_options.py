from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from unibus import spi
from unibus_rabbitmq import options

SECRET = "s3cr/t"  # noqa: S105  # made up


def test_a_url_says_everything_a_connection_needs() -> None:
    chosen = options.parse(
        "amqps://al%40ice:p%2Fw@broker:5679/my%2Fhost?profile=rabbitmq-classic&heartbeat_s=7", {}
    )

    parameters = chosen.parameters(3.0)

    assert (chosen.profile, chosen.address) == ("rabbitmq-classic", "broker:5679")
    assert (parameters.virtual_host, parameters.heartbeat) == ("my/host", 7)
    assert parameters.credentials.username == "al@ice"
    assert parameters.credentials.password == "p/w"  # noqa: S105  # made up
    assert (parameters.socket_timeout, parameters.stack_timeout) == (3.0, 3.0)
    assert parameters.ssl_options is not None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("amqp://h", (5672, "/", False)),
        ("amqp://h/", (5672, "/", False)),
        ("amqps://h/%2F", (5671, "/", True)),
        ("amqp://[::1]:9/v", (9, "v", False)),
    ],
)
def test_what_a_url_leaves_out_has_the_usual_value(url: str, expected: tuple[object, ...]) -> None:
    chosen = options.parse(url, {})

    assert (chosen.port, chosen.vhost, chosen.tls) == expected


def test_options_have_the_last_word() -> None:
    assert options.parse("amqp://h?wire=public", {"wire": "own"}).wire == "own"


@pytest.mark.parametrize(
    ("url", "given", "why"),
    [
        ("kafka://h", {}, "scheme is 'kafka'"),
        ("amqp://", {}, "host"),
        ("amqp://h:0/", {}, "port"),
        ("amqp://h:port/", {}, "port is not a number"),
        ("amqp://h/a/b", {}, "%2F"),
        ("amqp://[h/", {}, "cannot be split"),
        ("amqp://h?colour=red", {}, "colour: RabbitMQ has no such setting; there are ca_file"),
        ("amqp://h?profile=kafka", {}, "profile: .*'rabbitmq-classic'"),
        ("amqp://h?wire=own&wire=public", {}, "twice"),
        ("amqp://h?password=x", {}, "before the question mark"),
        ("amqp://h", {"prefetch": 0}, "prefetch"),
        ("amqp://h?ca_file=/x", {}, "amqps://"),
        ("amqps://h?key_file=/x", {}, "cert_file"),
    ],
)
def test_a_wrong_setting_is_named(url: str, given: dict[str, object], why: str) -> None:
    with pytest.raises(spi.ConfigurationError, match=why):
        options.parse(url, given)


def test_a_certificate_that_is_not_there_is_named(tmp_path: Path) -> None:
    chosen = options.parse(f"amqps://h?ca_file={tmp_path}/none.pem", {})

    with pytest.raises(spi.ConfigurationError, match=r"h:5671: .*check ca_file"):
        chosen.parameters(1.0)


@pytest.mark.parametrize(
    "url",
    [
        f"amqp://u:{SECRET}@h:1/",  # the slash ends the host, what is before it looks like a port
        f"amqp://u:{SECRET}@h:1/?colour=red",
        "amqp://u:s3cr%2Ft@h/?heartbeat_s=x",
        "amqp://u:s3cr%2Ft@h/?profile=kafka",
        "amqp://u:s3cr%2Ft\u2100@h/",  # Python's own text quotes this one
    ],
)
def test_no_error_shows_a_password(url: str) -> None:
    with pytest.raises(spi.ConfigurationError) as caught:
        options.parse(url, {})

    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert "s3cr" not in shown.replace(url, "")


def test_no_repr_shows_a_password() -> None:
    chosen = options.parse("amqp://u:s3cr%2Ft@h/", {})

    assert SECRET not in f"{chosen!r} {chosen} {chosen.model_dump()}"
