"""Make the packages of the native executable: .deb, .rpm, .apk, .tar.gz, bills of materials, SHA256SUMS.

    python packaging/packages/packages.py [--folder FOLDER] [--into FOLDER] [ARCH...]

The first folder is the one that ``make native`` built in: what is embedded is read there. The
executables are taken from dist/, the packages come there, too, or into the other. Equal executables
give equal packages.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
TREE = HERE.parent.parent
sys.path[:0] = [str(HERE), str(TREE / "packaging" / "native")]

import build  # noqa: E402 - found by the line above
import embedded  # noqa: E402
import sbom  # noqa: E402
from build import NAME  # noqa: E402
from cyclonedx.schema import SchemaVersion  # noqa: E402
from cyclonedx.validation.json import JsonStrictValidator  # noqa: E402

# A name of RFC 2606's: the project has no address yet.
MAINTAINER = "docker-credential-ecr contributors <contributors@docker-credential-ecr.invalid>"
SUMMARY = "Docker credential helper for Amazon ECR"
DESCRIPTION = """\
Docker, Podman, BuildKit and the kubelet ask it for a password; it asks Amazon
ECR for a token, keeps it for its life, and answers from the disk meanwhile.
One static executable: it needs no Python, no library and no configuration.
"""
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
EPOCH = int(build.EPOCH)  # seconds: packages that are made again are equal
DATED = "2026-01-01T00:00:00Z"  # the same
DATED_RFC = "Thu, 01 Jan 2026 00:00:00 +0000"  # the same, as Debian's changelogs write it
CHANGELOG = """\
{name} ({version}-1) unstable; urgency=medium

  * See CHANGELOG.md of {name}.

 -- {maintainer}  {dated}
"""
APACHE = "The Apache License 2.0 is in /usr/share/common-licenses/Apache-2.0.\n"
MOZILLA = "The Mozilla Public License 2.0 is at https://mozilla.org/MPL/2.0/.\n"
FORMATS = ("deb", "rpm", "apk")
DOCUMENTS = f"usr/share/doc/{NAME}"


class File(NamedTuple):
    """A file of the packages."""

    place: str  # below the root
    content: bytes
    mode: int = 0o644
    only: str = ""  # the one format that has it


def version() -> str:
    """Return our version."""
    text = (TREE / "docker_credential_ecr" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([\d.]+)"$', text, re.MULTILINE)
    assert found is not None
    return found[1]


def copyright_file(components: list[embedded.Component], *, debian: bool) -> str:
    """Return a copyright file of Debian's form, with the licences of all that is embedded.

    They are there whole, but the Apache License on Debian, which has it and wants it named only.
    """

    def text(whole: str) -> str:
        is_apache = "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION" in whole
        return _indented(APACHE if debian and is_apache else whole)

    ours = (TREE / "LICENSE").read_text(encoding="utf-8")
    form = "https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/"
    parts = [
        f"Format: {form}\nUpstream-Name: {NAME}\n",
        f"Files: *\nCopyright: {NAME} contributors\nLicense: Apache-2.0\n",
        f"License: Apache-2.0\n{text(ours)}",
    ]
    for component in components:
        texts = component.texts or (MOZILLA,)
        parts.append(
            f"Comment:\n Embedded: {component.name} {component.version} ({component.licence}),"
            f" {component.about}.\n .\n" + " .\n".join(map(text, texts))
        )
    return "\n".join(parts)


def _indented(text: str) -> str:
    """Return ``text`` as the value of a field of Debian's."""
    lines = text.strip().expandtabs().splitlines()
    return "".join(f" {line.rstrip()}\n" if line.strip() else " .\n" for line in lines)


def contents(executable: bytes, bill: str, licences: dict[str, str]) -> Iterator[File]:
    """Yield all files of a package."""
    completion = TREE / "packaging" / "completion"
    man = (TREE / "packaging" / "man" / f"{NAME}.1").read_bytes()
    yield File(f"usr/bin/{NAME}", executable, 0o755)
    yield File(f"usr/share/man/man1/{NAME}.1.gz", gzip.compress(man, mtime=0))
    bash = (completion / f"{NAME}.bash").read_bytes()
    yield File(f"usr/share/bash-completion/completions/{NAME}", bash)
    fish = (completion / f"{NAME}.fish").read_bytes()
    yield File(f"usr/share/fish/vendor_completions.d/{NAME}.fish", fish)
    zsh = (completion / f"_{NAME}").read_bytes()
    yield File(f"usr/share/zsh/vendor-completions/_{NAME}", zsh, only="deb")
    for other in ("rpm", "apk", "tar"):
        yield File(f"usr/share/zsh/site-functions/_{NAME}", zsh, only=other)
    yield File(f"{DOCUMENTS}/copyright", licences["deb"].encode(), only="deb")
    for other in ("rpm", "apk", "tar"):
        yield File(f"{DOCUMENTS}/copyright", licences["all"].encode(), only=other)
    changelog = CHANGELOG.format(
        name=NAME, version=version(), maintainer=MAINTAINER, dated=DATED_RFC
    )
    yield File(
        f"{DOCUMENTS}/changelog.Debian.gz", gzip.compress(changelog.encode(), mtime=0), only="deb"
    )
    yield File(f"{DOCUMENTS}/{NAME}.cdx.json", bill.encode())
    overrides = (HERE / "lintian-overrides").read_bytes()
    yield File(f"usr/share/lintian/overrides/{NAME}", overrides, only="deb")
    for unit in sorted((TREE / "packaging" / "systemd").glob("*.[st]*")):
        yield File(f"usr/lib/systemd/system/{unit.name}", unit.read_bytes())


