from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pmwatchd.lab.chronicle import Chronicle, LabError
from pmwatchd.lab.daemon import Daemon
from pmwatchd.lab.scenarios.stage import BMC, ITS_BMC, TARGET, Stage, end_well, untouched
from pmwatchd.lab.site import Site

REFUSES = "import sys; sys.exit(f'refused: {sys.argv[1]} {sys.argv[-1]}')"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    chronicle = Chronicle()
    async with Site(tmp_path, 3, (BMC,), chronicle, seed=1) as site:
        program = (sys.executable, "-c", REFUSES)
        daemon = Daemon(tmp_path, site.config, site.api_socket, chronicle.daemon, program)
        yield Stage(site, daemon, chronicle)


async def touch(stage: Stage, action: str) -> None:
    stage.site.machine("node2").switches[0].command(action, "fence@node1")
    await asyncio.Event().wait()


async def test_a_command_that_reaches_a_switch_ends_the_play_at_once(stage: Stage) -> None:
    with pytest.raises(LabError, match="node2-bmc accepts 'off' from fence@node1, though all live"):
        await untouched(stage, touch(stage, "off"), though="all live")


async def test_what_was_switched_before_does_no_harm(stage: Stage) -> None:
    stage.target.switches[0].command("off", "fence@node1")

    assert await untouched(stage, asyncio.sleep(0, "well"), though="all live") == "well"


async def test_a_question_to_a_switch_is_no_touch(stage: Stage) -> None:
    working = asyncio.create_task(untouched(stage, touch(stage, "status"), though="all live"))
    done, _ = await asyncio.wait({working}, timeout=0.1)

    assert not done
    working.cancel()


async def test_what_the_daemon_refuses_is_said_in_its_words(stage: Stage) -> None:
    with pytest.raises(LabError, match=r"`pmwatchd ack node3` was not done: refused: ack unix:"):
        await stage.daemon.tell("ack", TARGET)


async def test_a_play_does_not_end_well_when_the_iron_was_switched_too_often(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def all_up() -> dict[str, dict[str, str]]:
        return {name: {"status": "up"} for name in stage.site.names}

    monkeypatch.setattr(stage.daemon, "hosts", all_up)
    stage.chronicle.daemon({"event": "fence.closed", "host": TARGET})

    with pytest.raises(LabError, match="node3-bmc got nothing"):
        await end_well(stage, ITS_BMC)
