"""What an installed fence agent says of itself: which options it knows, which it needs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pmwatchd.config.faults import WrongError

_SIZE_MAX = 1024 * 1024
_TIMEOUT_S = 10.0
_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Metadata:
    """The options of one agent, as it names them itself."""

    parameters: frozenset[str]
    required: frozenset[str]
    ipport: int | None = None


def parse(text: bytes) -> Metadata:
    """
    Read the XML that ``fence_X -o metadata`` prints.

    Raises:
        WrongError: It is too large, has a DOCTYPE or an entity, or is no metadata.
    """
    remedy = "Reinstall the agent"
    if len(text) > _SIZE_MAX:
        raise WrongError("its metadata is larger than 1 MiB", remedy)
    if any(mark in text.upper() for mark in (b"<!DOCTYPE", b"<!ENTITY")):
        raise WrongError("its metadata holds a DOCTYPE or an entity", remedy)
    # Bytes that hide such a mark in another encoding than the declared UTF-8 are refused too.
    try:
        root = ET.fromstring(text.decode("utf-8"))  # noqa: S314 - no DOCTYPE, no entity, limited
    except (ET.ParseError, UnicodeDecodeError, ValueError):
        raise WrongError("its metadata is not XML", remedy) from None
    found = {item.get("name", ""): item for item in root.iter("parameter")}
    if root.tag != "resource-agent" or not found:
        raise WrongError("its metadata names no options", remedy)
    port = found.get("ipport")
    content = None if port is None else port.find("content")
    default = "" if content is None else content.get("default", "")
    return Metadata(
        parameters=frozenset(found),
        required=frozenset(name for name, item in found.items() if item.get("required") == "1"),
        ipport=int(default) if default.isascii() and default.isdigit() else None,
    )


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

    def default_port(self, agent_type: str) -> int | None:
        """The port that an agent uses when it is told none; None when that is not known."""
        try:
            metadata = self.describe(agent_type)
        except WrongError:
            return None
        return metadata.ipport if metadata else None

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
            text = process.stdout.read(_SIZE_MAX + 1) if process.stdout else b""
        finally:
            watchdog.cancel()
            _end(process)
    return parse(text)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill an agent with all its children, unless it is over."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
