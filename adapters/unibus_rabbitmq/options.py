"""Where the broker is and how to talk to it, from a URL and options."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import parse_qsl, unquote, urlsplit

import pika
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from unibus import spi

ProfileName = Literal["rabbitmq", "rabbitmq-classic", "rabbitmq-stream"]

_IN_URL: Final = ("host", "port", "vhost", "user", "password", "tls")
_PORTS: Final = {"amqp": 5672, "amqps": 5671}


class Options(BaseModel):
    """Settings of one connection; everything but host, port and vhost has a default.

    Attributes:
        host: Where the broker listens.
        port: 5672, or 5671 with TLS, if the URL has none.
        vhost: Virtual host; ``/`` if the URL has none.
        user: User name. Without one the client certificate says who it is (SASL EXTERNAL), and
            without that either it is ``guest``, whom RabbitMQ lets in from its own machine only.
        password: Shown nowhere.
        tls: Whether the URL says ``amqps``.
        profile: The profile of specs that name none.
        wire: ``own``: traffic is coded by unibus; ``public``: by pika, slower, and floats in
            headers are refused.
        heartbeat_s: After about twice this without a sign of life a connection counts as lost; 0 is
            never.
        prefetch: Most deliveries that one consumer holds, if fewer than the program asks for.
        connection_name: What the broker's own tools call the connection.
        ca_file: Certificates to trust instead of the system's.
        cert_file: Client certificate.
        key_file: Its key, if that is not in the same file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    host: str = Field(min_length=1)
    port: int = Field(ge=1, le=65535)
    vhost: str = "/"
    user: str | None = None
    password: SecretStr = SecretStr("")
    tls: bool = False
    profile: ProfileName | None = None
    wire: Literal["own", "public"] = "own"
    heartbeat_s: Annotated[int, Field(ge=0, le=65535)] = 30
    prefetch: Annotated[int, Field(ge=1, le=65535)] | None = None
    connection_name: str = "unibus"
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        files = (self.ca_file, self.cert_file, self.key_file)
        if not self.tls and any(files):
            raise ValueError("certificates are given and the URL is amqp://; use amqps://")
        if self.key_file and not self.cert_file:
            raise ValueError("key_file is given without cert_file")
        return self

    @property
    def address(self) -> str:
        """``host:port``, for messages."""
        return f"{self.host}:{self.port}"

    def parameters(self, timeout_s: float) -> pika.ConnectionParameters:
        """Return what pika needs to connect, or to fail, within *timeout_s*.

        Raises:
            ConfigurationError: A certificate cannot be read.
        """
        return pika.ConnectionParameters(
            host=self.host,
            port=self.port,
            virtual_host=self.vhost,
            credentials=self._credentials(),
            heartbeat=self.heartbeat_s,
            ssl_options=self._ssl_options() if self.tls else None,
            socket_timeout=timeout_s,
            stack_timeout=timeout_s,
            client_properties={"connection_name": self.connection_name},
        )

    def _credentials(self) -> pika.PlainCredentials | pika.credentials.ExternalCredentials:
        if self.user is not None:
            return pika.PlainCredentials(self.user, self.password.get_secret_value())
        if self.cert_file:
            return pika.credentials.ExternalCredentials()
        return pika.PlainCredentials("guest", "guest")

    def _ssl_options(self) -> pika.SSLOptions:
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file:
                # An encrypted key would ask for its password at the terminal.
                context.load_cert_chain(self.cert_file, self.key_file, password=_no_password)
        except (OSError, ValueError) as error:
            raise spi.ConfigurationError(
                f"{self.address}: the certificates cannot be used: {error}; check ca_file,"
                " cert_file and key_file"
            ) from error
        return pika.SSLOptions(context, self.host)


def _no_password() -> str:
    raise ValueError("the key is encrypted; give one without a password")


def parse(url: str, options: Mapping[str, object]) -> Options:
    """Return the settings in *url*, its query included, and *options*, which have the last word.

    Raises:
        ConfigurationError: One of them is wrong; the text never shows the URL, which may hold a
            password.
    """
    try:
        given = {**_from_url(url), **options}
        return Options.model_validate(given)
    except ValidationError as error:
        raise spi.ConfigurationError(_explain(error)) from None
    except ValueError as error:
        raise spi.ConfigurationError(
            f"the RabbitMQ URL is not valid: {error}; write"
            " amqp://user:password@host:port/vhost?profile=rabbitmq"
        ) from None


def _from_url(url: str) -> dict[str, Any]:
    try:
        parts = urlsplit(url)
    except ValueError:  # some of Python's texts quote all that stands before the path
        raise ValueError("it cannot be split into host and path") from None
    if parts.scheme not in _PORTS:
        raise ValueError(f"the scheme is {parts.scheme!r}, it can be amqp or amqps")
    path = parts.path.removeprefix("/")
    if "/" in path or "@" in path:
        raise ValueError(
            "there is a second / or a late @; in user, password and vhost write %2F and %40"
        )
    try:
        port = parts.port
    except ValueError:
        # Python's own text quotes what stands after the last colon: a password with a slash in it.
        raise ValueError("the port is not a number from 1 to 65535") from None
    query = parse_qsl(parts.query, keep_blank_values=True)
    given: dict[str, Any] = dict(query)
    if len(given) < len(query):
        raise ValueError("a setting is there twice")
    for name in _IN_URL:
        if name in given:
            raise ValueError(f"{name} belongs before the question mark")
    given.update(
        host=parts.hostname or "",
        port=_PORTS[parts.scheme] if port is None else port,
        vhost=unquote(path) or "/",
        tls=parts.scheme == "amqps",
    )
    if parts.username is not None:
        given["user"] = unquote(parts.username)
        given["password"] = unquote(parts.password or "")
    return given


def _explain(error: ValidationError) -> str:
    lines = []
    for each in error.errors(include_url=False, include_input=False):
        name = ".".join(map(str, each["loc"]))
        if each["type"] == "extra_forbidden":
            known = ", ".join(sorted(set(Options.model_fields).difference(_IN_URL)))
            lines.append(f"{name}: RabbitMQ has no such setting; there are {known}")
        else:
            text = each["msg"].removeprefix("Value error, ")
            lines.append(f"{name}: {text}" if name else text)
    return "RabbitMQ settings: " + "; ".join(lines)
