"""
The real daemon as a process of its own: started, listened to, ended, killed.

Its log goes into the chronicle line by line and, as it came, into
``daemon.log`` in the lab's folder; its standard error into ``daemon.err``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from pmwatchd.lab.chronicle import LabError

Shown = Mapping[str, Any]
"""What the daemon shows of one host, as its API has it."""

PROGRAM = (sys.executable, "-m", "pmwatchd")
_LINE_LIMIT = 1 << 20
_STOP_S = 8.0
_ASK_S = 2.0
_POLL_S = 0.1


class Daemon:
    """
    One daemon on the lab's configuration; it may be killed and started again.

    Args:
        heard: Called with every line of its log.
        program: What is started, before ``run --config FILE``.
    """

    def __init__(
        self,
        folder: Path,
        config: Path,
        api_socket: Path,
        heard: Callable[[Mapping[str, object]], None],
        program: Sequence[str] = PROGRAM,
    ) -> None:
        self._folder = folder
        self._config = config
        self._api_socket = api_socket
        self._heard = heard
        self._program = program
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._ours = False  # its end is our own doing
        self._died: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Start it; what is in this process's environment does not configure it."""
        with (self._folder / "daemon.err").open("ab") as errors:
            self._process = await asyncio.create_subprocess_exec(
                *(*self._program, "run", "--config", str(self._config)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env=_environment(),
                limit=_LINE_LIMIT,
                # Ctrl-C is meant for the lab, which then ends the daemon in order.
                start_new_session=True,
            )
        self._ours = False
        self._tasks = [
            asyncio.create_task(self._listen(self._process)),
            asyncio.create_task(self._watch(self._process)),
        ]

    async def died(self) -> int:
        """Wait until it ends by itself; its exit status, negative for a signal."""
        return await asyncio.shield(self._died)

    async def kill(self) -> None:
        """SIGKILL: it gets no chance to tidy up."""
        self._signal(signal.SIGKILL)
        await asyncio.gather(*self._tasks)

    async def stop(self) -> int | None:
        """
        SIGTERM, and SIGKILL if that does not help; its exit status, None if not started.

        Whatever else is left in its session, such as an agent that it ran
        itself, is ended as well.
        """
        if self._process is None:
            return None
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_S)
        except TimeoutError:
            self._signal(signal.SIGKILL)
        await self._process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await asyncio.gather(*self._tasks)
        return self._process.returncode

    def last_words(self) -> str:
        """The last line of its standard error, or an empty string."""
        with contextlib.suppress(OSError):
            lines = (self._folder / "daemon.err").read_text(errors="replace").split("\n")
            return next((line.strip() for line in reversed(lines) if line.strip()), "")
        return ""

    async def tell(self, *words: str) -> None:
        """
        Give it a command as a person does, by the command line.

        Raises:
            LabError: It was refused, or failed; says why.
        """
        process = await asyncio.create_subprocess_exec(
            *(*self._program, *words, "--url", f"unix:{self._api_socket}"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=_environment(),
        )
        try:
            said, _ = await process.communicate()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        if process.returncode:
            words_said = said.decode(errors="replace").strip().replace("\n", " ")
            raise LabError(f"`pmwatchd {' '.join(words)}` was not done: {words_said}")

    async def hosts(self) -> dict[str, Shown]:
        """What it shows of every host; empty while it does not answer."""
        shown: dict[str, Shown] = {}
        cursor: str | None = ""
        connector = aiohttp.UnixConnector(str(self._api_socket))
        limit = aiohttp.ClientTimeout(total=_ASK_S)
        try:
            async with aiohttp.ClientSession(connector=connector, timeout=limit) as session:
                while cursor is not None:
                    query = {"cursor": cursor} if cursor else {}
                    url = "http://lab/api/v1/hosts"
                    async with session.get(url, params=query, raise_for_status=True) as reply:
                        page = await reply.json()
                    shown |= {str(host["name"]): host for host in page["items"]}
                    cursor = page.get("next")
        except (aiohttp.ClientError, OSError, TimeoutError):
            return {}
        except (KeyError, TypeError, ValueError) as error:
            raise LabError(f"the daemon's list of hosts cannot be read: {error!r}") from error
        return shown

    async def shows(self, wanted: Callable[[Mapping[str, Shown]], bool]) -> None:
        """Wait until what it shows of all hosts is as wanted."""
        while not wanted(await self.hosts()):  # noqa: ASYNC110 - another process has no Event
            await asyncio.sleep(_POLL_S)

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            return
        with (self._folder / "daemon.log").open("ab") as log:
            async for raw in process.stdout:
                log.write(raw)
                with contextlib.suppress(ValueError):
                    line = json.loads(raw)
                    if isinstance(line, dict):
                        self._heard(line)

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        if not self._ours and not self._died.done():
            self._died.set_result(code)

    def _signal(self, number: signal.Signals) -> None:
        self._ours = True
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)


def _environment() -> dict[str, str]:
    """Ours without what would configure a daemon or speak for it to a service manager."""
    ours = ("PMWATCHD_", "NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_", "JOURNAL_STREAM")
    return {key: value for key, value in os.environ.items() if not key.startswith(ours)}
