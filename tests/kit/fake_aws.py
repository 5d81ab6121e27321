"""A loopback AWS: what the network has, and nothing of ours.

It speaks GetAuthorizationToken of ECR and ECR Public, AssumeRole, AssumeRoleWithWebIdentity and
GetCallerIdentity of STS, the instance metadata service (version 2), container credentials, the SSO
portal and SSO OIDC, in the services' own wire formats. It counts every request of whatever kind,
and fails, hangs or lies as it is told.

As a process: ``python fake_aws.py --port 8080``, with ``GET /_calls`` and ``POST /_fault``.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import dataclasses
import json
import re
import secrets
import socket
import threading
import time
import urllib.parse
from typing import Any, Self

from loopback import Handler, Server

ACCOUNT = "123456789012"
# The beginning of a region's name, and the domain of its registries.
DOMAINS = {
    "cn-": "amazonaws.com.cn",
    "eusc-": "amazonaws.eu",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "eu-isoe-": "cloud.adc-e.uk",
    "us-isof-": "csp.hci.ic.gov",
    "": "amazonaws.com",
}
ROLE = "node-role"  # what the instance metadata service names
POUR_LIMIT = 64 << 20  # bytes, 64 MiB, of an endless body
_SCOPE = re.compile(r"Credential=([^/]+)/\d{8}/([^/]*)/([^/]+)/aws4_request")


@dataclasses.dataclass(frozen=True)
class Call:
    """One request: what was asked, where, and by whom (the access key id)."""

    operation: str
    region: str = ""
    service: str = ""
    host: str = ""
    access_key: str = ""
    path: str = ""
    body: str = ""


@dataclasses.dataclass
class Fault:
    """What goes wrong with an operation: for ``times`` requests, or for all."""

    status: int = 400
    code: str = ""
    message: str = ""
    times: int | None = None
    delay: float = 0.0  # seconds before the answer
    hang: bool = False  # no answer until ``clear`` or the end
    drop: bool = False  # the connection is closed without an answer
    body: bytes | str | None = None  # this body in place of the answer; status 200 unless given
    kind: str = "application/x-amz-json-1.1"  # the body's content type
    headers: dict[str, str] = dataclasses.field(
        default_factory=dict
    )  # more headers of what fails, or of the body
    raw: bytes | None = None  # all that goes over the wire in place of the answer, then its end
    endless: bool = False  # the body again and again, until the client has enough


class FakeAWS:
    """A context manager: the server on ``url``, its ``calls``, and the ``fault``s it is told."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: tuple[str, str] | None = None,
        password: str | None = None,
    ) -> None:
        self.calls: list[Call] = []
        self.issued: dict[str, tuple[str, str]] = {}  # password: (access key, region)
        self.token_life = 12 * 3600.0  # seconds
        self.credential_life = 3600.0  # seconds, of roles, containers, metadata and SSO
        self.delay = 0.0  # seconds before every answer
        self.password = password
        self.proxy_endpoint: str | None = None  # in place of the registry's own
        self.sent = 0  # bytes of endless bodies that clients took
        self._faults: dict[str, Fault] = {}
        self._released = threading.Event()
        self._lock = threading.Lock()
        self._keys = 0
        self._server = _Server((host, port), _Handler)
        self._server.aws = self
        if tls is not None:
            self._server.speak_tls(*tls)
        self.port: int = self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def requests(self) -> int:
        """How many HTTP requests came, of whatever kind."""
        return len(self.calls)

    def count(self, operation: str) -> int:
        """How many requests of ``operation`` came."""
        with self._lock:
            return sum(call.operation == operation for call in self.calls)

    def fault(self, operation: str, **how: Any) -> None:
        """Let ``operation`` (``*``: every one) go wrong as ``Fault`` says."""
        if "body" in how:
            how.setdefault("status", 200)
        self._released.clear()
        self._faults[operation] = Fault(**how)

    def clear(self) -> None:
        """Forget the faults; what hangs goes on as if there had been none."""
        self._faults.clear()
        self._released.set()

    def reset(self) -> None:
        """Forget the faults and the calls."""
        self.clear()
        with self._lock:
            self.calls.clear()

    # What the handler asks.

    def seen(self, call: Call) -> Fault | None:
        with self._lock:
            self.calls.append(call)
            fault = self._faults.get(call.operation) or self._faults.get("*")
            if fault is None or fault.times == 0:
                return None
            if fault.times is not None:
                fault.times -= 1
            return fault

    def wait(self) -> None:
        self._released.wait(120)  # seconds: a test that forgot must end all the same

    def new_password(self, access_key: str, region: str) -> str:
        """Return a password as ECR's are: base64 of a JSON object, about 2,700 characters."""
        content = {
            "payload": secrets.token_urlsafe(1400),
            "datakey": secrets.token_urlsafe(80),
            "version": "2",
            "type": "DATA_KEY",
            "expiration": int(time.time() + self.token_life),
        }
        password = self.password or base64.b64encode(json.dumps(content).encode()).decode()
        with self._lock:
            self.issued[password] = (access_key, region)
        return password

    def new_credentials(self, who: str) -> tuple[str, str, str, str]:
        """Return (access key, secret key, session token, expiration) that tell whose they are."""
        with self._lock:
            self._keys += 1
            number = self._keys
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.credential_life))
        token = f"SESSION-CANARY-{secrets.token_hex(16)}"
        return f"ASIA{number:04}{who}", f"SECRET-CANARY-{secrets.token_hex(8)}", token, end


