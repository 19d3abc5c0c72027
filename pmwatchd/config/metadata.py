"""The fence agents that are installed here, asked what they say of themselves."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

from pmwatchd.config.faults import WrongError
from pmwatchd.core.metadata import SIZE_MAX, Metadata, MetadataError, parse

_TIMEOUT_S = 10.0
_AT_ONCE = 4


class Installed:
    """The fence agents of this machine; each is asked once, and again when it changes."""

    def __init__(self, agent_dir: Path) -> None:
        self.agent_dir = agent_dir
        # A failure is kept for one run only: the next reload may find a faster machine.
        self._failed: dict[str, WrongError] = {}

    def __contains__(self, agent_type: str) -> bool:
        return os.access(self._program(agent_type), os.X_OK)

    def ask_ahead(self, types: Iterable[str]) -> None:
        """Ask several agents at the same time; what they say is kept."""

        def ask(agent_type: str) -> None:
            try:
                self.describe(agent_type)
            except WrongError:
                return  # said again, with its place, when the agent is judged

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(ask, sorted(set(types))))

    def describe(self, agent_type: str) -> Metadata | None:
        """
        Ask an agent for its metadata; None when it is not installed here.

        Raises:
            WrongError: It is installed and does not say what it is.
        """
        program = self._program(agent_type)
        if agent_type not in self:
            return None
        if agent_type in self._failed:
            raise self._failed[agent_type]
        state = program.stat()
        try:
            return _ask(program, state.st_mtime_ns, state.st_size)
        except WrongError as wrong:
            self._failed[agent_type] = wrong
            raise

    def _program(self, agent_type: str) -> Path:
        return self.agent_dir / f"fence_{agent_type}"


@lru_cache(maxsize=256)
def _ask(program: Path, _changed_ns: int, _size: int) -> Metadata:
    """Run the agent; its time of change and size are there to tell versions apart."""
    # Agents take PCMK_service as leave to switch their time-outs off; nothing of ours is needed.
    environ = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}
    try:
        process = subprocess.Popen(  # noqa: S603 - fixed arguments, the type was checked
            [str(program), "-o", "metadata"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environ,
            start_new_session=True,
        )
    except OSError as error:
        raise WrongError(f"it cannot be run: {error.strerror}", "Reinstall the agent") from None
    with process:
        watchdog = threading.Timer(_TIMEOUT_S, _end, [process])
        watchdog.start()
        try:
            # One that writes without end is cut off here, one that never ends by the watchdog.
            text = process.stdout.read(SIZE_MAX + 1) if process.stdout else b""
        finally:
            watchdog.cancel()
            _end(process)
    try:
        return parse(text)
    except MetadataError as error:
        raise WrongError(str(error), "Reinstall the agent") from None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill an agent with all its children, unless it is over."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
