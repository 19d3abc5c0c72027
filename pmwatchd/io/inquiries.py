"""
What others know of a silent host, asked over SSH or by a program here.

A witness tries the host's own probes from its own place in the network.  It
reports what it found as a heartbeat would: any or all probes, weak signs and
strong ones.  What it could not try counts for nothing.
"""

from __future__ import annotations

import asyncio
import ssl
import urllib.parse
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from pmwatchd.core.model import (
    AliveCheck,
    Candidate,
    Heartbeat,
    Host,
    Opinion,
    Probe,
    ProbeResult,
    ProbeType,
    ProxyResult,
    ProxySource,
)
from pmwatchd.core.signs import combine, wants_words
from pmwatchd.errors import ProxyError
from pmwatchd.ports import Completed, Dialled, Outpost, Said, Transport

# A question may take 2 s.  A probe that was begun in time gets its full share of them, one SYN
# sent again included; one that a slow connection to the witness leaves less was not asked.
TRY_S = 1.7
DIAL_S = 1.4
PING_S = 1.5

SOFT_FENCING_S = 30.0
KILL_AFTER_S = 5.0

_HERE = Candidate(name="engine", source=ProxySource.ENGINE)
_TEXT_MAX = 120
_NOT_IN_TIME = 124  # timeout(1) ended the command
_CANNOT = (126, 127)  # it cannot be executed there, or is not there
_PORTS = {ProbeType.SSH: 22, ProbeType.HTTP: 80}
_HTTPS_PORT = 443
_WORDS = {
    Dialled.SPOKE: "answers",
    Dialled.OPENED: "accepts",
    Dialled.REFUSED: "refuses",
    Dialled.MUTE: "accepts and stays mute",
    Dialled.SILENT: "is silent",
}


@dataclass(frozen=True, slots=True)
class _Found:
    """
    What one probe found from the place of a witness.

    Attributes:
        strong: Words came; None: the probe asks for words and could not be tried as it should.
    """

    opinion: Opinion
    reason: str
    strong: bool | None = False


class NetworkInquiries:
    """
    Asks; implements :class:`pmwatchd.ports.Inquiries`.

    Args:
        outpost: Reaches witnesses, proxies and the hosts themselves.  Its connections
            are to be its own, so that no question keeps power waiting.
        local: Runs a site's own command here.
    """

    def __init__(self, *, outpost: Outpost, local: Transport) -> None:
        self._outpost = outpost
        self._local = local

    async def ask_witness(self, host: Host, witness: Candidate) -> Said:
        """Let *witness* try the probes of *host*, all at once."""
        if witness.source is ProxySource.ENGINE:
            return Said(Opinion.NONE, "the management node is no witness against itself")
        async with asyncio.TaskGroup() as group:
            probes = host.heartbeat.probes
            tasks = [group.create_task(self._try(witness, probe)) for probe in probes]
        return _combined(host.heartbeat, [task.result() for task in tasks])

    async def check_alive(self, host: Host, chain: Sequence[Candidate]) -> Said:
        """Run the site's own command, here or on the first machine of *chain* that can."""
        check = host.alive_check
        if check is None:
            return Said(Opinion.NONE, "it has no alive check")
        reasons = []
        for machine in chain if check.through_proxy else (_HERE,):
            try:
                return await self._check_on(machine, check)
            except ProxyError as error:
                reasons.append(error.reason)
        return Said(Opinion.NONE, "; ".join(reasons) or "there is no machine that could run it")

    async def fence_softly(self, host: Host, target: Candidate) -> str:
        """Run the soft fencing command of *host* on itself; "" when it ran well, else why not."""
        soft = host.power_management.soft_fencing
        if soft is None:
            return "it has no soft fencing command"
        argv = ["sh", "-c", soft.command]
        try:
            completed = await self._run_on(target, argv, SOFT_FENCING_S, kill_after=KILL_AFTER_S)
        except ProxyError as error:
            return error.reason
        if completed.exit_code == 0:
            return ""
        return _end_of(completed, SOFT_FENCING_S)

    async def _try(self, witness: Candidate, probe: Probe) -> _Found:
        speaks = probe.type in (ProbeType.SSH, ProbeType.HTTP)
        try:
            async with asyncio.timeout(TRY_S):
                if probe.type is ProbeType.ICMP:
                    return await self._ping(witness, probe)
                return await self._dial(witness, probe)
        except ProxyError as error:
            reason = error.reason
        except TimeoutError:
            reason = f"{witness.name} did not answer in time"
        return _Found(Opinion.NONE, reason, None if speaks else False)

    async def _dial(self, witness: Candidate, probe: Probe) -> _Found:
        dialled = await self._outpost.try_tcp(
            witness, probe.address, _port_of(probe), opening=_opening_of(probe), within_s=DIAL_S
        )
        reason = f"{probe.words} {_WORDS[dialled]}"
        if dialled in (Dialled.SILENT, Dialled.MUTE):
            return _Found(Opinion.SILENT, reason)
        return _Found(Opinion.ALIVE, reason, strong=dialled is Dialled.SPOKE)

    async def _ping(self, witness: Candidate, probe: Probe) -> _Found:
        argv = ["ping", "-c", "1", "-W", "1", "-n", "--", probe.address]
        completed = await self._outpost.run(witness, argv, b"", over_s=PING_S)
        if completed.exit_code == 0:
            return _Found(Opinion.ALIVE, f"{probe.words} answers")
        if completed.exit_code == 1:
            return _Found(Opinion.SILENT, f"{probe.words} is silent")
        return _Found(Opinion.NONE, f"{witness.name} cannot ping: {_end_of(completed, PING_S)}")

    async def _check_on(self, machine: Candidate, check: AliveCheck) -> Said:
        """
        Run it on one machine.

        Raises:
            ProxyError: That machine cannot run it.
        """
        if machine.source is ProxySource.ENGINE:
            completed = await self._local.run(machine, check.command, b"", over_s=check.timeout_s)
            not_alive = range(1, 126)
        else:
            completed = await self._run_on(machine, check.command, check.timeout_s)
            not_alive = range(1, _NOT_IN_TIME)  # and 125 is a failure of timeout(1) itself
        reason = f"{machine.name}: {_end_of(completed, check.timeout_s)}"
        if completed.exit_code in _CANNOT:
            raise ProxyError(ProxyResult.NOT_INSTALLED, reason)
        if completed.exit_code == 0:
            return Said(Opinion.ALIVE, reason)
        return Said(Opinion.SILENT if completed.exit_code in not_alive else Opinion.NONE, reason)

    async def _run_on(
        self,
        machine: Candidate,
        command: Sequence[str],
        limit_s: float,
        *,
        kill_after: float = 1.0,
    ) -> Completed:
        """Run a command that its own machine ends, whatever becomes of us."""
        argv = ["timeout", "-k", f"{kill_after:g}", f"{limit_s:g}", *command]
        completed = await self._outpost.run(machine, argv, b"", over_s=limit_s + 2 * kill_after)
        if completed.exit_code == _NOT_IN_TIME:
            return replace(completed, exit_code=None, lost=True)
        return completed


