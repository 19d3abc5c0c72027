"""What an agent says of itself on a proxy decides what it is told: behaviour.md section 6."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from pmwatchd.core.model import Candidate, FenceAction, FenceAgent, ProxyResult, ProxySource, Reply
from pmwatchd.core.orders import Record
from pmwatchd.core.rules import Fencing
from pmwatchd.errors import ProxyError, WithdrawnError
from pmwatchd.io.agents import Catalogue, FenceAgents
from pmwatchd.ports import OUTPUT_LIMIT, Completed, always

NODE2 = Candidate(name="node2", source=ProxySource.CLUSTER, address="10.0.0.2")
NODE3 = Candidate(name="node3", source=ProxySource.CLUSTER, address="10.0.0.3")
ENGINE = Candidate(name="engine", source=ProxySource.ENGINE)
STATUS, OFF = FenceAction.STATUS, FenceAction.OFF
AGENT = FenceAgent(name="pdu", type="toy", address="10.0.0.1", plug="8", username="fence")
ON = Completed(exit_code=0, stdout=b"Status: ON\n")
MISSING = Completed(exit_code=127, stderr=b"timeout: failed to run command: No such file\n")


def described(*parameters: str) -> Completed:
    inner = "".join(f'<parameter name="{name}"/>' for name in ("action", *parameters))
    text = f"<resource-agent><parameters>{inner}</parameters></resource-agent>"
    return Completed(exit_code=0, stdout=text.encode())


NEW = described("ip", "username", "password", "plug", "power_wait")
OLD = described("ipaddr", "login", "passwd", "port")


@dataclass
class Proxies:
    """A transport on whose machines one agent is installed; it remembers what it was asked."""

    says: Completed | ProxyError = NEW
    ends: Completed = ON
    asked: list[tuple[str, list[str], bytes, float]] = field(default_factory=list)
    told: list[bytes] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()

    async def run(
        self,
        proxy: Candidate,
        argv: Sequence[str],
        stdin: bytes,
        *,
        over_s: float,
        permitted: Callable[[], bool] = always,
        announces: bool = False,  # noqa: ARG002 - as a transport has it
        switches: bool = False,  # noqa: ARG002 - as a transport has it
    ) -> Completed:
        if argv[-2:] != ["-o", "metadata"]:
            if not permitted():
                raise WithdrawnError
            self.told.append(stdin)
            return self.ends
        self.asked.append((proxy.name, list(argv), stdin, over_s))
        self.came.set()
        await self.open.wait()
        if isinstance(self.says, ProxyError):
            raise self.says
        return self.says


class Site:
    """Proxies, agents and a clock that stands still until a test moves it."""

    def __init__(self, says: Completed | ProxyError = NEW, **rules: float) -> None:
        self.now = 0.0
        self.records: list[Record] = []
        self.proxies = Proxies(says)
        self.here = Proxies(says)
        self.catalogue = Catalogue(tell=self.records.append, clock=lambda: self.now)
        self.fencing = Fencing(**rules)  # type: ignore[arg-type]  # a test names real fields
        self.agents = FenceAgents(
            agent_dir="/usr/sbin",
            ssh=self.proxies,
            local=self.here,
            catalogue=self.catalogue,
        )

    async def execute(
        self,
        agent: FenceAgent,
        action: FenceAction,
        proxy: Candidate,
        *,
        permitted: Callable[[], bool] = always,
    ) -> Reply:
        """Run the agent once, within the limits of these rules."""
        limits = self.fencing.limits(action)
        return await self.agents.execute(agent, action, proxy, limits=limits, permitted=permitted)

    async def ask(
        self, proxy: Candidate = NODE2, action: FenceAction = STATUS, agent: FenceAgent = AGENT
    ) -> bytes:
        """Run the agent once and return what it was told."""
        before = len(self.proxies.told) + len(self.here.told)
        await self.agents.execute(agent, action, proxy, limits=self.fencing.limits(action))
        told = (self.here if proxy.source is ProxySource.ENGINE else self.proxies).told
        assert len(self.proxies.told) + len(self.here.told) == before + 1
        return told[-1]

    def events(self) -> list[str]:
        return [record.event for record in self.records]


async def test_an_agent_is_asked_once_on_each_proxy_without_any_option() -> None:
    site = Site()
    for proxy in (NODE2, NODE2, NODE3, NODE2):
        await site.ask(proxy)
    await site.ask(ENGINE)

    command = ["timeout", "-k", "5", "5", "/usr/sbin/fence_toy", "-o", "metadata"]
    assert site.proxies.asked == [
        ("node2", command, b"", 6.0),
        ("node3", command, b"", 6.0),
    ]
    assert len(site.here.asked) == 1


async def test_each_type_is_asked_for_itself() -> None:
    site = Site()
    await site.ask()
    await site.ask(agent=replace(AGENT, type="other"))

    assert [argv[4] for _, argv, _, _ in site.proxies.asked] == [
        "/usr/sbin/fence_toy",
        "/usr/sbin/fence_other",
    ]


async def test_the_time_limit_of_a_status_binds_the_question_too() -> None:
    site = Site(status_timeout_s=2.0, kill_after_s=1.0)
    await site.ask()

    assert site.proxies.asked[0][1][:4] == ["timeout", "-k", "1", "2"]


async def test_names_are_those_that_the_agent_on_this_proxy_knows() -> None:
    site = Site(NEW)
    on_node2 = await site.ask(NODE2, OFF)
    site.proxies.says = OLD
    on_node3 = await site.ask(NODE3, OFF)

    assert on_node2 == b"action=off\nip=10.0.0.1\nusername=fence\nplug=8\npower_wait=0\n"
    assert on_node3 == b"action=off\nipaddr=10.0.0.1\nlogin=fence\nport=8\n"


async def test_an_agent_is_believed_for_an_hour() -> None:
    site = Site(NEW)
    await site.ask()
    site.proxies.says = OLD
    site.now = 3599.0
    before = await site.ask()
    site.now = 3600.0
    after = await site.ask()

    assert (b"ip=" in before, b"ipaddr=" in after) == (True, True)
    assert len(site.proxies.asked) == 2


async def test_an_agent_that_is_silent_after_an_hour_is_believed_as_before_and_asked_again() -> (
    None
):
    site = Site(OLD)
    await site.ask()
    site.now = 3600.0
    site.proxies.says = Completed(exit_code=1)

    assert b"ipaddr=" in await site.ask()
    assert b"ipaddr=" in await site.ask()
    assert len(site.proxies.asked) == 3


@pytest.mark.parametrize("uninstalled", [True, False])
async def test_an_agent_that_was_not_installed_is_asked_again(*, uninstalled: bool) -> None:
    site = Site(NEW)
    await site.ask()
    site.proxies.says = OLD
    if uninstalled:
        site.proxies.ends = MISSING
        with pytest.raises(ProxyError, match="cannot be run on node2") as refused:
            await site.execute(AGENT, STATUS, NODE2)
        assert refused.value.result is ProxyResult.NOT_INSTALLED
        site.proxies.ends = ON

    assert (b"ipaddr=" in await site.ask()) == uninstalled


GARBAGE = (
    Completed(exit_code=1, stderr=b"Traceback\n"),
    Completed(exit_code=0, stdout=b"<!DOCTYPE x><resource-agent/>"),
    Completed(exit_code=0, stdout=NEW.stdout.ljust(OUTPUT_LIMIT)),
    Completed(exit_code=124, stdout=NEW.stdout),
    Completed(exit_code=137),
    Completed(exit_code=None, lost=True, took_s=6.0),
)


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_one_that_does_not_describe_itself_is_told_new_names_and_asked_again(
    garbage: Completed,
) -> None:
    site = Site(garbage)
    unknown = [await site.ask(action=OFF), await site.ask(action=OFF)]
    site.proxies.says = OLD
    known = await site.ask(action=OFF)

    assert unknown == [b"action=off\nip=10.0.0.1\nusername=fence\nplug=8\n"] * 2
    assert b"ipaddr=10.0.0.1" in known
    assert len(site.proxies.asked) == 3
    assert site.events() == ["agent.metadata_refused"]


async def test_a_failure_is_told_again_only_after_it_was_mended() -> None:
    site = Site(GARBAGE[0])
    await site.ask()
    site.proxies.says = NEW
    await site.ask()
    site.now = 3600.0
    site.proxies.says = GARBAGE[0]
    await site.ask()

    assert site.events() == ["agent.metadata_refused"] * 2
    assert site.records[0].fields == {
        "proxy": "node2",
        "type": "toy",
        "reason": "its metadata is not XML",
    }


@pytest.mark.parametrize("says", [MISSING, ProxyError(ProxyResult.UNREACHABLE, "no route")])
async def test_a_proxy_that_cannot_ask_the_agent_cannot_run_it(
    says: Completed | ProxyError,
) -> None:
    site = Site(says)

    with pytest.raises(ProxyError) as refused:
        await site.execute(AGENT, OFF, NODE2)

    expected = says.result if isinstance(says, ProxyError) else ProxyResult.NOT_INSTALLED
    assert refused.value.result is expected
    assert (site.proxies.told, site.events()) == ([], [])


@pytest.mark.parametrize(
    ("agent", "says"),
    [
        (replace(AGENT, options={"systems_uri": "/1"}), GARBAGE[0]),
        (AGENT, replace(NEW, stdout=NEW.stdout.replace(b"action", b"act"))),
    ],
)
async def test_what_could_act_on_something_else_than_is_meant_is_the_proxys_failure(
    agent: FenceAgent, says: Completed
) -> None:
    site = Site(says)

    with pytest.raises(ProxyError, match="fence_toy is not run on node2"):
        await site.execute(agent, STATUS, NODE2)

    assert site.proxies.told == []


async def test_options_checked_here_are_sent_to_one_that_does_not_describe_itself() -> None:
    site = Site(GARBAGE[0])
    agent = replace(AGENT, options={"systems_uri": "/1"}, options_checked=True)

    assert b"systems_uri=/1\n" in await site.ask(agent=agent)


async def test_an_option_that_is_dropped_is_told_once_for_each_proxy_without_its_value() -> None:
    site = Site(NEW)
    agent = replace(AGENT, options={"cipher": "canary"}, ipport=623)
    for proxy in (NODE2, NODE2, NODE3):
        assert b"canary" not in await site.ask(proxy, agent=agent)

    told = [(r.fields["proxy"], r.fields["type"], r.fields["option"]) for r in site.records]
    assert told == [
        ("node2", "toy", "ipport"),
        ("node2", "toy", "cipher"),
        ("node3", "toy", "ipport"),
        ("node3", "toy", "cipher"),
    ]
    assert set(site.events()) == {"agent.option_dropped"}
    assert "canary" not in repr(site.records)


async def test_an_off_that_is_withdrawn_while_the_agent_describes_itself_is_not_sent() -> None:
    site = Site()
    site.proxies.open.clear()
    asked: list[str] = []

    def permitted() -> bool:
        asked.append("last look")
        return False

    running = asyncio.create_task(site.execute(AGENT, OFF, NODE2, permitted=permitted))
    await site.proxies.came.wait()
    assert asked == []  # not before the agent is known: that may take long

    site.proxies.open.set()
    with pytest.raises(WithdrawnError):
        await running
    assert (asked, site.proxies.told) == (["last look"], [])
