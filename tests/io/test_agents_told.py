"""An agent that is told nothing is not started: told no action, many switch power off and on."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from pmwatchd.core.metadata import Metadata
from pmwatchd.core.model import (
    AgentResult,
    Candidate,
    FenceAction,
    FenceAgent,
    Limits,
    PowerStatus,
    ProxyResult,
    ProxySource,
    Reply,
)
from pmwatchd.errors import WithdrawnError
from pmwatchd.io.agents import Catalogue, FenceAgents
from pmwatchd.io.agents.catalogue import Ask
from pmwatchd.io.local import LocalTransport
from pmwatchd.ports import always, told
from tests.kit.parts import needs
from tests.kit.proxy import Proxy
from tests.kit.ssh import Build, candidate, sessions_of
from tests.kit.waiting import eventually

pytestmark = needs("sshd", "ssh-keygen")

ENGINE = Candidate(name="engine", source=ProxySource.ENGINE)
AGENT = FenceAgent(name="bmc", type="toy", address="10.0.0.1", options_checked=True)

SWITCHES = """#!/bin/sh
told=$(cat)
echo "$told" >> {switched}
echo "Status: ON"
"""


class Undescribed(Catalogue):
    """Holds that no agent describes itself, and asks none."""

    async def look_up(self, proxy: Candidate, agent_type: str, ask: Ask) -> Metadata | None:  # noqa: ARG002 - as a catalogue has it
        return None


class Site:
    """An agent that switches something whatever it is told, here and on a proxy."""

    def __init__(self, directory: Path, proxy: Proxy, transport_with: Build) -> None:
        self.program = directory / "fence_toy"
        self.switched = directory / "switched"
        self.proxy = proxy
        self._agents = FenceAgents(
            agent_dir=str(directory),
            ssh=transport_with(),
            local=LocalTransport(str(directory)),
            catalogue=Undescribed(tell=print),
        )
        self.write(SWITCHES.format(switched=self.switched))

    def write(self, script: str) -> None:
        self.program.write_text(script)
        self.program.chmod(0o755)

    async def execute(
        self,
        through: str,
        action: FenceAction = FenceAction.STATUS,
        *,
        limits: Limits = Limits(10.0, 1.0),  # noqa: B008 - frozen
        permitted: Callable[[], bool] = always,
    ) -> Reply:
        where = ENGINE if through == "engine" else candidate(self.proxy)
        return await self._agents.execute(AGENT, action, where, limits=limits, permitted=permitted)

    async def is_over(self) -> None:
        """Wait until no process has the agent in its command line, ``timeout`` and shells too."""
        await asyncio.to_thread(
            eventually, lambda: not runs(str(self.program)), within_s=10, what="nothing runs"
        )


def runs(word: str) -> bool:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word.encode() in path.read_bytes():
                return True
        except OSError:
            continue
    return False


@pytest.fixture
def site(tmp_path: Path, proxy: Proxy, transport_with: Build) -> Site:
    return Site(tmp_path, proxy, transport_with)


async def test_what_is_withdrawn_after_it_began_starts_no_agent(site: Site) -> None:
    with pytest.raises(WithdrawnError):
        await site.execute("ssh", FenceAction.OFF, permitted=lambda: False)
    await site.is_over()

    assert not site.switched.exists()


async def test_a_connection_that_breaks_before_the_options_are_sent_starts_no_agent(
    site: Site,
) -> None:
    def permitted_and_cut() -> bool:
        for session in sessions_of(site.proxy):
            os.kill(session, signal.SIGKILL)
        return True

    reply = await site.execute("ssh", limits=Limits(0.5, 0.5), permitted=permitted_and_cut)
    await site.is_over()

    assert [one.result for one in reply.tries] == [ProxyResult.LOST]
    assert not site.switched.exists()


async def test_the_engine_starts_no_agent_that_is_told_nothing(site: Site) -> None:
    local = LocalTransport(str(site.program.parent))

    completed = await local.run(ENGINE, told([str(site.program)]), b"", over_s=10.0)

    assert completed.exit_code == 1
    assert not site.switched.exists()


@pytest.mark.parametrize("through", ["engine", "ssh"])
async def test_an_agent_gets_every_line_of_what_it_is_told(site: Site, through: str) -> None:
    reply = await site.execute(through)

    assert reply.power is PowerStatus.ON
    assert site.switched.read_text() == "action=status\nip=10.0.0.1\n"


@pytest.mark.parametrize("through", ["engine", "ssh"])
@pytest.mark.parametrize("child", ["", "(trap '' TERM; exec sleep 60) & "])
async def test_an_agent_that_is_deaf_to_its_end_is_killed_with_its_children(
    site: Site, through: str, child: str
) -> None:
    site.write(f"#!/bin/sh\n{child}trap '' TERM\nwhile :; do sleep 0.1; done\n")

    reply = await site.execute(through, limits=Limits(0.5, 0.5))
    await site.is_over()

    assert reply.result is AgentResult.TIMEOUT
    assert reply.took_s >= 0.9  # counted from a moment after its start


@pytest.mark.parametrize("through", ["engine", "ssh"])
async def test_a_helper_that_is_deaf_and_has_streams_of_its_own_is_killed_before_all_is_over(
    site: Site, through: str
) -> None:
    helper = f"(trap '' TERM; while [ -e {site.program} ]; do sleep 0.1; done)"
    site.write(f"#!/bin/sh\n{helper} </dev/null >/dev/null 2>&1 &\nwait\n")

    reply = await site.execute(through, FenceAction.OFF, limits=Limits(0.5, 0.5))

    assert reply.result is AgentResult.TIMEOUT
    await site.is_over()


@pytest.mark.parametrize("through", ["engine", "ssh"])
async def test_an_agent_that_reads_nothing_is_told_by_its_own_exit_status(
    site: Site, through: str
) -> None:
    site.write("#!/bin/sh\necho Status: OFF; exit 2\n")

    reply = await site.execute(through)

    assert (reply.exit_code, reply.power) == (2, PowerStatus.OFF)
