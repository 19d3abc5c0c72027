"""Debian's own ``fence_dummy``, a real user of the fencing library, run by the engine."""

from __future__ import annotations

import secrets

import pytest

from pmwatchd.core.model import (
    AgentResult,
    Candidate,
    FenceAction,
    FenceAgent,
    Limits,
    PowerStatus,
    ProxySource,
)
from pmwatchd.io.agents import Catalogue, FenceAgents
from pmwatchd.io.local import LocalTransport
from tests.kit.parts import program

ENGINE = Candidate(name="engine", source=ProxySource.ENGINE)
CANARY = f"canary{secrets.token_hex(8)}"
STATUS, OFF = FenceAction.STATUS, FenceAction.OFF

pytestmark = pytest.mark.skipif(
    program("fence_dummy") is None,
    reason="fence_dummy not installed (apt install fence-agents)",
)


def agents() -> FenceAgents:
    local = LocalTransport("/usr/sbin")
    return FenceAgents(
        agent_dir="/usr/sbin",
        ssh=local,
        local=local,
        catalogue=Catalogue(tell=print),
    )


async def test_a_reading_is_understood() -> None:
    dummy = FenceAgent(name="dummy", type="dummy", address="", options={"type": "fail"})

    reply = await agents().execute(dummy, STATUS, ENGINE, limits=Limits())

    assert (reply.result, reply.power) == (AgentResult.OK, PowerStatus.ON)


async def test_an_option_that_it_does_not_know_is_not_sent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    dummy = FenceAgent(
        name="dummy", type="dummy", address="10.0.0.1", options={"type": "fail", "kg": CANARY}
    )

    reply = await agents().execute(dummy, STATUS, ENGINE, limits=Limits())

    told = capsys.readouterr().out
    assert (reply.result, reply.power) == (AgentResult.OK, PowerStatus.ON)
    assert [told.count(f"'option': '{name}'") for name in ("ip", "kg")] == [1, 1]
    assert CANARY not in told


async def test_a_failure_is_shown_by_its_error_line_not_by_warnings() -> None:
    dummy = FenceAgent(
        name="dummy", type="dummy", address="", options={"type": "fail", "power_timeout": "1"}
    )

    reply = await agents().execute(dummy, OFF, ENGINE, limits=Limits())

    assert (reply.result, reply.exit_code) == (AgentResult.ERROR, 1)
    assert reply.text.startswith("ERROR: ")
