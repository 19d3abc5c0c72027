"""
Agents that misbehave, run for real: what each comes to, what is told, how long it takes.

Every script runs on a real sshd under a real ``timeout``.  Two proxies of
different sources lead to the same machine, so the events show as well whether
the next proxy was tried.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import SecretStr

from pmwatchd.core.model import AgentResult, FenceAction, FenceAgent, PowerStatus, Secret
from pmwatchd.core.rules import Fencing
from pmwatchd.io.ssh import SshOptions, SshTransport
from tests.kit import misdeeds
from tests.kit.machine import Machine
from tests.kit.misdeeds_place import Place
from tests.kit.parts import IRON, needs
from tests.kit.proxy import Proxy, make_key
from tests.kit.site import Site
from tests.kit.ssh import Ledger

pytestmark = needs("sshd", "ssh-keygen")

LIMIT_S, KILL_AFTER_S = 3.0, 1.0
RULES = Fencing(agent_timeout_s=LIMIT_S + 0.5, status_timeout_s=LIMIT_S, kill_after_s=KILL_AFTER_S)
OVER_S = LIMIT_S + 2 * KILL_AFTER_S  # what switches and was ended by force may go on until then
SLACK_S = 5.0  # for a busy machine: a connection, and up to four short programs
EARLY_S = 0.1  # time is counted from a moment after the start

CANARY = f"canary{secrets.token_hex(8)}"
STATUS, OFF, ON = FenceAction.STATUS, FenceAction.OFF, FenceAction.ON
OK, ERROR, GARBAGE = AgentResult.OK, AgentResult.ERROR, AgentResult.GARBAGE
TIMEOUT, KILLED, NO_PROXY = AgentResult.TIMEOUT, AgentResult.KILLED, AgentResult.NO_PROXY

RAN = "fence.agent_executed"
FAILED = "fence.proxy_failed"
REFUSED = "agent.metadata_refused"
DROPPED = "agent.option_dropped"
ONCE = (RAN,)
BOTH = (RAN, RAN)  # the next proxy was tried as well
LOST = (FAILED, RAN)
NOBODY = (FAILED, FAILED, "fence.no_proxy")
UNDESCRIBED = (REFUSED, RAN)


@dataclass(frozen=True, kw_only=True)
class Row:
    """
    What an agent does, and what has to come of it.

    Attributes:
        after_s: How long it takes at least.
        says: What the reason that is told has to contain.
    """

    does: str
    asked: FenceAction = STATUS
    result: AgentResult
    power: PowerStatus = PowerStatus.UNKNOWN
    events: tuple[str, ...]
    after_s: float = 0.0
    says: str = ""
    options: dict[str, str | Secret] = field(default_factory=dict)


def row(does: str, result: AgentResult, events: tuple[str, ...], **more: object) -> Row:
    return Row(does=does, result=result, events=events, **more)  # type: ignore[arg-type]  # its own names


READ_ON, READ_OFF = {"power": PowerStatus.ON}, {"power": PowerStatus.OFF}

TABLE = [
    # those that behave
    row("sound", OK, ONCE, **READ_ON),
    row("sound_off", OK, ONCE, **READ_OFF),
    row("sound", OK, ONCE, asked=OFF),
    row("warns", OK, ONCE, **READ_OFF),
    row("answers_late", OK, ONCE, after_s=0.7, **READ_OFF),
    row("leaves_a_child", OK, ONCE, **READ_ON),
    row("leaves_a_child", OK, ONCE, asked=OFF),
    row("knows_old_names", OK, ONCE, **READ_ON),
    # those that take too long
    row("hangs", TIMEOUT, ONCE, after_s=LIMIT_S, says="time limit"),
    row("hangs", TIMEOUT, ONCE, asked=OFF, after_s=OVER_S + 0.5, says="time limit"),
    row("ignores_term", TIMEOUT, ONCE, after_s=LIMIT_S + KILL_AFTER_S, says="time limit"),
    row("answers_too_late", TIMEOUT, ONCE, after_s=LIMIT_S),
    row("answers_then_hangs", TIMEOUT, ONCE, after_s=LIMIT_S),
    # those that end by a signal
    row("killed", KILLED, LOST, says="signal"),
    row("killed", KILLED, LOST, asked=ON, after_s=OVER_S + 0.5, says="signal"),
    row("crashes", KILLED, LOST, says="signal"),
    # those whose exit status and words do not agree
    row("exits_2", GARBAGE, BOTH, says="said nothing"),
    row("exits_0", GARBAGE, BOTH, says="said nothing"),
    row("exits_2", GARBAGE, BOTH, asked=OFF),
    row("on_with_2", GARBAGE, BOTH, says="Status: ON"),
    row("off_with_0", GARBAGE, BOTH, says="Status: OFF"),
    row("on_and_off", GARBAGE, BOTH),
    # those that say too much, or what nobody can read
    row("echoes", ERROR, BOTH, says="action=status ip=10.0.0.9 username=fence password=*** plug=8"),
    row("echoes", ERROR, BOTH, asked=OFF, says="password=***"),
    row("echoes_and_answers", OK, ONCE, **READ_ON),
    row("floods", GARBAGE, BOTH),
    row("answers_then_floods", GARBAGE, BOTH, says="Status: OFF"),
    row("floods_stderr", OK, ONCE, **READ_OFF),
    row("no_utf8", GARBAGE, BOTH, says="\N{REPLACEMENT CHARACTER}"),
    row("no_utf8_on_stderr", OK, ONCE, **READ_OFF),
    # those that fail and say why
    row("refuses_login", AgentResult.AUTH_ERROR, ONCE, says="Unable to authenticate"),
    row("unreachable", AgentResult.UNREACHABLE, BOTH, says="timed out"),
    row("unsupported", AgentResult.UNSUPPORTED, BOTH, asked=OFF, says="Unrecognised"),
    row("exits_1", ERROR, BOTH, says="said nothing"),
    # those that cannot run
    row("missing", NO_PROXY, NOBODY, says="fence_missing cannot be run on node2"),
    row("not_executable", NO_PROXY, NOBODY, says="cannot be run"),
    row("no_interpreter", NO_PROXY, NOBODY, says="cannot be run"),
    row("no_env_interpreter", NO_PROXY, NOBODY, says="no-such-python"),
    row("loses_interpreter", GARBAGE, BOTH, says="no-such-python"),
    row("lost_its_file", GARBAGE, (REFUSED, REFUSED, *BOTH), says="/nonexistent/agent.py"),
    # those that do not say what they are
    row("metadata_garbage", OK, UNDESCRIBED, **READ_ON),
    row("metadata_fails", OK, UNDESCRIBED, **READ_ON),
    row("metadata_doctype", OK, UNDESCRIBED, **READ_ON),
    row("metadata_large", OK, UNDESCRIBED, **READ_ON),
    row("metadata_hangs", OK, UNDESCRIBED, after_s=LIMIT_S, **READ_ON),
    row("metadata_no_action", NO_PROXY, NOBODY, says="cannot be told what to do"),
    row(
        "metadata_garbage",
        NO_PROXY,
        (REFUSED, REFUSED, *NOBODY),
        says="which options it knows",
        options={"systems_uri": "/redfish/v1/Systems/7"},
    ),
    row(
        "logs_unknown",
        OK,
        (DROPPED, RAN),
        options={"kg": SecretStr(CANARY)},
        **READ_ON,
    ),
]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Yield one sshd for all rows."""
    directory = tmp_path_factory.mktemp("misdeeds")
    make_key(directory / "key")
    server = Proxy("node2", "127.0.0.1", directory / "node2", directory / "key.pub")
    server.start()
    yield server
    server.stop()