def configuration(
    files: list[File], folder: Path, arch: str, licences: list[str]
) -> dict[str, Any]:
    """Return nfpm's configuration for ``files``, which lie in ``folder``."""
    return {
        "name": NAME,
        "arch": ARCHITECTURES[arch],
        "platform": "linux",
        "version": version(),
        "release": "1",
        "section": "utils",
        "priority": "optional",
        "maintainer": MAINTAINER,
        "description": f"{SUMMARY}\n{DESCRIPTION}",
        "license": " AND ".join(licences),
        "mtime": DATED,
        "contents": [
            {
                "src": str(folder / "files" / file.only / file.place),
                "dst": f"/{file.place}",
                "file_info": {"mode": file.mode, "mtime": DATED},
                **({"packager": file.only} if file.only else {}),
            }
            for file in files
            if file.only != "tar"
        ],
        "scripts": {
            "postinstall": str(HERE / "after-install.sh"),
            "preremove": str(HERE / "before-remove.sh"),
        },
        "deb": {"compression": "xz"},
        "rpm": {"compression": "xz", "buildhost": "localhost", "summary": SUMMARY},
    }


def archive(path: Path, files: list[File], arch: str) -> None:
    """Write the .tar.gz: what the packages have below usr/, and the installer."""
    top = f"{NAME}-{version()}-linux-{ARCHITECTURES[arch]}"
    installer = File("usr/install.sh", (HERE / "install.sh").read_bytes(), 0o755)
    chosen = [installer, *(file for file in files if file.only in {"", "tar"})]
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed,
        tarfile.open(mode="w", fileobj=packed) as tar,
    ):
        for file in sorted(chosen):
            if file.place.startswith("usr/lib/"):
                continue  # a service manager's: the machine's own package brings those
            info = tarfile.TarInfo(f"{top}/{file.place.removeprefix('usr/')}")
            info.size, info.mode, info.mtime = len(file.content), file.mode, EPOCH
            tar.addfile(info, io.BytesIO(file.content))


def make(folder: Path, dist: Path, into: Path, architectures: list[str]) -> None:
    """Make all that is asked for of the executables in ``dist``, and their sums."""
    into.mkdir(parents=True, exist_ok=True)
    components = embedded.components(folder)
    licences = ["Apache-2.0", *sorted({component.licence for component in components})]
    licences = [f"({one})" if " " in one else one for one in dict.fromkeys(licences)]
    texts = {
        "deb": copyright_file(components, debian=True),
        "all": copyright_file(components, debian=False),
    }
    made: list[Path] = []
    for arch in architectures:
        source = dist / f"{NAME}-linux-{arch}"
        if not source.exists():
            raise SystemExit(f"packages: no {source.name} in {dist}: run make native")
        executable = source.read_bytes()
        sha256 = hashlib.sha256(executable).hexdigest()
        bill = sbom.bill(f"{NAME}@{version()}?arch={arch}", sha256, DATED, components)
        if fault := JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill):
            raise SystemExit(f"packages: the bill of materials is not valid: {fault}")
        files = list(contents(executable, bill, texts))
        base = f"{NAME}-{version()}-linux-{ARCHITECTURES[arch]}"
        named = into / f"{base}.cdx.json"
        named.write_text(bill, encoding="utf-8")
        tar = into / f"{base}.tar.gz"
        archive(tar, files, arch)
        made += [source, named, tar]
        with tempfile.TemporaryDirectory() as place:
            made += packed(
                Path(place), into, configuration(files, Path(place), arch, licences), files
            )
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(made, key=lambda path: path.name)
    ]
    (into / "SHA256SUMS").write_text("".join(lines), encoding="ascii")
    print("".join(lines), end="")


def packed(place: Path, into: Path, config: dict[str, Any], files: list[File]) -> Iterator[Path]:
    """Let nfpm make each format's package; yield them."""
    for file in files:
        path = place / "files" / file.only / file.place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
    (place / "nfpm.json").write_text(json.dumps(config), encoding="utf-8")
    nfpm = shutil.which("nfpm", path=sysconfig.get_path("scripts"))
    if nfpm is None:
        raise SystemExit("packages: no nfpm beside this Python: see requirements/packages.txt")
    for format_ in FORMATS:
        target = place / format_
        target.mkdir()
        command = [nfpm, "package", f"--config={place / 'nfpm.json'}"]
        subprocess.run(
            [*command, f"--packager={format_}", f"--target={target}/"],
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)},
        )
        (package,) = target.iterdir()
        yield Path(shutil.copy(package, into))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Make the packages of the native executable.")
    parser.add_argument(
        "--folder",
        type=Path,
        default=build.FOLDER,
        help="where it was built",
    )
    parser.add_argument("--into", type=Path, default=TREE / "dist", help="where packages come to")
    parser.add_argument(
        "architectures",
        nargs="*",
        default=list(ARCHITECTURES),
        metavar="ARCH",
        help="x86_64, aarch64",
    )
    options = parser.parse_args()
    make(options.folder.resolve(), TREE / "dist", options.into, options.architectures)


if __name__ == "__main__":
    main()
