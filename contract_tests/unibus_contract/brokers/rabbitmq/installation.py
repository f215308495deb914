"""A RabbitMQ that is installed here: the distribution's package, or one in a Debian tree."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from unibus.errors import ConfigurationError
from unibus_contract.brokers import debian
from unibus_contract.brokers.progress import Progress
from unibus_contract.brokers.rabbitmq.versions import PACKAGE, SUITES, installed_version, is_of

_MOUNT_POINT: Final = PurePath("/mnt")
# A mount namespace of its own: what is mounted for a program vanishes with it, and two nodes of
# one tree do not see each other's folder. `exec` keeps the process id of what was started.
_ENTER: Final = (
    'mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev" && mount --bind "$1" "$0/mnt"'
    ' && tree=$0 && shift && exec chroot "$tree" "$@"'
)


@dataclass(frozen=True, slots=True)
class Installation:
    """Programs of one RabbitMQ, on this machine or in a tree."""

    version: str
    tree: Path | None

    def seen(self, folder: Path) -> PurePath:
        """Return where a program that ``command`` starts finds *folder*."""
        return folder if self.tree is None else _MOUNT_POINT

    def command(self, folder: Path, program: PurePath | str, *arguments: str) -> list[str]:
        """Return how to run *program* with *folder* in its sight."""
        plain = [str(program), *arguments]
        if self.tree is None:
            return plain
        return ["unshare", "--mount", "sh", "-c", _ENTER, str(self.tree), str(folder), *plain]


def of_tree(tree: Path | None) -> Installation:
    """Return what is installed in *tree*, or on this machine when it is None.

    Raises:
        ConfigurationError: No RabbitMQ is.
    """
    version = installed_version(tree or Path("/"))
    if version is None:
        raise ConfigurationError(f"there is no RabbitMQ in {tree or 'this machine'} any more")
    return Installation(version, tree)


def obtain(wanted: str, progress: Progress) -> Installation:
    """Return RabbitMQ *wanted*, installed if need be: the package where it fits, else a tree.

    Raises:
        ConfigurationError: This machine cannot have it; what to do is said.
        UnavailableError: Installing it failed.
    """
    if platform.system() != "Linux":
        raise ConfigurationError("RabbitMQ is installed by unibus on Linux only; use Docker")
    if wanted not in SUITES:
        raise ConfigurationError(f"Debian has RabbitMQ {', '.join(SUITES)}, not {wanted}")
    package = _package(wanted, progress)
    if package is not None:
        return package
    found = of_tree(_tree(wanted, progress))
    if not is_of(found.version, wanted):
        progress(f"Debian {SUITES[wanted]} now has RabbitMQ {found.version} instead of {wanted}")
    return found


def _package(wanted: str, progress: Progress) -> Installation | None:
    """Return the distribution's own RabbitMQ if it is *wanted*; install it if it would be."""
    version = installed_version(Path("/"))
    if version is None and debian.os_release().get("VERSION_CODENAME") == SUITES[wanted]:
        version = _install(progress)
    if version is None or not is_of(version, wanted):
        return None
    return Installation(version, None)


def _install(progress: Progress) -> str | None:
    if (reason := debian.why_not()) is not None:
        raise ConfigurationError(
            f"{reason}; run: sudo apt-get install --no-install-recommends {PACKAGE}"
        )
    if debian.starts_services(PACKAGE):
        return None  # a tree does the same, and leaves no service running on port 5672
    debian.install([PACKAGE], progress)
    return installed_version(Path("/"))


def _tree(wanted: str, progress: Progress) -> Path:
    try:
        return debian.tree(SUITES[wanted], PACKAGE, progress)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{error}; run as root on Debian: unibus broker up rabbitmq --version {wanted}"
        ) from error
