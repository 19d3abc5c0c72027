"""The fence agents that are installed here, asked what they say of themselves."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import IO

from pmwatchd.config.faults import WrongError
from pmwatchd.core.metadata import SIZE_MAX, Metadata, MetadataError, parse

_TIMEOUT_S = 10.0
_AT_ONCE = 4


class Installed:
    """
    The fence agents of this machine; each is asked once, and again when it changes.

    Args:
        patience_s: One that takes longer, on a busy machine, is as if it were not here.
    """

    def __init__(self, agent_dir: Path, patience_s: float = _TIMEOUT_S) -> None:
        self.agent_dir = agent_dir
        self._patience_s = patience_s
        # A failure is kept for one run only: the next reload may find a faster machine.
        self._failed: dict[str, WrongError] = {}
        self._slow: set[str] = set()

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
        Ask an agent for its metadata; None when it is not installed here, or too slow now.

        Raises:
            WrongError: It is installed and does not say what it is.
        """
        program = self._program(agent_type)
        if agent_type not in self or agent_type in self._slow:
            return None
        if agent_type in self._failed:
            raise self._failed[agent_type]
        state = program.stat()
        try:
            return _ask(program, self._patience_s, state.st_mtime_ns, state.st_size)
        except TimeoutError:
            self._slow.add(agent_type)
            return None
        except WrongError as wrong:
            self._failed[agent_type] = wrong
            raise

    def silence_of(self, agent_type: str) -> str:
        """Say why nothing is known of an agent that :meth:`describe` knows nothing of."""
        if agent_type in self._slow:
            return f"fence_{agent_type} did not say within {self._patience_s:g} s what it is"
        return f"fence_{agent_type} is not in {self.agent_dir} of this machine"

    def _program(self, agent_type: str) -> Path:
        return self.agent_dir / f"fence_{agent_type}"


@lru_cache(maxsize=256)
def _ask(program: Path, patience_s: float, _changed_ns: int, _size: int) -> Metadata:
    """
    Run the agent; its time of change and size are there to tell versions apart.

    Raises:
        TimeoutError: It took too long.
        WrongError: It does not say what it is.
    """
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
        try:
            text = _read(process.stdout, patience_s) if process.stdout else b""
        finally:
            _end(process)
    try:
        return parse(text)
    except MetadataError as error:
        raise WrongError(str(error), "Reinstall the agent") from None


def _read(output: IO[bytes], patience_s: float) -> bytes:
    """
    Read what an agent says until nobody can say more, and no more than metadata may be long.

    Raises:
        TimeoutError: It took too long; what it started may have kept its output open.
    """
    text = b""
    ends_at = time.monotonic() + patience_s
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while len(text) <= SIZE_MAX:
            if not selector.select(max(0.0, ends_at - time.monotonic())):
                raise TimeoutError
            more = os.read(output.fileno(), SIZE_MAX)
            if not more:
                break
            text += more
    return text


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill an agent with all its children, unless it is over."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
