"""
Reaching a running lab from another terminal: ``pmwatchd lab kill node3``.

One lab per user listens on a socket in a folder that only this user can
enter; both sides refuse a folder that is somebody else's.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from pathlib import Path
from types import TracebackType
from typing import Self

import click

from pmwatchd.lab.chronicle import LabError
from pmwatchd.lab.site import Site

DONE, UNREACHABLE, REFUSED = 0, 3, 4  # exit codes of the command line
_PATIENCE_S = 5.0


class Control:
    """The listening side; an asynchronous context."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._path = socket_path()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        folder = self._path.parent
        folder.mkdir(mode=0o700, exist_ok=True)
        if (wrong := _wrong_with(folder)) is not None:
            raise LabError(wrong)
        try:
            _, writer = await asyncio.open_unix_connection(self._path)
        except OSError:
            self._path.unlink(missing_ok=True)
        else:
            writer.close()
            raise LabError("another lab of yours is running already")
        self._server = await asyncio.start_unix_server(self._serve, self._path)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        words = (await reader.readline()).decode(errors="replace").split()
        if words:
            code, sentence = await carry_out(self._site, words[0], " ".join(words[1:]))
            writer.write(f"{code} {sentence}\n".encode())
        writer.close()


async def carry_out(site: Site, verb: str, host: str) -> tuple[int, str]:
    """Do one thing to the site; an exit code and a sentence."""
    if host not in site.names:
        return REFUSED, f"there is no host {host} in this lab"
    if verb.startswith("ssh-") and host not in site.proxies:
        return REFUSED, f"{host} has no SSH server; {' and '.join(site.proxies)} have"
    match verb:
        case "kill":
            site.machine(host).hang()
        case "start":
            site.machine(host).start()
        case "bmc-dead":
            site.lose_bmc(host)
        case "bmc-back":
            await site.mend_bmc(host)
        case "ssh-dead":
            site.lose_ssh(host)
        case "ssh-back":
            await site.mend_ssh(host)
        case _:
            return REFUSED, f"there is nothing called {verb}"
    return DONE, f"{verb} {host}: done; the lab's own terminal tells what follows"


def act(verb: str, host: str) -> int:
    """Ask the running lab to do one thing; the exit code."""
    try:
        reply = _ask(socket_path(), f"{verb} {host}\n")
    except OSError as error:
        click.echo(f"No lab of yours answers ({error}). Start one: pmwatchd lab", err=True)
        return UNREACHABLE
    code, _, sentence = reply.strip().partition(" ")
    click.echo(sentence, err=code != str(DONE))
    return int(code) if code else UNREACHABLE


def _ask(path: Path, request: str) -> str:
    if (wrong := _wrong_with(path.parent)) is not None:
        raise PermissionError(wrong)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_PATIENCE_S)
        connection.connect(str(path))
        connection.sendall(request.encode())
        with connection.makefile(encoding="utf-8") as replies:
            return replies.readline()


def socket_path() -> Path:
    """Where this user's lab listens."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime:
        return Path(runtime) / "pmwatchd-lab" / "control.sock"
    # Always the same place, whatever TMPDIR is in the other terminal.
    return Path("/tmp") / f"pmwatchd-lab-{os.getuid()}" / "control.sock"  # noqa: S108 - checked


def _wrong_with(folder: Path) -> str | None:
    """Why the socket's folder cannot be trusted, or None."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        return f"{folder} is not a folder that only you can enter"
    return None
