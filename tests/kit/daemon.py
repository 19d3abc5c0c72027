"""The daemon: ``pmwatchd run`` as a process, its log, and its API over the unix socket."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.kit.waiting import eventually

Document = dict[str, Any]


class _OverSocket(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=10)
        self._path = path

    def connect(self) -> None:
        """Reach the socket instead of a port."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@dataclass(slots=True)
class Daemon:
    """
    One daemon, which may be started again after its end on the same state.

    Attributes:
        config: Its main file.
        api: Its unix socket; a short path, because the kernel takes about 100 bytes.
        log: Where its output goes, that of every start.
        options: More options of ``pmwatchd run``.
    """

    config: Path
    api: Path
    log: Path
    process: subprocess.Popen[bytes] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()

    def start(self, *, within_s: float = 20) -> None:
        """Start the daemon and return when it says that it is ready."""
        self.spawn()
        eventually(self._ready, within_s=within_s, what="the daemon is ready")

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the daemon without waiting."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "pmwatchd", "run", "--config", str(self.config)),
                    *self.options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | self.environment,
            )
        return self.process

    def kill(self) -> None:
        """End it as a crash does: at once and without a word."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def terminate(self, *, within_s: float = 30) -> int:
        """Ask it to end, as systemd does, and return its exit code."""
        if self.process is None:
            raise RuntimeError("the daemon does not run")
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=within_s)
        self.process = None
        return code

    def records(self, event: str | None = None, **fields: object) -> list[Document]:
        """Lines of its log, of every start, with this event and these fields."""
        found = []
        for line in self.log.read_text(errors="replace").splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            if event in (None, record.get("event")) and all(
                record.get(key) == value for key, value in fields.items()
            ):
                found.append(record)
        return found

    def get(self, path: str) -> tuple[int, str]:
        """Answer of the API: status and text."""
        return self._ask("GET", path)

    def post(self, path: str, document: Document) -> tuple[int, Document]:
        """Answer of the API to a command: status and document."""
        status, text = self._ask("POST", path, json.dumps(document))
        told: Document = json.loads(text)
        return status, told

    def put(self, path: str, document: Document) -> tuple[int, Document]:
        """Answer of the API to a person's word: status and document."""
        status, text = self._ask("PUT", path, json.dumps(document))
        told: Document = json.loads(text)
        return status, told

    def _ask(self, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        connection = _OverSocket(self.api)
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def document(self, path: str) -> Document:
        """Return a JSON answer of the API that must be 200."""
        status, text = self.get(path)
        if status != http.client.OK:
            raise AssertionError(f"GET {path}: {status} {text}")
        document: Document = json.loads(text)
        return document

    def status(self, host: str) -> str:
        """What the daemon shows for a host."""
        return str(self.document(f"/api/v1/hosts/{host}")["status"])

    def wait_status(self, host: str, status: str, *, within_s: float = 15) -> None:
        """Return when *host* is shown as *status*."""
        eventually(
            lambda: self.status(host) == status, within_s=within_s, what=f"{host} is {status}"
        )

    def wait_record(self, event: str, *, within_s: float = 30, **fields: object) -> Document:
        """Return the first record with this event and these fields, once it is in the log."""
        found = eventually(
            lambda: self.records(event, **fields), within_s=within_s, what=f"{event} {fields}"
        )
        return found[0]

    def _ready(self) -> bool:
        if self.process is not None and (code := self.process.poll()) is not None:
            raise RuntimeError(f"pmwatchd ended with {code}: {self.log.read_text()[-2000:]}")
        try:
            return self.get("/readyz")[0] == http.client.OK
        except OSError:
            return False
