"""A Docker Hub: what stands behind ``docker.io``, and what it was shown of credentials.

Anybody gets a token of ``auth.docker.io`` without credentials, and images for it from
``registry-1.docker.io``; who shows a password is refused. ``GET /_seen`` lists every request.

    python hub.py ADDRESS CERTIFICATE KEY LAYOUT

LAYOUT is an OCI layout, whose one image every repository has under every tag.
"""

from __future__ import annotations

import http.server
import json
import ssl
import sys
import urllib.parse
from pathlib import Path
from typing import Any

AUTH, REGISTRY = "auth.docker.io", "registry-1.docker.io"
NAMES = ("docker.io", "index.docker.io", AUTH, REGISTRY)
ADDRESS = "127.0.0.5"
_ANONYMOUS = "anonymous-token"


class Hub(http.server.ThreadingHTTPServer):
    """The server: ``seen`` is each request's host, method, path, and how it was vouched for."""

    daemon_threads = True

    def __init__(self, address: str, certificate: str, key: str, layout: Path) -> None:
        super().__init__((address, 443), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )
        self.blobs = layout / "blobs" / "sha256"
        (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
        self.manifest: dict[str, Any] = entry
        self.seen: list[dict[str, str]] = []


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        host = self.headers["Host"].partition(":")[0]
        path = urllib.parse.urlsplit(self.path).path
        form = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        if path == "/_seen":
            self._send(200, json.dumps(self.server.seen).encode(), "application/json")
            return
        if path == "/_forget":
            self.server.seen.clear()
            self._send(200, b"{}", "application/json")
            return
        vouched = self.headers.get("Authorization", "")
        password = "".join(urllib.parse.parse_qs(form).get("password", []))
        seen = {"host": host, "method": self.command, "path": path}
        self.server.seen.append({**seen, "authorization": vouched, "password": password})
        if host == AUTH:
            self._token(vouched, password)
        elif vouched != f"Bearer {_ANONYMOUS}":
            challenge = f'Bearer realm="https://{AUTH}/token",service="registry.docker.io"'
            self._send(401, b"{}", "application/json", challenge)
        else:
            self._image(path)

    do_HEAD = do_POST = do_GET

    def _token(self, vouched: str, password: str) -> None:
        if vouched or password:
            self._send(401, b'{"details":"incorrect username or password"}', "application/json")
        else:
            answer = {"token": _ANONYMOUS, "access_token": _ANONYMOUS}
            self._send(200, json.dumps(answer).encode(), "application/json")

    def _image(self, path: str) -> None:
        kind, _, reference = path.rpartition("/")
        if kind.endswith("/manifests") and not reference.startswith("sha256:"):
            reference = self.server.manifest["digest"]
        blob = self.server.blobs / reference.removeprefix("sha256:")
        if path == "/v2/":
            self._send(200, b"{}", "application/json")
        elif not blob.is_file():
            self._send(404, b"{}", "application/json")
        else:
            is_manifest = kind.endswith("/manifests")
            media = self.server.manifest["mediaType"] if is_manifest else "application/octet-stream"
            self._send(200, blob.read_bytes(), media, digest=reference)

    def _send(
        self, status: int, body: bytes, kind: str, challenge: str = "", digest: str = ""
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        if digest:
            self.send_header("Docker-Content-Digest", digest)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


if __name__ == "__main__":
    address, certificate, key, layout = sys.argv[1:]
    Hub(address, certificate, key, Path(layout)).serve_forever()
