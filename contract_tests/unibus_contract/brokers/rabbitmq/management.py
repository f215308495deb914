"""RabbitMQ's management HTTP interface: users, virtual hosts, and a look inside."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote, unquote, urlsplit

from unibus.errors import (
    ConfigurationError,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
    UnibusError,
)

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
Item = Mapping[str, "Json"]
"""One queue, exchange or connection, as RabbitMQ's HTTP API reference describes it."""

_DEFAULT_PORTS: Final = {"http": 15672, "https": 15671}
_EVERYTHING: Final = ".*"
_OK: Final = range(200, 300)
_DENIED: Final = (401, 403)
_NOT_FOUND: Final = 404


class Management:
    """One kept connection to the management interface; not to be shared between threads.

    Every call takes at most the *timeout_s* of the constructor.
    """

    def __init__(self, url: str, *, timeout_s: float = 10.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
            raise ConfigurationError("a management URL looks like http://user:password@host:15672")
        self._where = f"{parts.hostname}:{parts.port or _DEFAULT_PORTS[parts.scheme]}"
        login = f"{unquote(parts.username or 'guest')}:{unquote(parts.password or 'guest')}"
        self._headers = {
            "Authorization": f"Basic {base64.b64encode(login.encode()).decode()}",
            "Content-Type": "application/json",
        }
        self._connection = (
            http.client.HTTPConnection(self._where, timeout=timeout_s)
            if parts.scheme == "http"
            else http.client.HTTPSConnection(
                self._where, timeout=timeout_s, context=ssl.create_default_context()
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        self._connection.close()

    def create_vhost(self, vhost: str) -> None:
        """Create *vhost* unless it exists."""
        self._call("PUT", f"/vhosts/{_part(vhost)}")

    def delete_vhost(self, vhost: str) -> None:
        """Delete *vhost* with all that is in it, unless it is gone already."""
        self._delete(f"/vhosts/{_part(vhost)}")

    def create_user(self, user: str, password: str, *, tags: str = "") -> None:
        """Create *user*, or give it this *password* and *tags*; it has no rights yet."""
        self._call("PUT", f"/users/{_part(user)}", {"password": password, "tags": tags})

    def delete_user(self, user: str) -> None:
        """Delete *user* unless it is gone already."""
        self._delete(f"/users/{_part(user)}")

    def permit(
        self,
        user: str,
        vhost: str,
        *,
        configure: str = _EVERYTHING,
        write: str = _EVERYTHING,
        read: str = _EVERYTHING,
    ) -> None:
        """Give *user* rights in *vhost*, on names that match these regular expressions.

        An empty expression matches nothing: ``configure=""`` leaves data rights only.
        """
        self._call(
            "PUT",
            f"/permissions/{_part(vhost)}/{_part(user)}",
            {"configure": configure, "write": write, "read": read},
        )

    def overview(self) -> Item:
        """Return what the node says of itself."""
        return _item(self._call("GET", "/overview"))

    def queues(self, vhost: str) -> list[Item]:
        """Return the queues of *vhost*; counts may be some seconds old."""
        return _items(self._call("GET", f"/queues/{_part(vhost)}"))

    def exchanges(self, vhost: str) -> list[Item]:
        """Return the exchanges of *vhost*, RabbitMQ's own among them."""
        return _items(self._call("GET", f"/exchanges/{_part(vhost)}"))

    def bindings(self, vhost: str) -> list[Item]:
        """Return the bindings of *vhost*."""
        return _items(self._call("GET", f"/bindings/{_part(vhost)}"))

    def connections(self, vhost: str | None = None) -> list[Item]:
        """Return the open connections, of *vhost* alone when given; some seconds late."""
        where = "/connections" if vhost is None else f"/vhosts/{_part(vhost)}/connections"
        return _items(self._call("GET", where))

    def close_connections(self, vhost: str, *, reason: str = "closed by a test") -> int:
        """Close every connection to *vhost* from the broker's side; return how many."""
        names = [str(connection["name"]) for connection in self.connections(vhost)]
        for name in names:
            self._delete(f"/connections/{_part(name)}", {"X-Reason": reason})
        return len(names)

    def _delete(self, path: str, headers: Mapping[str, str] | None = None) -> None:
        try:
            self._call("DELETE", path, headers=headers)
        except NotFoundError:
            return

    def _call(
        self,
        method: str,
        path: str,
        body: Item | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        text = None if body is None else json.dumps(body)
        every = {**self._headers, **(headers or {})}
        try:
            self._connection.request(method, f"/api{path}", text, every)
            response = self._connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise UnavailableError(
                f"RabbitMQ's management interface at {self._where} did not answer {method} {path}:"
                f" {str(error) or type(error).__name__}"
            ) from error
        if response.status not in _OK:
            raise self._error(response.status, method, path, answer)
        parsed: Json = json.loads(answer) if answer else None
        return parsed

    def _error(self, status: int, method: str, path: str, answer: bytes) -> UnibusError:
        said = answer[:200].decode(errors="replace")
        sentence = f"{self._where} answered {status} to {method} {path}: {said}"
        if status in _DENIED:
            return PermissionDeniedError(sentence)
        return NotFoundError(sentence) if status == _NOT_FOUND else UnibusError(sentence)


def _part(text: str) -> str:
    return quote(text, safe="")


def _item(answer: Json) -> Item:
    if not isinstance(answer, Mapping):
        raise UnibusError("RabbitMQ's management interface did not answer with an object")
    return answer


def _items(answer: Json) -> list[Item]:
    if isinstance(answer, str) or not isinstance(answer, Sequence):
        raise UnibusError("RabbitMQ's management interface did not answer with a list")
    return [_item(entry) for entry in answer]
