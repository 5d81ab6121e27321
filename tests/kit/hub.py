"""A Docker Hub: what stands behind ``docker.io``, and what it was shown of credentials.

Anybody gets a token of ``auth.docker.io`` without credentials, and images for it from
``registry-1.docker.io``; who shows a password is refused. ``GET /_seen`` lists every request.

    python hub.py ADDRESS CERTIFICATE KEY LAYOUT

LAYOUT is an OCI layout, whose one image every repository has under every tag.
"""

from __future__ import annotations

import json
import sys
import urllib.parse
from pathlib import Path
from typing import Any

from loopback import Handler, Server

AUTH, REGISTRY = "auth.docker.io", "registry-1.docker.io"
NAMES = ("docker.io", "index.docker.io", AUTH, REGISTRY)
ADDRESS = "127.0.0.5"
_ANONYMOUS = "anonymous-token"


class Hub(Server):
    """The server: ``seen`` is each request's host, method, path, and how it was vouched for."""

    def __init__(self, address: str, certificate: str, key: str, layout: Path) -> None:
        super().__init__((address, 443), _Handler)
        self.speak_tls(certificate, key)
        self.blobs = layout / "blobs" / "sha256"
        (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
        self.manifest: dict[str, Any] = entry
        self.seen: list[dict[str, str]] = []


class _Handler(Handler):
    server: Hub

    def do_GET(self) -> None:
        host = self.headers["Host"].partition(":")[0]
        path = urllib.parse.urlsplit(self.path).path
        form = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        if path == "/_seen":
            self.send(200, json.dumps(self.server.seen).encode())
            return
        if path == "/_forget":
            self.server.seen.clear()
            self.send(200, b"{}")
            return
        vouched = self.headers.get("Authorization", "")
        password = "".join(urllib.parse.parse_qs(form).get("password", []))
        seen = {"host": host, "method": self.command, "path": path}
        self.server.seen.append({**seen, "authorization": vouched, "password": password})
        if host == AUTH:
            self._token(vouched, password)
        elif vouched != f"Bearer {_ANONYMOUS}":
            challenge = f'Bearer realm="https://{AUTH}/token",service="registry.docker.io"'
            self.send(401, b"{}", headers={"WWW-Authenticate": challenge})
        else:
            self._image(path)

    do_HEAD = do_POST = do_GET

    def _token(self, vouched: str, password: str) -> None:
        if vouched or password:
            self.send(401, b'{"details":"incorrect username or password"}')
        else:
            answer = {"token": _ANONYMOUS, "access_token": _ANONYMOUS}
            self.send(200, json.dumps(answer).encode())

    def _image(self, path: str) -> None:
        kind, _, reference = path.rpartition("/")
        if kind.endswith("/manifests") and not reference.startswith("sha256:"):
            reference = self.server.manifest["digest"]
        blob = self.server.blobs / reference.removeprefix("sha256:")
        if path == "/v2/":
            self.send(200, b"{}")
        elif not blob.is_file():
            self.send(404, b"{}")
        else:
            is_manifest = kind.endswith("/manifests")
            media = self.server.manifest["mediaType"] if is_manifest else "application/octet-stream"
            self.send(200, blob.read_bytes(), media, {"Docker-Content-Digest": reference})


if __name__ == "__main__":
    address, certificate, key, layout = sys.argv[1:]
    Hub(address, certificate, key, Path(layout)).serve_forever()