@pytest_asyncio.fixture
async def place(tmp_path: Path, proxy: Proxy) -> AsyncIterator[Place]:
    """Yield a place whose connection is made anew for each row."""
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(proxy.known_hosts())
    ledger = Ledger()
    options = SshOptions(
        private_key=proxy.public_key.with_suffix(""), known_hosts=known_hosts, keepalive_misses=20
    )
    ssh = SshTransport(options, meter=ledger, tell=ledger.tell)
    yield Place(tmp_path, RULES, proxy, ssh, ledger)
    await ssh.close()


def named(one: Row) -> str:
    return "-".join([one.does, one.asked, *one.options])


@pytest.mark.parametrize("one", TABLE, ids=named)
async def test_what_a_bad_agent_comes_to_what_is_told_and_how_long_it_takes(
    one: Row, place: Place
) -> None:
    if one.does != "missing":
        misdeeds.install(place.directory, one.does)
    agent = FenceAgent(
        name="bmc",
        type=one.does,
        address="10.0.0.9",
        username="fence",
        plug="8",
        password=SecretStr(CANARY),
        options=one.options,
    )
    loop = asyncio.get_running_loop()
    began_at = loop.time()

    event = await place.run(agent, one.asked)

    took_s = loop.time() - began_at
    reply = event.reply
    assert (reply.result, reply.power) == (one.result, one.power), reply
    assert tuple(record.event for record in place.records) == one.events
    assert one.after_s - EARLY_S <= took_s <= one.after_s + SLACK_S
    assert one.says in reply.text
    assert reply.uncertain == (one.result in (TIMEOUT, KILLED))
    assert CANARY not in place.lines() + repr(event) + place.proxy.log()


