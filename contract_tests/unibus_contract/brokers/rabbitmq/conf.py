"""What a node of our own is told: pure text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import Final

NODE: Final = "unibus@localhost"
"""All nodes have this name: each has an epmd of its own, so they never meet."""

PLUGINS: Final = ("rabbitmq_management", "rabbitmq_stream", "rabbitmq_consistent_hash_exchange")
BIN: Final = PurePath("/usr/lib/rabbitmq/bin")
"""The programs themselves; those in ``/usr/sbin`` want to switch to another user first."""
EPMD: Final = PurePath("/usr/bin/epmd")

NO_MEMORY: Final = "0"
"""The watermark that trips the memory alarm at once, says rabbitmqctl(8)."""
USUAL_MEMORY: Final = "0.6"

_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, kw_only=True, slots=True)
class Ports:
    """The five ports of a node, all on loopback."""

    amqp: int
    management: int
    stream: int
    distribution: int
    epmd: int

    @classmethod
    def of(cls, numbers: Sequence[int]) -> Ports:
        """Give the five *numbers* a purpose each."""
        amqp, management, stream, distribution, epmd = numbers
        return cls(
            amqp=amqp,
            management=management,
            stream=stream,
            distribution=distribution,
            epmd=epmd,
        )

    def by_purpose(self) -> dict[str, int]:
        """Return them as a state file has them."""
        return asdict(self)


def configuration(ports: Ports, cluster_name: str) -> str:
    """Return the text of ``rabbitmq.conf``.

    The *cluster_name* comes back in the handshake: it tells this node from another program that
    was quicker to listen on the port.
    """
    return f"""\
cluster_name = {cluster_name}
listeners.tcp.default = 127.0.0.1:{ports.amqp}
management.tcp.ip = 127.0.0.1
management.tcp.port = {ports.management}
stream.listeners.tcp.1 = 127.0.0.1:{ports.stream}
log.console = true
log.console.level = info
log.file = false
"""


def enabled_plugins() -> str:
    """Return the text of the file that names the plugins, an Erlang term."""
    return f"[{','.join(PLUGINS)}].\n"


def command_environment(folder: PurePath, ports: Ports) -> dict[str, str]:
    """Return the environment of ``epmd`` and ``rabbitmqctl``, and nothing of the caller's.

    *folder* is the node's, as the programs see it; the cookie in it is read from ``HOME``.
    """
    return {
        "PATH": _PATH,
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "ERL_EPMD_PORT": str(ports.epmd),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_CRASH_DUMP_BYTES": "0",  # the log says what went wrong; a dump would be left behind
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_NODENAME": NODE,
    }


def server_environment(folder: PurePath, ports: Ports) -> Mapping[str, str]:
    """Return the environment of ``rabbitmq-server``."""
    return {
        **command_environment(folder, ports),
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(ports.amqp),
        "RABBITMQ_DIST_PORT": str(ports.distribution),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        # The start script then becomes the broker instead of waiting for it, so that the process
        # that was started is the one to stop, freeze and kill.
        "RUNNING_UNDER_SYSTEMD": "true",
    }
