"""A fence agent that keeps a book: which execution began and ended when, and by which proxy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.kit.parts import program

_WRAPPER = """\
#!/bin/sh
# The real agent with a book of its executions; its off is as slow as behind a busy network.
[ $# -eq 0 ] || exec {real} "$@"
options=$(cat)
action=${{options#action=}}
action=${{action%%
*}}
note() {{
    echo "$(date +%s.%N) $$ $1 ${{action:-none}} ${{SSH_CONNECTION##* }}" >>{book}
}}
pause={slow_s}
[ ! -e {stuck} ] || pause=600
note began
[ "$action" != off ] || sleep $pause
printf '%s\\n' "$options" | {real}
code=$?
note ended
exit $code
"""


@dataclass(frozen=True, slots=True)
class Execution:
    """
    One run of the agent.

    Attributes:
        began: When, in seconds since the epoch.
        ended: When it came to its own end; None: it was ended, or still runs.
        port: The port of the proxy that ran it; 0 without one.
        pid: Its process, which leads a group of its own below ``timeout``.
    """

    began: float
    ended: float | None
    action: str
    port: int
    pid: int


@dataclass(slots=True)
class AgentBook:
    """
    A directory of agents with ``fence_ipmilan`` in it.

    Attributes:
        slow_s: How long an off takes before it reaches the device.
    """

    directory: Path
    slow_s: float = 0.0

    def write(self) -> None:
        """Make the agent."""
        self.directory.mkdir()
        agent = self.directory / "fence_ipmilan"
        agent.write_text(
            _WRAPPER.format(
                real=program("fence_ipmilan"),
                book=self.directory / "book",
                stuck=self._stuck,
                slow_s=self.slow_s,
            )
        )
        agent.chmod(0o755)

    @property
    def _stuck(self) -> Path:
        return self.directory / "stuck"

    def stick(self) -> None:
        """Let every off from now on hang before it reaches the device."""
        self._stuck.touch()

    def unstick(self) -> None:
        """Let every off from now on get through; one that hangs already stays."""
        self._stuck.unlink()

    def executions(self, *actions: str) -> list[Execution]:
        """Every execution with one of these actions, or all, in the order of their beginning."""
        try:
            lines = (self.directory / "book").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [one for one in _read(lines) if not actions or one.action in actions]


def _read(lines: Sequence[str]) -> Iterator[Execution]:
    notes = [line.split() for line in lines]
    ends = {(note[1], note[3]): float(note[0]) for note in notes if note[2] == "ended"}
    for at, pid, what, action, *port in notes:
        if what == "began":
            yield Execution(
                began=float(at),
                ended=ends.get((pid, action)),
                action=action,
                port=int(port[0]) if port else 0,
                pid=int(pid),
            )
