"""What a Debian machine can install: packages, and trees of other Debian releases."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from unibus.errors import ConfigurationError, UnavailableError
from unibus_contract.brokers.home import locked, trees_folder
from unibus_contract.brokers.progress import Progress

_APT: Final = Path("/etc/apt")
_SCRIPTS: Final = Path("/usr/share/debootstrap/scripts")
_POLICY: Final = Path("/usr/sbin/policy-rc.d")
_POLICY_TIMEOUT_S: Final = 10.0
_FORBIDDEN: Final = 101
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_COMMAND_TIMEOUT_S: Final = 900.0
_WAIT_FOR_APT_S: Final = 120


def why_not() -> str | None:
    """Return why nothing can be installed here, or None: it takes Debian, and root."""
    if os_release().get("ID") != "debian":
        return "packages are installed on Debian only"
    if os.geteuid() != 0:
        return "packages are installed by root only"
    return None


def starts_services(service: str) -> bool:
    """Return whether installing the package of *service* would also start it for good.

    Containers forbid that by a policy, Debian Policy Manual 9.3.3.1: 101 is "not allowed".
    """
    if not _POLICY.exists():
        return True
    asked = [str(_POLICY), service, "start"]
    done = subprocess.run(asked, capture_output=True, check=False, timeout=_POLICY_TIMEOUT_S)  # noqa: S603  # the machine's own policy
    return done.returncode != _FORBIDDEN


def os_release() -> Mapping[str, str]:
    """Return the fields of os-release(5); none where there is no such file."""
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def install(packages: Sequence[str], progress: Progress) -> None:
    """Install Debian *packages* without those they only recommend.

    Raises:
        UnavailableError: apt-get failed; the end of what it said is in the message.
    """
    progress(f"installing {' '.join(packages)} (apt-get)")
    command = [
        "apt-get",
        "install",
        "-qy",
        "--no-install-recommends",
        f"-oDPkg::Lock::Timeout={_WAIT_FOR_APT_S}",
        *packages,
    ]
    try:
        _run(command)
    except UnavailableError:
        # The package lists of a fresh image are empty, those of an old one name what is gone.
        progress("updating the package lists (apt-get)")
        _run(["apt-get", "update", "-q"])
        _run(command)


def tree(suite: str, package: str, progress: Progress) -> Path:
    """Return a folder that holds Debian *suite* with *package*; build it unless it is there.

    It is built beside its place and moved there when it is complete, with the signature of the
    archive checked; 35 to 60 s, 250 to 400 MB.

    Raises:
        ConfigurationError: This machine cannot build one; what to do is said.
        UnavailableError: debootstrap failed; the end of what it said is in the message.
    """
    place = trees_folder() / suite
    if place.is_dir():
        return place
    if (reason := why_not()) is not None:
        raise ConfigurationError(f"it takes a tree of Debian {suite} in {place}, but {reason}")
    if shutil.which("debootstrap", path=_PATH) is None:
        install(["debootstrap"], progress)
    with locked(
        trees_folder() / f".{suite}.lock", progress, f"another run is building Debian {suite}"
    ):
        if not place.is_dir():
            _build(suite, package, place, progress)
    return place


def _build(suite: str, package: str, place: Path, progress: Progress) -> None:
    progress(f"building a tree of Debian {suite} with {package}, once (about a minute)")
    unfinished = place.with_name(f".{suite}.new")
    # Whoever left one behind is dead: it would still hold the lock.
    shutil.rmtree(unfinished, ignore_errors=True)
    script = _SCRIPTS / suite
    try:
        _run(
            [
                # Its own mounts, so that a build that is cut off leaves none behind.
                "unshare",
                "--mount",
                "debootstrap",
                "--variant=minbase",
                "--force-check-gpg",
                f"--include={package}",
                suite,
                str(unfinished),
                mirror(),
                # debootstrap does not know the releases that came after it; all of them since
                # 2009 are installed by the script of "sid".
                str(script if script.exists() else _SCRIPTS / "sid"),
            ]
        )
        _finish(unfinished)
        unfinished.rename(place)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _finish(folder: Path) -> None:
    # forky's minimal tree has none, and without one a program cannot look up localhost.
    (folder / "etc/hosts").write_text("127.0.0.1 localhost\n", encoding="ascii")
    for leftover in ("var/cache/apt", "var/lib/apt/lists"):
        shutil.rmtree(folder / leftover, ignore_errors=True)


def mirror() -> str:
    """Return the Debian mirror that this machine's own apt is set up with.

    Raises:
        ConfigurationError: None of its sources is one.
    """
    codename = os_release().get("VERSION_CODENAME", "")
    for path in (_APT / "sources.list.d/debian.sources", *sorted(_APT.glob("**/*.sources"))):
        if path.is_file() and (uri := deb822_mirror(path.read_text(encoding="utf-8"), codename)):
            return uri
    for path in (_APT / "sources.list", *sorted(_APT.glob("**/*.list"))):
        if path.is_file() and (uri := one_line_mirror(path.read_text(encoding="utf-8"), codename)):
            return uri
    raise ConfigurationError(f"no source in {_APT} has the component main of Debian {codename}")


def deb822_mirror(text: str, codename: str) -> str | None:
    """Return the first URI in *text*, of deb822 style, that has *codename* and main."""
    without_comments = re.sub(r"(?m)^#.*\n?", "", text)
    for stanza in re.split(r"\n\s*\n", without_comments):
        fields = {
            name.lower(): value.split()
            for name, _, value in (line.partition(":") for line in _unfolded(stanza))
        }
        if (
            "deb" in fields.get("types", ())
            and codename in fields.get("suites", ())
            and "main" in fields.get("components", ())
            and fields.get("enabled") != ["no"]
        ):
            return next(iter(fields.get("uris", ())), None)
    return None


def _unfolded(stanza: str) -> list[str]:
    return re.sub(r"\n[ \t]+", " ", stanza).splitlines()


def one_line_mirror(text: str, codename: str) -> str | None:
    """Return the first URI in *text*, of one-line style, that has *codename* and main."""
    pattern = rf"(?m)^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+{re.escape(codename)}\s+(?:.*\s)?main\b"
    match = re.search(pattern, text)
    return match[1] if match else None


def _run(command: Sequence[str]) -> None:
    environment = {**os.environ, "PATH": _PATH, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(  # noqa: S603  # the ladder's own commands, no shell
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_COMMAND_TIMEOUT_S,
            check=False,
            text=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"{command[0]} failed: {error}") from error
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-10:])
        raise UnavailableError(f"{' '.join(command[:4])} ... failed:\n{tail}")
