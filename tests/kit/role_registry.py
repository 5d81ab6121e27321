"""A registry that knows whose token it is shown, and the AWS that issued it, in one process.

A repository's name says who may pull it: ``for/a/app`` is for the role ``a``, ``for/node/app`` for
the node's own key, ``for/all/app`` for whoever has a token. Every repository has an image of its own,
which runs. ``GET /_pulls`` lists who pulled what.

    python role_registry.py CERTIFICATE KEY FOLDER BUSYBOX
"""

from __future__ import annotations

import base64
import json
import sys
import threading
from pathlib import Path

from fake_aws import FakeAWS
from loopback import Handler, Server
from stack import OF_ROLES, write_image

ADDRESS, AWS_PORT = "127.0.0.7", 8080
NODE_KEY = "AKIATEST"
_BLOB, _DIGEST = "application/octet-stream", "Docker-Content-Digest"
_ROLE = len("ASIA0001")  # characters before the role's name in an access key of FakeAWS's


class Registry(Server):
    """The registry: ``pulls`` are a repository and an identity each."""

    def __init__(
        self, aws: FakeAWS, certificate: str, key: str, folder: Path, busybox: Path
    ) -> None:
        super().__init__((ADDRESS, 443), _Handler)
        self.speak_tls(certificate, key)
        self.aws = aws
        self.folder = folder
        self.busybox = busybox
        self.pulls: list[tuple[str, str]] = []
        self._lock = threading.Lock()

    def image(self, repository: str) -> Path:
        """Return the OCI layout of a repository's image, made when it is first asked for."""
        folder = self.folder / repository.replace("/", "-")
        with self._lock:
            if not folder.exists():
                files = {"bin/sleep": self.busybox.read_bytes(), "name": repository.encode()}
                write_image(folder, files, ["/bin/sleep", "100000"])
        return folder

    def who(self, vouched: str) -> str:
        """Return the role behind a Basic authorization, ``node``, or nothing."""
        kind, _, value = vouched.partition(" ")
        if kind != "Basic":
            return ""
        password = base64.b64decode(value).decode().partition(":")[2]
        access_key = self.aws.issued.get(password, ("", ""))[0]
        return "node" if access_key == NODE_KEY else access_key[_ROLE:]


class _Handler(Handler):
    server: Registry

    def do_GET(self) -> None:
        if self.path == "/_pulls":
            self.send(200, json.dumps(self.server.pulls).encode())
            return
        who = self.server.who(self.headers.get("Authorization", ""))
        if not who:
            realm = f'Basic realm="https://{OF_ROLES}/",service="ecr.amazonaws.com"'
            self.send(401, b"{}", headers={"WWW-Authenticate": realm})
            return
        repository, _, rest = self.path.removeprefix("/v2/").partition("/manifests/")
        if rest:
            self._manifest(repository, rest, who)
            return
        repository, _, digest = self.path.removeprefix("/v2/").partition("/blobs/sha256:")
        blob = self.server.image(repository) / "blobs" / "sha256" / digest if digest else Path("/-")
        if blob.is_file():
            self.send(200, blob.read_bytes(), _BLOB, {_DIGEST: f"sha256:{digest}"})
        else:
            self.send(200 if self.path == "/v2/" else 404, b"{}")

    do_HEAD = do_GET

    def _manifest(self, repository: str, reference: str, who: str) -> None:
        allowed = repository.split("/")[1]
        if allowed not in (who, "all"):
            denied = {"errors": [{"code": "DENIED", "message": "not authorized to pull"}]}
            self.send(403, json.dumps(denied).encode())
            return
        if not reference.startswith("sha256:"):
            self.server.pulls.append((repository, who))
        layout = self.server.image(repository)
        (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
        data = (layout / "blobs" / "sha256" / entry["digest"][7:]).read_bytes()
        self.send(200, data, entry["mediaType"], {_DIGEST: entry["digest"]})


def main() -> None:
    """Serve until killed."""
    certificate, key, folder, busybox = sys.argv[1:]
    with FakeAWS(host=ADDRESS, port=AWS_PORT) as aws:
        Registry(aws, certificate, key, Path(folder), Path(busybox)).serve_forever()


if __name__ == "__main__":
    main()