def _combined(heartbeat: Heartbeat, found: Sequence[_Found]) -> Said:
    """Say what a heartbeat would, made of the probes that could be tried."""
    reason = "; ".join(dict.fromkeys(one.reason for one in found))
    tried = [ProbeResult(one.opinion) for one in found if one.opinion is not Opinion.NONE]
    if not tried:
        return Said(Opinion.NONE, reason or "it has no probe to try")
    if combine(tried, require_all=heartbeat.require_all) is not ProbeResult.ALIVE:
        return Said(Opinion.SILENT, reason)
    signs = {one.strong for one in found}
    if True in signs or not (heartbeat.weak_is_silent and wants_words(heartbeat)):
        return Said(Opinion.ALIVE, reason)
    return Said(Opinion.NONE if None in signs else Opinion.SILENT, f"only weak signs: {reason}")


def _port_of(probe: Probe) -> int:
    return probe.port or (_HTTPS_PORT if probe.tls else _PORTS.get(probe.type, 22))


def _opening_of(probe: Probe) -> bytes | None:
    """What to say so that words come; None where none are awaited."""
    if probe.type is ProbeType.SSH:
        return b""
    if probe.type is not ProbeType.HTTP:
        return None
    if probe.tls:
        return _client_hello(probe.address)
    host = f"[{probe.address}]" if ":" in probe.address else probe.address
    path = urllib.parse.quote(probe.path, safe="/?&=%")
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()


def _client_hello(name: str) -> bytes:
    """The first words of TLS; whoever is awake behind the port answers, if only by an alert."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # nothing is learned but that somebody speaks
    context.verify_mode = ssl.CERT_NONE
    said = ssl.MemoryBIO()
    speaker = context.wrap_bio(ssl.MemoryBIO(), said, server_hostname=name)
    with suppress(ssl.SSLWantReadError):
        speaker.do_handshake()
    return said.read()


def _end_of(completed: Completed, limit_s: float) -> str:
    """How a program ended, in words, with the last line that it printed."""
    if completed.lost:
        return f"not over within {limit_s:g} s, or its connection was lost"
    if completed.exit_code is None:
        return "ended by a signal"
    printed = (completed.stderr or completed.stdout).decode(errors="replace").split("\n")
    line = next((line.strip() for line in reversed(printed) if line.strip()), "")
    text = "".join(sign for sign in line if sign.isprintable())[:_TEXT_MAX]
    return f"exit status {completed.exit_code}" + (f": {text}" if text else "")