class _Server(Server):
    aws: FakeAWS

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients go away in the middle: that is what is tested."""


class _Handler(Handler):
    kind = "application/x-amz-json-1.1"
    server: _Server

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_GET

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        aws = self.server.aws
        path = urllib.parse.urlsplit(self.path)
        if path.path == "/_calls":
            self.send(200, json.dumps([dataclasses.asdict(c) for c in aws.calls]).encode())
            return
        if path.path == "/_fault":
            how = json.loads(body)
            operation = how.pop("operation", None)
            aws.reset() if operation is None else aws.fault(operation, **how)
            self.send(200, b"{}")
            return
        form = dict(urllib.parse.parse_qsl(body.decode("utf-8", "replace")))
        operation = self._operation(path.path, form)
        scope = _SCOPE.search(self.headers.get("Authorization", ""))
        access_key, region, service = scope.groups() if scope else ("", "", "")
        call = Call(
            operation,
            region=region,
            service=service,
            host=self.headers.get("Host", ""),
            access_key=access_key,
            path=self.path,
            body=body.decode("utf-8", "replace"),
        )
        fault = aws.seen(call)
        if aws.delay:
            time.sleep(aws.delay)
        if fault is not None and self._goes_wrong(operation, fault):
            return
        answer = getattr(self, f"_answer_{operation}", None)
        if answer is None:
            self.send(404, b"{}")
        else:
            answer(call, form)

    def _goes_wrong(self, operation: str, fault: Fault) -> bool:
        """Do what ``fault`` says; return whether that was the answer."""
        if fault.hang:
            self.server.aws.wait()
            return False
        if fault.drop:
            self.close_connection = True
            self.connection.close()
        elif fault.raw is not None:
            self._close_after(fault.raw)
        elif fault.body is not None:
            body = fault.body.encode() if isinstance(fault.body, str) else fault.body
            if fault.endless:
                self._pour(fault, body)
            else:
                self.send(fault.status, body, fault.kind, fault.headers)
        else:
            time.sleep(fault.delay)
            if fault.delay and not fault.code:
                return False
            self._fail(operation, fault)
        return True

    def _operation(self, path: str, form: dict[str, str]) -> str:
        target = self.headers.get("X-Amz-Target", "")
        if target.startswith("AmazonEC2ContainerRegistry"):
            return target.partition(".")[2]
        if target.startswith("SpencerFrontendService"):
            return "Public" + target.partition(".")[2]
        if "Action" in form:
            return form["Action"]
        return {
            "/latest/api/token": "MetadataToken",
            "/latest/meta-data/iam/security-credentials/": "MetadataRole",
            f"/latest/meta-data/iam/security-credentials/{ROLE}": "MetadataCredentials",
            "/container-credentials": "ContainerCredentials",
            "/federation/credentials": "GetRoleCredentials",
            "/token": "CreateToken",
        }.get(path, f"{self.command} {path}")

    def _close_after(self, data: bytes) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.write(data)
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_WR)

    def _pour(self, fault: Fault, body: bytes) -> None:
        """Send ``body`` again and again, up to a limit that no client should come near."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.send_response(fault.status)
            self.send_header("Content-Type", fault.kind)
            self.end_headers()
            while self.server.aws.sent < POUR_LIMIT:
                self.wfile.write(body)
                self.wfile.flush()
                self.server.aws.sent += len(body)

    def _fail(self, operation: str, fault: Fault) -> None:
        code = fault.code or "InternalFailure"
        if operation in ("AssumeRole", "AssumeRoleWithWebIdentity", "GetCallerIdentity"):
            xml = (
                '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error>'
                f"<Type>Sender</Type><Code>{code}</Code><Message>{fault.message}</Message>"
                "</Error><RequestId>1</RequestId></ErrorResponse>"
            )
            self.send(fault.status, xml.encode(), "text/xml", fault.headers)
        else:
            body = {"__type": code, "message": fault.message}
            self.send(fault.status, json.dumps(body).encode(), headers=fault.headers)

    def _token(self, call: Call) -> dict[str, object]:
        aws = self.server.aws
        password = aws.new_password(call.access_key, call.region)
        return {
            "authorizationToken": base64.b64encode(f"AWS:{password}".encode()).decode(),
            "expiresAt": time.time() + aws.token_life,
        }

    def _answer_GetAuthorizationToken(self, call: Call, _: dict[str, str]) -> None:
        domain = next(d for prefix, d in DOMAINS.items() if call.region.startswith(prefix))
        endpoint = self.server.aws.proxy_endpoint
        data = {
            **self._token(call),
            "proxyEndpoint": endpoint or f"https://{ACCOUNT}.dkr.ecr.{call.region}.{domain}",
        }
        self.send(200, json.dumps({"authorizationData": [data]}).encode())

    def _answer_PublicGetAuthorizationToken(self, call: Call, _: dict[str, str]) -> None:
        self.send(200, json.dumps({"authorizationData": self._token(call)}).encode())

    def _sts(self, operation: str, result: str) -> None:
        xml = (
            f'<{operation}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
            f"<{operation}Result>{result}</{operation}Result>"
            f"<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></{operation}Response>"
        )
        self.send(200, xml.encode(), "text/xml")

    def _role_credentials(self, form: dict[str, str]) -> str:
        arn = form.get("RoleArn", "")
        name = re.sub(r"[^A-Za-z0-9]", "", arn.rpartition("/")[2])
        key, secret, token, end = self.server.aws.new_credentials(name)
        session = form.get("RoleSessionName", "")
        return (
            f"<Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}"
            f"</SecretAccessKey><SessionToken>{token}</SessionToken><Expiration>{end}</Expiration>"
            f"</Credentials><AssumedRoleUser><Arn>{arn}/{session}</Arn>"
            f"<AssumedRoleId>AROA:{session}</AssumedRoleId></AssumedRoleUser>"
        )

    def _answer_AssumeRole(self, _: Call, form: dict[str, str]) -> None:
        self._sts("AssumeRole", self._role_credentials(form))

    def _answer_AssumeRoleWithWebIdentity(self, _: Call, form: dict[str, str]) -> None:
        self._sts("AssumeRoleWithWebIdentity", self._role_credentials(form))

    def _answer_GetCallerIdentity(self, call: Call, _: dict[str, str]) -> None:
        self._sts(
            "GetCallerIdentity",
            f"<Arn>arn:aws:iam::{ACCOUNT}:user/{call.access_key}</Arn>"
            f"<UserId>{call.access_key}</UserId><Account>{ACCOUNT}</Account>",
        )

    def _answer_MetadataToken(self, _: Call, __: dict[str, str]) -> None:
        self.send(200, b"metadata-token", "text/plain")

    def _answer_MetadataRole(self, _: Call, __: dict[str, str]) -> None:
        self.send(200, ROLE.encode(), "text/plain")

    def _answer_MetadataCredentials(self, _: Call, __: dict[str, str]) -> None:
        key, secret, token, end = self.server.aws.new_credentials("instance")
        document = {
            "Code": "Success",
            "Type": "AWS-HMAC",
            "LastUpdated": "2026-01-01T00:00:00Z",
            "AccessKeyId": key,
            "SecretAccessKey": secret,
            "Token": token,
            "Expiration": end,
        }
        self.send(200, json.dumps(document).encode(), "application/json")

    def _answer_ContainerCredentials(self, _: Call, __: dict[str, str]) -> None:
        key, secret, token, end = self.server.aws.new_credentials("container")
        document = {
            "AccessKeyId": key,
            "SecretAccessKey": secret,
            "Token": token,
            "Expiration": end,
        }
        self.send(200, json.dumps(document).encode(), "application/json")

    def _answer_GetRoleCredentials(self, _: Call, __: dict[str, str]) -> None:
        key, secret, token, _end = self.server.aws.new_credentials("sso")
        milliseconds = int((time.time() + self.server.aws.credential_life) * 1000)
        document = {
            "roleCredentials": {
                "accessKeyId": key,
                "secretAccessKey": secret,
                "sessionToken": token,
                "expiration": milliseconds,
            }
        }
        self.send(200, json.dumps(document).encode(), "application/json")

    def _answer_CreateToken(self, _: Call, __: dict[str, str]) -> None:
        document = {"accessToken": "SSO-CANARY", "tokenType": "Bearer", "expiresIn": 3600}
        self.send(200, json.dumps(document).encode(), "application/json")


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    parser.add_argument(
        "--password", help="the one password to issue, for a registry with htpasswd"
    )
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before every answer")
    options = parser.parse_args()
    tls = tuple(options.tls) if options.tls else None
    with FakeAWS(host=options.host, port=options.port, tls=tls, password=options.password) as aws:
        aws.delay = options.delay
        threading.Event().wait()


if __name__ == "__main__":
    main()