def test_the_table_has_every_bad_agent_of_the_family() -> None:
    family = {*misdeeds.WORDS, *misdeeds.DESCRIPTIONS, *misdeeds.SHEBANGS}

    assert family - {one.does for one in TABLE} == set()


class TestThroughTheWholeDaemon:
    """``pmwatchd run``, a proxy, and one of the family as the only agent of a host."""

    pytestmark = needs(*IRON)

    @pytest.mark.parametrize(
        ("habit", "told"),
        [
            ("describes_itself_badly_on_a_proxy", {"event": REFUSED, "proxy": "proxy1"}),
            ("hangs_after_off", {"event": RAN, "action": "off", "result": "timeout"}),
            ("fails_after_every_command", {"event": RAN, "action": "on", "result": "error"}),
        ],
    )
    def test_what_it_says_is_not_believed_and_the_host_comes_back(
        self, site: Site, habit: str, told: dict[str, str]
    ) -> None:
        bmc = site.bmc(password=CANARY[:16])
        machine = site.machine("node1", bmc)
        self.start(site, machine, bmc.agent() | {"type": habit}, agent_timeout="3s")
        daemon = site.daemon
        assert daemon is not None

        machine.kill()
        closed = daemon.wait_record("fence.closed", within_s=60, host="node1")
        daemon.wait_status("node1", "up")

        assert closed["outcome"] == "done"
        assert [command.power for command in bmc.commands()] == ["off", "on"]
        assert daemon.records(**told)
        self.assert_nothing_shown(site)

    @pytest.mark.parametrize(
        ("does", "result"),
        [("off_with_0", "garbage"), ("echoes", "error"), ("refuses_login", "auth_error")],
    )
    def test_what_cannot_be_read_is_never_sent_an_off(
        self, site: Site, does: str, result: str
    ) -> None:
        machine = site.machine("node1")
        password = site.directory / "password"
        password.write_text(CANARY[:16])
        agent = {
            "name": "bmc",
            "type": does,
            "address": "10.0.0.9",
            "username": "fence",
            "password": {"file": str(password)},
        }
        self.start(site, machine, agent, off_status_retries=2)
        daemon = site.daemon
        assert daemon is not None

        machine.kill()
        closed = daemon.wait_record("fence.closed", within_s=60, host="node1")

        asked = daemon.records(RAN, operation=closed["operation"])
        assert closed["outcome"] == "failed"
        assert {(record["action"], record["result"]) for record in asked} == {("status", result)}
        self.assert_nothing_shown(site)

    def start(
        self, site: Site, machine: Machine, agent: Mapping[str, object], **fencing: object
    ) -> None:
        """Start a daemon that watches *machine* and finds this agent on its proxy."""
        proxy = site.proxy()
        directory = site.directory / "agents"
        directory.mkdir()
        misdeeds.install(directory, str(agent["type"]))
        site.watch(machine, [agent])
        own = {"agent_dir": str(directory), **fencing}
        daemon = site.configure({"fencing": own, "log": {"level": "debug"}})
        daemon.start()
        for name in (proxy.name, machine.name):
            daemon.wait_status(name, "up")

    def assert_nothing_shown(self, site: Site) -> None:
        """Neither the log nor the journal, the API or sshd shows the password."""
        assert site.daemon is not None
        routes = ("/metrics", "/api/v1/hosts/node1", "/api/v1/operations", "/api/v1/records")
        shown = [site.daemon.get(route)[1] for route in routes]
        shown += [site.daemon.log.read_text(), *(proxy.log() for proxy in site.proxies)]
        shown += [
            path.read_bytes().decode(errors="replace")
            for path in site.state_dir.rglob("*")
            if path.is_file()
        ]
        assert "node1" in "".join(shown)
        assert CANARY[:16] not in "".join(shown)
