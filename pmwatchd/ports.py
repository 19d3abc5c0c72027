"""
What the engine and the runner need from outside, as Protocols.

``io`` implements them, ``app`` joins them, tests put scripted iron behind
them.  Nothing here knows SQLite, SSH or a socket.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from pmwatchd.core.events import PersonEvent
from pmwatchd.core.model import (
    Candidate,
    FenceAction,
    FenceAgent,
    Host,
    Limits,
    Opinion,
    ProbeResult,
    Reply,
)
from pmwatchd.core.orders import (
    Accepted,
    PowerRead,
    Refused,
    SaveHost,
    SaveOperation,
    SaveSite,
    Told,
)
from pmwatchd.core.views import HostView, OperationView, RaisedAlert, SiteView
from pmwatchd.errors import Fault

Row = Mapping[str, object]

# How much of each stream a transport keeps, in bytes; the rest is read and dropped.
OUTPUT_LIMIT = 64 * 1024

# How long a transport still listens to what a program that has ended left behind.
DRAIN_S = 0.5


def always() -> bool:
    """Permit everything."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """
    What the journal knows at start.

    Attributes:
        epoch: How often a daemon has opened this journal, this time included.
        sequence: Number of the last record.
        operations: Those still open.
    """

    epoch: int
    sequence: int
    hosts: Mapping[str, SaveHost] = field(default_factory=dict)
    operations: tuple[SaveOperation, ...] = ()
    site: SaveSite = field(default_factory=SaveSite)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One durable order with the wall-clock time it was given."""

    at: datetime
    order: Told | SaveOperation | SaveHost | SaveSite


class Journal(Protocol):
    """The durable memory; one writer, one process."""

    async def commit(self, entries: Sequence[Entry]) -> None:
        """
        Make all entries durable in one transaction, or none.

        Raises:
            JournalUnwritableError: Nothing of it is durable.
        """
        ...

    async def records(
        self,
        *,
        after: int = 0,
        host: str | None = None,
        operation: str | None = None,
        since: datetime | None = None,
        limit: int = 1000,
    ) -> list[Row]:
        """Records, ascending: ``sequence, at, event, host, operation``, then their fields."""
        ...

    async def operations(
        self,
        *,
        host: str | None = None,
        since: datetime | None = None,
        operation: str | None = None,
        limit: int = 100,
    ) -> list[Row]:
        """
        Operations, the newest first.

        Keys: ``id, host, action, cause, by, reason, opened_at, closed_at, outcome``.
        """
        ...


class Agents(Protocol):
    """Executes one agent on one machine."""

    async def execute(
        self,
        agent: FenceAgent,
        action: FenceAction,
        proxy: Candidate,
        *,
        limits: Limits,
        permitted: Callable[[], bool] = always,
    ) -> Reply:
        """
        Run the agent and return only when the execution is certainly over.

        A time-out or a lost connection waits until the proxy's ``timeout``
        must have ended the process, and comes back as an uncertain reply.
        *permitted* is asked at the last moment before the agent is told
        anything: getting there may have taken long.

        Raises:
            ProxyError: The proxy could not run it; nothing reached the device.
            WithdrawnError: It was not permitted any more; nothing reached the device.
        """
        ...


class Names(Protocol):
    """Knows the addresses behind names."""

    async def addresses(self, name: str, *, within_s: float | None) -> frozenset[str]:
        """
        All addresses of *name* as they were last known; none where that never succeeded.

        Waits only while nothing is known, and no longer than *within_s*
        seconds after the look-up began, or until it ends.
        """
        ...


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody else said of a silent host, and in words why."""

    opinion: Opinion
    reason: str = ""


class Inquiries(Protocol):
    """Asks others about a silent host; nothing of it touches power, nothing of it raises."""

    async def ask_witness(self, host: Host, witness: Candidate) -> Said:
        """
        Let a proxy try the host's probes from its own place in the network, within 2 s.

        ``none`` where the witness cannot be asked, or has no way to ask.
        """
        ...

    async def check_alive(self, host: Host, chain: Sequence[Candidate]) -> Said:
        """Run the site's own command, here or on the first machine of *chain* that can."""
        ...

    async def fence_softly(self, host: Host, target: Candidate) -> str:
        """Run the host's soft fencing command on itself; return "" or why it did not run."""
        ...


class Prober(Protocol):
    """Listens to hosts."""

    async def probe(self, host: Host) -> ProbeResult:
        """One fresh heartbeat, all probes of the host combined as configured."""
        ...

    def report_next(self, host: str) -> None:
        """Report the next heartbeat of *host* even if it answers as before."""
        ...

    def watch(self, hosts: Mapping[str, Host]) -> None:
        """Ask these hosts from now on; what is known of unchanged ones is kept."""
        ...

    def last_answer_at(self, host: str) -> float | None:
        """When a host last answered, on the monotonic clock."""
        ...


class Teller(Protocol):
    """Shows records: a log, metrics, an event stream."""

    def tell(self, told: Told) -> None:
        """Show one record; must not fail and must not wait."""
        ...


