"""What is embedded in the native executable, read from what it was built of: names, versions, licences."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import build_sources
import build_tables

UPSTREAM = re.compile(r"(?:\d+:)?(?:.*\+really)?([\d.]+)")  # of Debian's version, the source's own


class Component(NamedTuple):
    """One of what is embedded."""

    name: str
    version: str
    url: str  # package URL
    licence: str  # SPDX expression
    texts: tuple[str, ...]  # of the licence
    sha256: str  # of the archive of its source, if it is one of sources.tsv
    patches: tuple[str, ...]  # that were applied: debian/patches/..., or a path of this project
    about: str


class Folder:
    """The build's folder, in which files have names as in embedded.tsv."""

    def __init__(self, folder: Path) -> None:
        (site,) = folder.glob("tools/lib/python*/site-packages")
        self.places = {"sources": folder / "sources", "site": site}

    def file(self, name: str) -> Path:
        """Return the one file that ``name`` is for, in which * may stand for a version."""
        start, _, rest = name.partition("/")
        found = list(self.places[start].glob(rest))
        if len(found) != 1:
            raise SystemExit(f"packages: {len(found)} files {name!r}: is the executable built?")
        return found[0]

    def text(self, name: str) -> str:
        """Return what that file holds."""
        return self.file(name).read_text(encoding="utf-8")


def components(folder: Path) -> list[Component]:
    """Return all that is embedded in what was built in ``folder``, by their names."""
    place = Folder(folder)
    return sorted([*_archives(place), *_others(place)])


def _archives(place: Folder) -> Iterator[Component]:
    """Yield what sources.tsv names."""
    licences = {
        "cpython": ("LICENSE", "Doc/license.rst"),  # the latter of what is incorporated, too
        "openssl": ("LICENSE.txt",),
        "zlib": ("LICENSE",),
    }
    for archive in build_sources.archives():
        if ".orig." not in archive.file:
            continue
        debian = place.places["sources"] / f"{archive.name}-debian" / "patches"
        first = build_sources.SECURITY_FROM.get(archive.name)
        patches = build_sources.chosen(debian, first) if first else []
        patches = [f"debian/patches/{patch}" for patch in patches]
        if archive.name == "cpython":
            patches += [f"packaging/native/patches/{file.name}" for file in build_sources.OURS]
        version = UPSTREAM.match(archive.version)
        assert version is not None, archive.version
        yield Component(
            name=archive.name,
            version=version[1],
            url=f"pkg:deb/debian/{archive.package}@{_quoted(archive.version)}?arch=source",
            licence=archive.licence,
            texts=tuple(
                place.text(f"sources/{archive.name}/{text}") for text in licences[archive.name]
            ),
            sha256=archive.sha256,
            patches=tuple(patches),
            about=f"as Debian {build_sources.SUITE} has it",
        )


def _others(place: Folder) -> Iterable[Component]:
    """Yield what embedded.tsv names."""
    for name, url, file, pattern, licence, texts, about in build_tables.rows("embedded"):
        found = re.search(pattern, place.text(file), re.MULTILINE | re.DOTALL)
        if found is None:
            raise SystemExit(f"packages: no version of {name} in {file}: {pattern!r}")
        version = ".".join(found.groups())
        yield Component(
            name=name,
            version=version,
            url=f"{url}@{version}",
            licence=licence,
            texts=tuple(_licence(place.text(text)) for text in texts.split() if text != "-"),
            sha256="",
            patches=(),
            about=about,
        )


def _licence(text: str) -> str:
    """Return the licence in ``text``: all of it, or the first comment of a source in C."""
    if not text.startswith("/*"):
        return text
    comment = text[2:].partition("*/")[0].strip(" *-\n")
    return re.sub(r"^ ?\*? ?", "", comment, flags=re.MULTILINE) + "\n"


def _quoted(version: str) -> str:
    """Return a version as package URLs write it."""
    return version.replace("+", "%2B").replace(":", "%3A")
