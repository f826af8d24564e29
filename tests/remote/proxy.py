"""A proxy before the node: it counts, is slow, and spoils answers as a test asks."""

from __future__ import annotations

import http.client
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

Replies = Any
"""A list of replies, or one."""


class Raw(Exception):
    """Bytes and a status instead of the node's answer."""

    def __init__(self, status: int, body: bytes, content_type: str = "application/json", **headers: str) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = {"Content-Type": content_type, **headers}


class Drop(Exception):
    """Ends the connection: before an answer, or after ``sent`` bytes of one that said to be longer."""

    def __init__(self, sent: bytes = b"", said: int = 0) -> None:
        super().__init__(sent)
        self.sent = sent
        self.said = said


class Endless(Exception):
    """A body without an end."""


class Proxy:
    """Forwards to ``target`` after ``latency`` seconds; ``spoil(calls, replies)`` gives what is answered instead.

    ``spoil`` sees the requests and the node's replies, both as lists, and every attempt. ``requests`` counts messages,
    ``waves`` how often one came when none was on its way, ``largest`` the calls in the largest.
    """

    def __init__(self, target: str, latency: float = 0.0) -> None:
        self.target = urlsplit(target)
        self.latency = latency
        self.spoil: Callable[[list[dict[str, Any]], list[dict[str, Any]]], Replies] | None = None
        self.lock = threading.Lock()
        self.reset()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                proxy.enter(body)
                try:
                    proxy.answer(self, body)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True
                finally:
                    proxy.leave()

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 64  # more than a client opens at once

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def reset(self) -> None:
        """Count from zero, spoil nothing."""
        self.requests = self.waves = self.flying = self.largest = 0
        self.methods: list[str] = []
        self.bodies: list[bytes] = []
        self.spoil = None

    def enter(self, body: bytes) -> None:
        with self.lock:
            self.requests += 1
            self.waves += self.flying == 0
            self.flying += 1
            calls = json.loads(body)
            calls = calls if isinstance(calls, list) else [calls]
            self.largest = max(self.largest, len(calls))
            self.methods += [call["method"] for call in calls]
            self.bodies.append(body)

    def leave(self) -> None:
        with self.lock:
            self.flying -= 1

    def answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        """What the node says, or what ``spoil`` makes of it."""
        time.sleep(self.latency)
        status, headers, reply = 200, {"Content-Type": "application/json"}, b""
        try:
            reply = self._forward(body)
            if self.spoil is not None:
                calls, replies = json.loads(body), json.loads(reply)
                whole = isinstance(calls, list)
                spoilt = self.spoil(calls if whole else [calls], replies if whole else [replies])
                reply = json.dumps(spoilt if whole or not isinstance(spoilt, list) else spoilt[0]).encode()
        except Raw as raw:
            status, reply, headers = raw.status, raw.body, raw.headers
        except Drop as drop:
            if drop.said:
                handler.send_response(200)
                handler.send_header("Content-Length", str(drop.said))
                handler.end_headers()
                handler.wfile.write(drop.sent)
            handler.close_connection = True
            return
        except Endless:
            handler.send_response(200)
            handler.end_headers()
            handler.close_connection = True
            while True:
                handler.wfile.write(b" " * 65536)
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(reply)))
        handler.end_headers()
        handler.wfile.write(reply)

    def _forward(self, body: bytes) -> bytes:
        connection = http.client.HTTPConnection(self.target.hostname or "", self.target.port, timeout=30)
        try:
            connection.request("POST", "/", body, {"Content-Type": "application/json"})
            return connection.getresponse().read()
        finally:
            connection.close()

    def close(self) -> None:
        """Stop."""
        self.server.shutdown()
        self.server.server_close()