class Clock(Protocol):
    """Two clocks: one that decides, one that is shown."""

    def now(self) -> float:
        """Seconds, monotonic, with the time a machine slept counted."""
        ...

    def wall(self) -> datetime:
        """Wall-clock time, UTC; never decides anything."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """
    A program that ran on a machine and is certainly over.

    Attributes:
        exit_code: Its exit status; None when it was lost or killed by a signal.
        lost: The connection broke after the start; the outcome is unknown.
    """

    exit_code: int | None
    stdout: bytes = b""
    stderr: bytes = b""
    took_s: float = 0.0
    lost: bool = False


BEGUN = b"pmwatchd: begun\n"
"""What a command says first, on both streams, that announces itself."""


# Told no action, many agents switch power off and on again: none is started before its first
# line is here.  TERM, which `timeout` sends to all, must end the shell last: `timeout` goes with
# it, and then nobody would KILL an agent that is deaf to TERM.
_TOLD = (
    'IFS= read -r first && [ -n "$first" ] &&'
    r' { printf "%s\n" "$first"; cat; } | "$0" "$@"'
)


def told(argv: Sequence[str]) -> list[str]:
    """Return a command that starts *argv* once there is input for it, and never without."""
    return ["sh", "-c", f"trap exit TERM; {_TOLD}", *argv]


def announcing(argv: Sequence[str], *, switches: bool = False) -> list[str]:
    """
    Return a command that says that it has begun, and starts *argv* once it is :func:`told`.

    sshd confirms a command as soon as it has forked; the home directory, the shell and its
    start-up files may take any time after that.  Where nobody listens any more it ends there.
    One that *switches* waits to be killed after a TERM: `timeout` then kills all that an agent
    left behind.  One that only asks leaves nothing that matters.
    """
    ending = "sleep 999" if switches else "exit"
    word = BEGUN.decode().strip()
    said = f"echo '{word}' >&2 && echo '{word}'"
    return ["sh", "-c", f"trap '{ending}' TERM; {said} && {_TOLD}", *argv]


class Transport(Protocol):
    """Runs a program on a machine: over SSH, or here."""

    async def run(
        self,
        proxy: Candidate,
        argv: Sequence[str],
        stdin: bytes,
        *,
        over_s: float,
        permitted: Callable[[], bool] = always,
        announces: bool = False,
        switches: bool = False,
    ) -> Completed:
        """
        Run *argv* with *stdin*, written only after it has begun.

        Returns when the program ended, or, when the connection is lost or it does
        not end, *over_s* seconds after it had begun; so too when one that
        switches power was ended by force, for its helpers may go on.
        What the program left behind is listened to for ``DRAIN_S`` at most.

        Args:
            announces: It says itself when it has begun, see :func:`announcing`; else its
                start counts as soon as the machine has confirmed it.
            switches: It switches power; others only ask.

        Raises:
            ProxyError: It was not started, or did not begin in time.
            WithdrawnError: It was not *permitted* any more; nothing of *stdin* was written.
        """
        ...


class Dialled(StrEnum):
    """How a TCP port answered the connection that a proxy made to it."""

    SPOKE = "spoke"  # words came
    OPENED = "opened"  # accepted; no words were awaited, or it hung up without any
    REFUSED = "refused"
    MUTE = "mute"  # accepted, and then no words in time
    SILENT = "silent"


class Outpost(Transport, Protocol):
    """A transport that can also try TCP ports from a proxy's own place in the network."""

    async def try_tcp(
        self, proxy: Candidate, host: str, port: int, *, opening: bytes | None, within_s: float
    ) -> Dialled:
        """
        Let a proxy connect to a port; a name is looked up there.

        Args:
            opening: What to send before words are awaited; None: none are awaited.
            within_s: Limit of the answer, counted once the proxy itself is connected.

        Raises:
            ProxyError: The proxy could not be asked, could not try, or fell silent itself.
        """
        ...


class Meter(Protocol):
    """Counts what is too frequent for records."""

    def heartbeat(self, result: ProbeResult, took_s: float) -> None:
        """One heartbeat of one host came to an end."""
        ...

    def start_delay(self, late_s: float) -> None:
        """A round of heartbeats began so much later than planned."""
        ...

    def commit(self, took_s: float) -> None:
        """The journal made a transaction durable."""
        ...

    def connected(self, proxies: int) -> None:
        """So many SSH connections to proxies are kept now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How the daemon is: ``ready`` once the journal is read and the first pass is over."""

    ready: bool
    journal_writable: bool
    last_pass_age_s: float
    oldest_open_at: datetime | None = None
    loop_lag_s: float = 0.0


class Desk(Protocol):
    """What the API sees of the engine."""

    def hosts(self) -> list[HostView]:
        """Every host, by name."""
        ...

    def host(self, name: str) -> HostView | None:
        """One host, or None when it is not watched."""
        ...

    def operations(self) -> list[OperationView]:
        """Operations that are open, and the last that ended since this start, newest first."""
        ...

    def alerts(self) -> tuple[RaisedAlert, ...]:
        """Alerts of the whole site; those of a host are in its picture."""
        ...

    def site(self) -> SiteView:
        """What a person or the main file says for the whole site."""
        ...

    def shares(self) -> Mapping[tuple[str, str], float]:
        """
        The share of silent hosts, 0 to 1, by domain and value, as storms are judged by it.

        Keys are like ``("fleet", "")``, ``("cluster", "blue")``, ``("label:rack", "r12")``.
        """
        ...

    async def ask(self, make: Callable[[int], PersonEvent]) -> Accepted | Refused | PowerRead:
        """Put a person's event into the inbox and wait for the answer to it."""
        ...

    def wall_of(self, at: float) -> datetime:
        """A monotonic instant as wall-clock time, for showing."""
        ...

    def health(self) -> Health:
        """How the daemon is."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """What a reload did; with faults nothing was changed."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    warnings: tuple[str, ...] = ()
