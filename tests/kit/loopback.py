"""HTTP servers of the kit's own on loopback, with TLS or without: what AWS's and the registries share."""

from __future__ import annotations

import contextlib
import http.server
import socketserver
import ssl
from collections.abc import Mapping
from typing import Any


class Server(http.server.ThreadingHTTPServer):
    """A server of which each connection has a thread of its own."""

    daemon_threads = True
    request_queue_size = 512

    def speak_tls(self, certificate: str, key: str) -> None:
        """Have every client shake hands, in its own thread: one that hangs keeps nobody else."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        if isinstance(request, ssl.SSLSocket):
            try:
                request.do_handshake()
            except OSError:
                self.shutdown_request(request)
                return
        socketserver.ThreadingMixIn.process_request_thread(self, request, client_address)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with a whole body at a time, and says nothing on stderr."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one write for an answer, as AWS's: two would wait for a delayed ACK, 40 ms
    disable_nagle_algorithm = True
    kind = "application/json"  # of a body of which nothing else is said

    def log_message(self, *_: object) -> None:
        pass

    def send(
        self, status: int, body: bytes, kind: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer, if somebody is still there; to HEAD without the body."""
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", kind or self.kind)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
            self.wfile.flush()
