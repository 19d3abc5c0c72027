"""
From the curtain to the last word: a folder, a site, the daemon, and everything tidied up after.

A performance ends within a bounded time, whatever the daemon does.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from pmwatchd.lab.chronicle import Chronicle, LabError
from pmwatchd.lab.control import Control
from pmwatchd.lab.daemon import PROGRAM, Daemon
from pmwatchd.lab.iron import Command
from pmwatchd.lab.scenarios import SCENARIOS
from pmwatchd.lab.scenarios.stage import BMC_THEN_PDU, TARGET, Stage, all_up
from pmwatchd.lab.site import Site
from pmwatchd.lab.story import Story
from pmwatchd.lab.verdict import Verdict

_LIMIT_S = 45.0
_START_LIMIT_S = 20.0


async def perform(
    name: str,
    hosts: int,
    story: Story,
    *,
    program: Sequence[str] = PROGRAM,
    limit_s: float = _LIMIT_S,
) -> int:
    """
    Play one scenario and tell it.

    Args:
        program: The daemon, before ``run --config FILE``.
        limit_s: When the play has failed if it is not over.

    Returns:
        0 when it ended as it should, else 1.
    """
    scenario = SCENARIOS[name]
    chronicle = Chronicle(story.happened)
    folder = _folder()
    story.begin(f"pmwatchd lab: {name}", scenario.plot)
    commands: list[Command] = []
    wrong: str | None = None
    try:
        site = Site(
            folder,
            hosts,
            scenario.wiring,
            chronicle,
            settings=scenario.settings,
            kdump=scenario.kdump,
        )
        commands = site.iron.record.commands
        async with _opened(site, chronicle, program) as stage:
            await _bounded(scenario.play(stage), stage, limit_s)
            await _end_in_order(stage.daemon)
    except LabError as error:
        wrong = str(error)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if wrong is None:
        shutil.rmtree(folder)
    story.end(
        Verdict(
            scenario=name,
            ok=wrong is None,
            reason=wrong or scenario.moral,
            took_s=chronicle.now_s,
            commands=tuple(
                (chronicle.seconds(command.at), command)
                for command in commands
                if command.action != "status"
            ),
            kept=None if wrong is None else str(folder),
            others=tuple(other for other in SCENARIOS if other != name),
        )
    )
    return 0 if wrong is None else 1


async def stay_open(hosts: int, story: Story) -> int:
    """Keep a site running for whoever wants to try things, until cancelled; 1 on a fault."""
    chronicle = Chronicle(story.happened)
    folder = _folder()
    story.begin("pmwatchd lab", f"A site of {hosts} hosts and the real daemon. Ctrl-C ends it.")
    try:
        async with (
            _opened(Site(folder, hosts, BMC_THEN_PDU, chronicle), chronicle) as stage,
            Control(stage.site),
        ):
            await _bounded(all_up(stage), stage, _START_LIMIT_S)
            for sentence in _what_to_try(stage.site):
                chronicle.lab("lab.hint", sentence)
            await _bounded(asyncio.Event().wait(), stage, None)
    except LabError as error:
        chronicle.lab("lab.failed", f"{error}. Everything is kept in {folder}")
        return 1
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return 0


async def _end_in_order(daemon: Daemon) -> None:
    if code := await daemon.stop():
        raise LabError(f"the daemon did not end in order: exit status {code}")


@asynccontextmanager
async def _opened(
    site: Site, chronicle: Chronicle, program: Sequence[str] = PROGRAM
) -> AsyncIterator[Stage]:
    async with site:
        proxies = " and ".join(site.proxies)
        words = f"{len(site.names)} hosts run, SSH servers on {proxies}"
        chronicle.lab("lab.opened", f"{words}; all files are in {site.folder}")
        daemon = Daemon(site.folder, site.config, site.api_socket, chronicle.daemon, program)
        await daemon.start()
        try:
            yield Stage(site, daemon, chronicle)
        finally:
            await daemon.stop()


async def _bounded(
    work: Coroutine[None, None, object], stage: Stage, limit_s: float | None
) -> None:
    """
    Do the work, but no longer than the daemon lives and not beyond a limit.

    Raises:
        LabError: The daemon died, or the time is over.
    """
    daemon, happenings = stage.daemon, stage.chronicle.happenings
    working, dying = asyncio.create_task(work), asyncio.create_task(daemon.died())
    try:
        await asyncio.wait({working, dying}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
        elif dying.done():
            words = daemon.last_words()
            said = f": {words}" if words else ""
            raise LabError(f"the daemon ended by itself, exit status {dying.result()}{said}")
        else:
            last = happenings[-1].message
            raise LabError(f"not over after {limit_s:.0f} s; the last thing seen: {last}")
    finally:
        working.cancel()
        dying.cancel()
        await asyncio.wait({working, dying})


def _what_to_try(site: Site) -> list[str]:
    url = f"--url unix:{site.api_socket}"
    return [
        "the site is open; look at it from another terminal:",
        f"  pmwatchd status {url}",
        f"  pmwatchd events --follow {url}",
        f"  curl --unix-socket {site.api_socket} http://lab/metrics",
        "and break something:",
        f"  pmwatchd lab kill {TARGET}        it hangs; watch it being fenced",
        f"  pmwatchd lab bmc-dead {TARGET}    its BMC dies; the PDU must do (bmc-back mends it)",
        "  pmwatchd lab ssh-dead node1    a proxy loses its SSH server (ssh-back mends it)",
        f"  pmwatchd lab start {TARGET}       press its power button",
    ]


def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="pmwatchd-lab-"))
