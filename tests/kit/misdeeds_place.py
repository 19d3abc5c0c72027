"""A proxy with bad agents on it, the one door to power before it, and an ear for what is told."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from pmwatchd.core import tell
from pmwatchd.core.events import AgentReplied, Event
from pmwatchd.core.model import (
    FenceAction,
    FenceAgent,
    Heartbeat,
    Host,
    PowerManagement,
    ProbeResult,
    ProxySource,
)
from pmwatchd.core.orders import Record, RunAgent, Told
from pmwatchd.core.rules import Fencing
from pmwatchd.io.agents import Catalogue, FenceAgents
from pmwatchd.io.local import LocalTransport
from pmwatchd.io.ssh import SshTransport
from pmwatchd.observe.lines import line_of
from pmwatchd.runner import Runner
from tests.kit.proxy import Proxy
from tests.kit.ssh import Ledger, candidate


class NoProber:
    """Nothing answers and nobody listens."""

    async def probe(self, host: Host) -> ProbeResult:
        raise NotImplementedError

    def report_next(self, host: str) -> None:
        raise NotImplementedError

    def watch(self, hosts: object) -> None:
        raise NotImplementedError

    def last_answer_at(self, host: str) -> float | None:
        raise NotImplementedError


@dataclass
class Place:
    """A proxy with agents on it, the door to power before it, and all that was told."""

    directory: Path
    rules: Fencing
    proxy: Proxy
    ssh: SshTransport
    ledger: Ledger
    records: list[Record] = field(default_factory=list)

    async def run(self, agent: FenceAgent, action: FenceAction) -> AgentReplied:
        """Let the runner walk both proxies, and tell what became of it as the core does."""
        answered: asyncio.Queue[Event] = asyncio.Queue()
        agents = FenceAgents(
            agent_dir=str(self.directory),
            ssh=self.ssh,
            local=LocalTransport(str(self.directory)),
            catalogue=Catalogue(tell=self.records.append),
        )
        loop = asyncio.get_running_loop()
        runner = Runner(
            agents=agents, inbox=answered.put_nowait, prober=NoProber(), clock=loop.time
        )
        first = candidate(self.proxy)
        second = replace(first, name="node3", source=ProxySource.DC)
        running = asyncio.create_task(runner.run())
        runner.carry_out(
            RunAgent(
                host="node1",
                operation="op_1_1",
                turn=1,
                agent=agent,
                action=action,
                chain=(first, second),
                limits=self.rules.limits(action),
            )
        )
        event = await answered.get()
        running.cancel()
        assert isinstance(event, AgentReplied)
        host = Host(
            name="node1",
            address="10.0.0.1",
            heartbeat=Heartbeat(probes=()),
            power_management=PowerManagement(agents=(agent,)),
        )
        self.records += tell.reply(host, event.operation, event)
        return event

    def lines(self) -> str:
        """Everything told, as the log shows it."""
        at = datetime(2026, 11, 21, tzinfo=UTC)
        told = (Told(record, at) for record in (*self.records, *self.ledger.records))
        return "\n".join(json.dumps(line_of(one), ensure_ascii=False) for one in told)
