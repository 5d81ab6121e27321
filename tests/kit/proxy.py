"""A proxy for HTTPS on loopback: names of AWS lead to a server of the tests."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from typing import Self


class Proxy(socketserver.ThreadingTCPServer):
    """Records where it is asked to connect to, ``asked``, and connects to ``port`` instead.

    Without a port it refuses, with the status line ``answer``.
    """

    allow_reuse_address = daemon_threads = True

    def __init__(self, port: int | None = None, answer: str = "403 Forbidden") -> None:
        super().__init__(("127.0.0.1", 0), _Tunnel)
        self.port = port
        self.answer = answer
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Tunnel(socketserver.StreamRequestHandler):
    server: Proxy

    def handle(self) -> None:
        method, target, _ = self.rfile.readline().decode().split()
        assert method == "CONNECT"
        self.server.asked.append(target)
        while self.rfile.readline().strip():
            pass
        if self.server.port is None:
            self.wfile.write(f"HTTP/1.1 {self.server.answer}\r\nContent-Length: 0\r\n\r\n".encode())
            return
        with socket.create_connection(("127.0.0.1", self.server.port)) as there:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=_pump, args=(there, self.connection), daemon=True)
            back.start()
            _pump(self.connection, there)
            back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
