"""The native front of packaging/native/front: built here, and asked."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from kit import HOST, HOUR, LIFE, TESTS, TREE, need, write

SOURCES = TREE / "packaging" / "native" / "front"
DRIVERS = TESTS / "native"
# The dialect, and all that a compiler can say of it.
WARNINGS = (
    *("-std=c11", "-D_GNU_SOURCE", "-Werror", "-Wall", "-Wextra", "-Wpedantic"),
    *("-Wconversion", "-Wsign-conversion", "-Wshadow", "-Wcast-qual", "-Wformat=2", "-Wvla"),
    *("-Wundef", "-Wnull-dereference", "-Wstrict-prototypes", "-Wmissing-prototypes"),
)
SANITIZERS = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
STREAMS = {"main.c", "behind.c"}  # the half that a driver of the tests replaces
DUE = "a renewal is to be started"  # behind the answer
LATE = "the token is renewed before the answer"  # so the front goes on in Python
DEBUG = {"AWS_ECR_FRONT_DEBUG": "1"}
SECRET = "c2VjcmV0"
NAME = "0" * 16  # of an entry


def keep_login(cache: Path, host: str = HOST) -> None:
    """Put a login that is valid now into the cache."""
    now = int(time.time())
    end = now - HOUR + LIFE
    times = f"issued {now - HOUR}\nrefresh {end}\nrenew {end}\nexpires {end}\n"
    write(cache / host / "login", f'docker-credential-ecr 2\nhost {host}\n{times}\n"{SECRET}"\n')
    (cache / host).chmod(0o700)


def keep_token(cache: Path, refresh: int, renew: int, *, age: int = HOUR) -> None:
    """Put a token of HOST that was issued ``age`` seconds ago into the cache; times are from now."""
    now = int(time.time())
    ages = {"issued": -age, "refresh": refresh, "renew": renew, "expires": LIFE - age}
    times = "".join(f"{name} {now + seconds}\n" for name, seconds in ages.items())
    head = f"docker-credential-ecr 2\nhost {HOST}\n{times}unset AWS_PROFILE\n"
    write(cache / HOST / NAME, f'{head}\n"{SECRET}"\n')
    (cache / HOST).chmod(0o700)


def kubelets(image: str = f"{HOST}/app:1", version: str = "v1", **more: object) -> str:
    """Return a request of the kubelet's, as Go writes it."""
    request = {
        "kind": "CredentialProviderRequest",
        "apiVersion": f"credentialprovider.kubelet.k8s.io/{version}",
        "image": image,
        **more,
    }
    return json.dumps(request, separators=(",", ":")) + "\n"


def compile_front(
    path: Path, *flags: str, driver: str = "", whole: bool = True, compiler: str = "cc"
) -> Path:
    """Build the front as ``path``; without ``whole`` only what decides, under a ``driver``."""
    files = [name for name in sorted(SOURCES.glob("*.c")) if whole or name.name not in STREAMS]
    if driver:
        files.append(DRIVERS / driver)
    if not whole:
        files.append(DRIVERS / "stubs.c")
    command = [need(compiler), *WARNINGS, "-O1", f"-I{SOURCES}", *flags, *map(str, files)]
    subprocess.run([*command, "-o", str(path)], check=True)
    return path


class Probe:
    """The front's decision, under sanitizers, without its streams: see tests/native/probe.c."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(
        self,
        request: bytes,
        environ: Mapping[str, str],
        now: int,
        folder: Path = Path("/"),
        user: int = 0,
        *,
        kubelet: bool = False,
    ) -> tuple[bytes | None, str]:
        """Return the bytes of the answer, and ``DUE`` if a renewal is to follow it.

        Where the front goes on in Python that is ``None``, and why.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        settings = [os.fsencode(f"{name}={value}") for name, value in environ.items()]
        head = struct.pack("=qII", now, user, kubelet) + _texts([os.fsencode(folder), request])
        self._process.stdin.write(head + struct.pack("=I", len(settings)) + _texts(settings))
        self._process.stdin.flush()
        size = self._process.stdout.read(4)
        assert len(size) == 4, "the front has died: see its stderr"
        said = self._process.stdout.read(*struct.unpack("=I", size))
        if said[:1] == b"-":
            return None, said[1:].decode()
        return said[1:], DUE if said[:1] == b"*" else ""

    def close(self) -> None:
        """Let it end; it must end well, as sanitizers judge."""
        self._process.communicate()
        assert self._process.returncode == 0


def _texts(texts: Sequence[bytes]) -> bytes:
    return b"".join(struct.pack("=I", len(text)) + text for text in texts)
