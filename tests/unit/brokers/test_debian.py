from __future__ import annotations

from unibus_contract.brokers.debian import deb822_mirror, one_line_mirror

SOURCES = """\
# a mirror
Types: deb
URIs: http://security.example/debian-security
Suites: bookworm-security
Components: main

Types: deb-src
URIs: http://source.example/debian
Suites: bookworm
Components: main

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb
# comments may stand between fields
URIs: http://first.example/debian
 http://second.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
"""

LIST = """\
# deb http://comment.example/debian bookworm main
deb http://docker.example/linux bookworm stable
deb-src http://source.example/debian bookworm main
deb http://updates.example/debian bookworm-updates main
deb [arch=amd64 signed-by=/x.gpg] http://mirror.example/debian bookworm contrib main
"""


def test_the_mirror_is_the_one_that_has_the_release_itself() -> None:
    assert deb822_mirror(SOURCES, "bookworm") == "http://first.example/debian"
    assert deb822_mirror(SOURCES, "trixie") is None


def test_the_mirror_is_found_in_sources_of_the_older_style_too() -> None:
    assert one_line_mirror(LIST, "bookworm") == "http://mirror.example/debian"
    assert one_line_mirror(LIST, "trixie") is None
