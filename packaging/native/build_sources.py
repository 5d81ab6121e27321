"""The sources of what is linked in: Debian's archives as sources.tsv pins them, and its patches.

An archive that lies in the folder is only checked, so a folder can be filled by hand, or kept. The
rest comes from Debian's source packages by apt, which checks the signatures of Debian's releases;
apt works in a folder of its own and changes nothing of the machine.
"""

import hashlib
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

import build_tables

SUITE = "trixie"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
APT = """\
Dir::Etc "{root}/etc"; Dir::Etc::Parts "{root}/none"; Dir::Etc::SourceParts "{root}/sources";
Dir::Etc::SourceList "/dev/null"; Dir::Etc::PreferencesParts "{root}/none"; Dir::Etc::Preferences "/dev/null";
Dir::State "{root}"; Dir::State::status "{root}/status"; Dir::State::Lists "{root}/lists";
Dir::Cache "{root}/cache"; Dir::Log "{root}";
Acquire::Languages "none"; Acquire::Retries "3"; Acquire::AllowInsecureRepositories "false";
APT::Get::AllowUnauthenticated "false"; APT::Sandbox::User "root";
"""

# In Debian's list of patches those for the security of all come last; what is before them adapts
# the source to Debian's own paths and policies. The first patch of the last part, by name:
SECURITY_FROM = {"cpython": "CVE-", "openssl": "conf-Serialize"}

# Our own patches of CPython; each says at its top what for.
OURS = sorted((Path(__file__).resolve().parent / "patches").glob("*.patch"))

# What the time of the build would otherwise write into the interpreter; zig refuses these macros.
UNDATED = (
    "cpython/Modules/getbuildinfo.c",
    (
        ("define DATE __DATE__", 'define DATE "Jan 01 1980"'),
        ("define TIME __TIME__", 'define TIME "00:00:00"'),
    ),
)


class Archive(NamedTuple):
    """One line of sources.tsv."""

    name: str
    package: str
    version: str
    file: str
    sha256: str
    licence: str

    def lies_in(self, folder: Path) -> bool:
        """Whether the archive is in ``folder``, and is the one that is pinned."""
        try:
            content = (folder / self.file).read_bytes()
        except OSError:
            return False
        return hashlib.sha256(content).hexdigest() == self.sha256


def archives() -> list[Archive]:
    """All that are needed."""
    return [Archive(*row) for row in build_tables.rows("sources")]


def gather(folder: Path) -> None:
    """Have all archives in ``folder``, each with the content that is pinned."""
    folder.mkdir(parents=True, exist_ok=True)
    said: list[str] = []
    if lacking := [archive for archive in archives() if not archive.lies_in(folder)]:
        with tempfile.TemporaryDirectory() as root:
            said = download(lacking, Path(root))
            for archive in lacking:
                if archive.lies_in(Path(root)):
                    (folder / archive.file).write_bytes((Path(root) / archive.file).read_bytes())
    if lacking := [archive for archive in archives() if not archive.lies_in(folder)]:
        raise SystemExit(
            "\n".join(
                [
                    *said,
                    f"sources: missing, or not as pinned; put these into {folder} by hand:",
                    *(f"  {archive.file}  SHA-256 {archive.sha256}" for archive in lacking),
                ]
            )
        )


def mirror() -> str:
    """Where this machine's apt gets Debian's packages from, or DEBIAN_MIRROR."""
    if given := os.environ.get("DEBIAN_MIRROR"):
        return given
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for line in targets.splitlines():
        label, _, uri = line.partition(" ")
        if label == "Debian":
            return uri
    raise SystemExit(
        "sources: apt names no mirror of Debian: set DEBIAN_MIRROR, or fill the folder by hand"
    )


def download(wanted: list[Archive], root: Path) -> list[str]:
    """Bring the packages of ``wanted`` into ``root``; what apt says of those that are not to be had."""
    for part in ("etc", "none", "sources", "lists/partial", "cache/archives/partial"):
        (root / part).mkdir(parents=True)
    root.chmod(0o755)  # apt reads it as a user of its own
    (root / "status").touch()
    (root / "apt.conf").write_text(APT.format(root=root), encoding="utf-8")
    (root / "sources" / "debian.sources").write_text(
        f"Types: deb-src\nURIs: {mirror()}\nSuites: {SUITE}\nComponents: main\nSigned-By: {KEYRING}\n",
        encoding="utf-8",
    )
    environ = {**os.environ, "APT_CONFIG": str(root / "apt.conf")}

    def apt(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            arguments, cwd=root, env=environ, check=False, capture_output=True, text=True
        )

    said = apt("apt-get", "-qq", "update").stderr.splitlines()
    for package, version in sorted({(archive.package, archive.version) for archive in wanted}):
        if apt("apt-get", "-qq", "source", "--download-only", f"{package}={version}").returncode:
            said.append(f"sources: {package} {version} is not to be had; there is:")
            said += apt("apt-cache", "madison", package).stdout.splitlines()
    return said


def unpack(folder: Path, into: Path) -> None:
    """Lay the sources out below ``into``, a folder for each by its name, patched."""
    for archive in archives():
        place = into / (archive.name if ".orig." in archive.file else f"{archive.name}-debian")
        with tarfile.open(folder / archive.file) as tar:
            # What is trusted is the archive's sum. Debian 12's Python 3.11.2 has no filters yet.
            tar.extraction_filter = getattr(tarfile, "tar_filter", None)
            for member in tar:
                _, _, member.name = member.name.removeprefix("./").partition("/")
                if member.name and not (member.isdev() or member.islnk()):
                    tar.extract(member, place)
    for name, first in SECURITY_FROM.items():
        theirs = into / f"{name}-debian" / "patches"
        for debians in chosen(theirs, first):
            patch(into / name, theirs / debians)
    for ours in OURS:
        patch(into / "cpython", ours)
    file, changes = UNDATED
    text = (into / file).read_text(encoding="utf-8")
    for old, new in changes:
        if text.count(old) != 1:
            raise SystemExit(f"sources: {file} has changed: {old!r}")
        text = text.replace(old, new)
    (into / file).write_text(text, encoding="utf-8")


def chosen(patches: Path, first: str) -> list[str]:
    """Return the names in the list ``series`` of ``patches`` from the one on that begins with ``first``."""
    names = [
        line.split()[0]
        for line in (patches / "series").read_text(encoding="utf-8").split("\n")
        if line and not line.startswith("#")
    ]
    return names[next(at for at, name in enumerate(names) if name.startswith(first)) :]


def patch(source: Path, file: Path) -> None:
    """Apply the patch ``file``."""
    subprocess.run(
        ["patch", "--silent", "--strip=1", "--no-backup-if-mismatch", f"--input={file.resolve()}"],
        cwd=source,
        check=True,
    )
