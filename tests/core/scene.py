"""
A whole site in virtual time, for the core alone: hosts, switches, proxies, a clock.

The real :class:`~pmwatchd.core.fleet.Fleet` is stepped event by event; what
it orders is carried out by scripted iron.  Nothing here waits, and nothing is
patched.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from pmwatchd.core.events import (
    AgentReplied,
    AliveChecked,
    Answered,
    CanaryHeard,
    DeadlineReached,
    Event,
    HeartbeatsHeard,
    HostProbed,
    InventoryLoaded,
    PauseRequested,
    PersonEvent,
    ResumeRequested,
    Silent,
    SoftFenced,
    WitnessSaid,
)
from pmwatchd.core.fleet import Fleet
from pmwatchd.core.model import (
    AgentResult,
    FenceAction,
    FenceAgent,
    Grace,
    Heartbeat,
    Host,
    Opinion,
    PowerManagement,
    PowerStatus,
    Probe,
    ProbeResult,
    ProbeType,
    ProxyResult,
    Reply,
    Try,
)
from pmwatchd.core.orders import (
    Accepted,
    Answer,
    AskWitness,
    CheckAlive,
    FenceSoftly,
    Order,
    PowerRead,
    ProbeHost,
    Recall,
    Record,
    Refused,
    ReportNext,
    RunAgent,
    SaveHost,
    SaveOperation,
    SaveSite,
)
from pmwatchd.core.rules import Fencing, Rules, Safety, StormRules

WALL = datetime(2026, 1, 1, tzinfo=UTC)
START = 1000.0
FENCING = Fencing(
    off_status_delay_s=2.0,
    off_status_retries=5,
    on_status_delay_s=2.0,
    on_status_retries=5,
    retry_min_s=10.0,
    retry_max_s=40.0,
    quiet_time_s=30.0,
)
CANARY = Probe(type=ProbeType.TCP, address="10.0.255.1", port=53)
SAFETY = Safety(
    startup_hold_s=0.0,
    canaries=(CANARY,),
    loop_limit=1000,
    storm=StormRules(domains=()),
    inspect_every_s=0.0,
)
RULES = Rules(fencing=FENCING, safety=SAFETY)


def ruled(**safety: object) -> Rules:
    """The rules of a scene, but for these."""
    return replace(RULES, safety=replace(SAFETY, **safety))  # type: ignore[arg-type]


def agent(name: str = "bmc", *, order: int = 1, **more: object) -> FenceAgent:
    """A fence agent at a device of its own."""
    defaults: dict[str, object] = {"type": "lab", "address": f"{name}.mgmt", "order": order}
    return FenceAgent(name=name, **(defaults | more))  # type: ignore[arg-type]


def host(name: str = "node7", *agents: FenceAgent, **more: object) -> Host:
    """A host with a TCP probe, fenced through the engine unless said otherwise."""
    number = sum(map(ord, name)) % 250
    address = f"10.0.0.{number}"
    defaults: dict[str, object] = {
        "address": address,
        "cluster": "blue",
        "datacenter": "east",
        "heartbeat": Heartbeat(probes=(Probe(type=ProbeType.TCP, address=address, port=22),)),
        "grace": Grace(period_s=20.0, failures=3),
        "boot_timeout_s": 60.0,
        "power_management": PowerManagement(agents=agents, proxies=("engine",)),
    }
    return Host(name=name, **(defaults | more))  # type: ignore[arg-type]


def fleet(number: int) -> list[Host]:
    """Hosts ``n0``, ``n1`` ... with a BMC each."""
    return [host(f"n{n}", agent(address=f"{n}.mgmt"), address=f"10.1.0.{n}") for n in range(number)]


ALONE = ruled(canaries=())
"""Nothing but its own hosts tells the daemon whether it is well itself."""

BASTION = host(
    "node7",
    power_management=PowerManagement(agents=(agent(),), proxies=("bastion.example", "engine")),
)
"""A host for which a machine may be asked that is no watched host."""


@dataclass
class Switch:
    """
    A power switch as a test scripts it.

    Attributes:
        late_s: It switches so long after the command, and reports the old state until then.
        result: What a command comes to; anything but ok does nothing.
        unreadable: Its status cannot be read.
        stuck: Commands come back as ok and nothing happens.
        took_s: How long an execution takes.
        lost: Proxies at which a command is lost on its way.
        withdraw: How many commands come too late after their last look.
        alone: Its off alone cuts the power of the host; else all of the host's must be off.
        elsewhere: It switches another machine.
    """

    power: PowerStatus = PowerStatus.ON
    late_s: float = 0.0
    result: AgentResult = AgentResult.OK
    unreadable: AgentResult | None = None
    stuck: set[FenceAction] = field(default_factory=set)
    took_s: float = 0.1
    lost: set[str] = field(default_factory=set)
    withdraw: int = 0
    alone: bool = False
    elsewhere: bool = False
    commands: list[tuple[float, FenceAction]] = field(default_factory=list)


class Scene:
    """
    One daemon's life; a second one may continue from what the first one saved.

    Attributes:
        beside_looks: What is told in the same pass as the end of each fresh heartbeat.
        probe_s: How long a fresh heartbeat takes.
        faulty: None can be sent.
    """

    def __init__(
        self, *hosts: Host, rules: Rules = RULES, after: Scene | None = None, at: float = START
    ) -> None:
        self.now = at
        self.rules = rules
        self.hosts = {one.name: one for one in hosts}
        self.alive: dict[str, bool] = dict.fromkeys(self.hosts, True)
        if after is not None:
            self.alive = after.alive
        self.switches: dict[tuple[str, str], Switch] = {} if after is None else after.switches
        self.memories: dict[str, SaveHost] = {} if after is None else dict(after.memories)
        self.saved: dict[str, SaveOperation] = {} if after is None else dict(after.saved)
        self.answers: dict[int, Accepted | Refused | PowerRead] = {}
        self.told: list[tuple[float, Record]] = []
        self.orders: list[Order] = []
        self.site: SaveSite = SaveSite() if after is None else after.site
        self.opinions: dict[str, Opinion] = {}
        self.reaches = True
        self.witness_s = 0.05
        self.check = Opinion.SILENT
        self.check_s = 0.05
        self.soft_s = 1.0
        self.soft_helps = False
        self.soft_runs = True
        self.softly: list[str] = []
        self.checks: list[CheckAlive] = []
        self.hears = True
        self.boot_s = 5.0
        self.boots = True
        self.beside_looks: tuple[Event, ...] = ()
        self.probe_s = 0.05
        self.faulty = False
        self._spaced: list[RunAgent] = []
        self._reported: dict[str, bool | None] = {}
        self._last_answer: dict[str, float] = {}
        self._number = itertools.count()
        self._requests = itertools.count(1)
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        for one in hosts:
            for each in one.power_management.agents:
                self.switches.setdefault((one.name, each.name), Switch())
        self.fleet = Fleet(
            epoch=1 if after is None else 2,
            now=self.now,
            wall=WALL + timedelta(seconds=self.now),
            memories=self.memories,
            operations=[saved for saved in self.saved.values() if saved.outcome is None],
            last_answer_at=self._last_answer.get,
            site=self.site,
        )
        self.put(InventoryLoaded(self.hosts, self.rules))
        for canary in self.rules.safety.canaries:
            self.put(CanaryHeard(canary.words, answers=True))
        self._every(5.0, self._beat)

    # time --------------------------------------------------------------------------------

    def run(self, for_s: float) -> None:
        """Let so much time pass."""
        until = self.now + for_s
        while True:
            due = self.fleet.next_deadline()
            at = min(until, max(due, self.now + 0.001) if due is not None else until)
            if self._later and self._later[0][0] <= at:
                self.now, _, act = heapq.heappop(self._later)
                act()
                continue
            self.now = at
            if at >= until:
                return
            self.put(DeadlineReached())
            due = self.fleet.next_deadline()
            assert due is None or due > self.now, "a deadline that is over makes the engine spin"

    def until(self, told: str, *, limit_s: float = 200.0) -> None:
        """Let time pass until something is told, or fail."""
        seen = len(self.told)
        for _ in range(int(limit_s * 50)):
            self.run(0.02)
            if any(record.event == told for _, record in self.told[seen:]):
                return
        raise AssertionError(f"{told} was not told within {limit_s} s")

    def later(self, after_s: float, act: Callable[[], None]) -> None:
        """Do something so much later."""
        heapq.heappush(self._later, (self.now + after_s, next(self._number), act))

    def _every(self, pause_s: float, act: Callable[[], None]) -> None:
        def again() -> None:
            act()
            self.later(pause_s, again)

        self.later(0.5, again)

    # events ------------------------------------------------------------------------------

    def put(self, *events: Event) -> list[Order]:
        """Step the fleet by one pass, as the engine does, and carry out what it orders."""
        orders: list[Order] = []
        for event in (*events, DeadlineReached()):
            orders += self.fleet.step(event, self.now)
        self.orders += orders
        for order in orders:
            self._obey(order)
        return orders

    def ask(self, make: Callable[[int], PersonEvent]) -> Accepted | Refused | PowerRead | None:
        """Ask as a person; the answer, if it came at once."""
        request = next(self._requests)
        self.put(make(request))
        return self.answers.get(request)

    def pause(self, for_s: float = 600.0) -> Accepted | Refused | PowerRead | None:
        """Stop all automatic fencing for a time, as a person does."""
        expires_at = WALL + timedelta(seconds=self.now + for_s)
        return self.ask(
            lambda n: PauseRequested(
                request=n, by="ann", reason="switch work", for_s=for_s, expires_at=expires_at
            )
        )

    def resume(self) -> Accepted | Refused | PowerRead | None:
        """End a pause, as a person does."""
        return self.ask(lambda n: ResumeRequested(request=n, by="bob"))

    def load(self, *hosts: Host, rules: Rules | None = None, refused: str = "") -> None:
        """Reload the inventory."""
        self.hosts = {one.name: one for one in hosts}
        self.rules = rules or self.rules
        for one in hosts:
            self.alive.setdefault(one.name, True)
            for each in one.power_management.agents:
                self.switches.setdefault((one.name, each.name), Switch())
        self.put(InventoryLoaded(self.hosts, self.rules, refused))

    def _beat(self) -> None:
        if not self.hears:
            return
        answered, silent = [], []
        for name in self.hosts:
            if self.alive[name]:
                self._last_answer[name] = self.now
                if self._reported.get(name) is not True:
                    answered.append(Answered(name, self.now))
            else:
                silent.append(Silent(name, self._last_answer.get(name)))
            self._reported[name] = self.alive[name]
        if answered or silent:
            self.put(HeartbeatsHeard(tuple(answered), tuple(silent)))

    # iron --------------------------------------------------------------------------------

    def kill(self, name: str = "node7") -> None:
        """The host hangs; its power stays on."""
        self.alive[name] = False

    def _obey(self, order: Order) -> None:
        match order:
            case Record():
                self.told.append((self.now, order))
            case SaveHost():
                self.memories[order.host] = order
            case SaveOperation():
                self.saved[order.id] = order
            case Answer():
                self.answers[order.request] = order.result
            case ReportNext():
                self._reported[order.host] = None
            case ProbeHost():
                self.later(self.probe_s, lambda: self._probed(order))
            case RunAgent():
                self._space(order)
            case Recall():
                self._recall(order)
            case AskWitness():
                self.later(self.witness_s, lambda: self._witnessed(order))
            case CheckAlive():
                self.later(self.check_s, lambda: self._checked(order))
            case FenceSoftly():
                self.later(self.soft_s, lambda: self._soft_fenced(order))
            case SaveSite():
                self.site = order

    def _probed(self, order: ProbeHost) -> None:
        name = order.host.name
        result = ProbeResult.ALIVE if self.alive[name] else ProbeResult.SILENT
        result = ProbeResult.LOCAL_FAULT if self.faulty else result
        self.put(*self.beside_looks, HostProbed(name, order.operation, order.turn, result))

    def _witnessed(self, order: AskWitness) -> None:
        name = order.host.name
        said = self.opinions.get(order.witness.name)
        if said is None:
            said = Opinion.ALIVE if self.reaches and self.alive[name] else Opinion.SILENT
        self.put(WitnessSaid(name, order.question, order.witness.name, said))

    def _checked(self, order: CheckAlive) -> None:
        self.checks.append(order)
        self.put(AliveChecked(order.host.name, order.question, self.check, "as scripted"))

    def _soft_fenced(self, order: FenceSoftly) -> None:
        self.softly.append(order.host.name)
        self.alive[order.host.name] = self.soft_helps
        self.put(SoftFenced(order.host.name, order.question, ran=self.soft_runs))

    def said_late(self, name: str, *, question: int, witness: str) -> None:
        """An answer to an old question arrives."""
        self.put(WitnessSaid(name, question, witness, Opinion.ALIVE))
        self.put(AliveChecked(name, question, Opinion.ALIVE))

    def soft_ended_late(self, name: str, *, question: int) -> None:
        """The end of an old soft fencing arrives."""
        self.put(SoftFenced(name, question, ran=True))

    def _space(self, order: RunAgent) -> None:
        """Execute it when its time comes, unless it is recalled until then."""
        if order.not_before <= self.now:
            self._execute(order)
            return
        self._spaced.append(order)
        self.later(order.not_before - self.now, lambda: self._come(order))

    def _come(self, order: RunAgent) -> None:
        if order in self._spaced:
            self._spaced.remove(order)
            self._execute(order)

    def _recall(self, recall: Recall) -> None:
        withdrawn = Reply(result=AgentResult.WITHDRAWN)
        for order in [one for one in self._spaced if one.operation == recall.operation]:
            self._spaced.remove(order)
            self.later(0.0, partial(self._answer, order, withdrawn))

    def _execute(self, order: RunAgent) -> None:
        switch = self.switches[order.host, order.agent.name]
        if order.action is not FenceAction.STATUS:
            switch.commands.append((self.now, order.action))
        self.later(switch.took_s, lambda: self._end(order, switch))

    def _end(self, order: RunAgent, switch: Switch) -> None:
        self._answer(order, self._reply(order, switch))

    def _answer(self, order: RunAgent, reply: Reply) -> None:
        self.put(
            AgentReplied(
                order.host, order.operation, order.turn, order.agent.name, order.action, reply
            )
        )

    def _reply(self, order: RunAgent, switch: Switch) -> Reply:
        if not order.chain:
            return Reply(result=AgentResult.NO_PROXY)
        proxy = order.chain[0]
        ok = Try(proxy=proxy.name, source=proxy.source, result=ProxyResult.OK)
        tries = (replace(ok, answer=AgentResult.OK),)
        if order.action is FenceAction.STATUS:
            if switch.unreadable is not None:
                tries = (replace(ok, answer=switch.unreadable),)
                return Reply(result=switch.unreadable, tries=tries, exit_code=1, text="no way")
            code = 0 if switch.power is PowerStatus.ON else 2
            return Reply(result=AgentResult.OK, power=switch.power, tries=tries, exit_code=code)
        if switch.withdraw:
            switch.withdraw -= 1
            return Reply(result=AgentResult.WITHDRAWN)
        if proxy.name in switch.lost:
            lost = replace(ok, result=ProxyResult.LOST, answer=AgentResult.KILLED)
            return Reply(result=AgentResult.KILLED, tries=(lost,))
        if switch.result is AgentResult.OK and order.action not in switch.stuck:
            self.later(switch.late_s, lambda: self._switch(order, switch))
        tries = (replace(ok, answer=switch.result),)
        code = 0 if switch.result is AgentResult.OK else 1
        return Reply(result=switch.result, tries=tries, exit_code=code)

    def _switch(self, order: RunAgent, switch: Switch) -> None:
        switch.power = order.action.wanted
        if switch.elsewhere:
            return
        if switch.alone and switch.power is PowerStatus.OFF:
            self.alive[order.host] = False
        feeds = [s.power for (name, _), s in self.switches.items() if name == order.host]
        if switch.power is PowerStatus.OFF and PowerStatus.ON not in feeds:
            self.alive[order.host] = False
        if switch.power is PowerStatus.ON and self.boots:
            self.later(self.boot_s, lambda: self._boot(order.host))

    def _boot(self, name: str) -> None:
        self.alive[name] = True

    # asking ------------------------------------------------------------------------------

    def events(self, *wanted: str, host: str | None = None) -> list[str]:
        """Names of what was told, in order; only those that begin with one of *wanted*."""
        return [
            record.event
            for _, record in self.told
            if (not wanted or record.event.startswith(wanted)) and host in (None, record.host)
        ]

    def fields(self, event: str) -> list[dict[str, object]]:
        """Fields of every record of one name."""
        return [dict(record.fields) for _, record in self.told if record.event == event]

    def outcomes(self) -> list[object]:
        """How operations ended."""
        return [fields["outcome"] for fields in self.fields("fence.closed")]

    def commands(self, name: str = "node7", switch: str = "bmc") -> list[str]:
        """What a switch was told to do."""
        return [str(action) for _, action in self.switches[name, switch].commands]

    def status(self, name: str = "node7") -> str:
        """The status that is shown."""
        view = self.fleet.host(name)
        assert view is not None
        return str(view.status)

    def holds(self, name: str = "node7") -> list[str]:
        """The holds that are shown."""
        view = self.fleet.host(name)
        assert view is not None
        return [str(hold.name) for hold in view.holds]

    def alerts(self, name: str = "node7") -> set[str]:
        """The alerts that are shown."""
        view = self.fleet.host(name)
        assert view is not None
        return {str(alert.name) for alert in view.alerts}


def dead(node: Host, *others: Host, rules: Rules = RULES) -> Scene:
    """A host that was up hangs; these others do not."""
    scene = Scene(node, *others, rules=rules)
    scene.run(10)
    scene.kill(node.name)
    return scene


def hung(*agents: FenceAgent, rules: Rules = RULES) -> Scene:
    """A host with two supplies hangs, and will hang again when it boots."""
    scene = Scene(host("node7", *(agents or (agent("a"), agent("b")))), rules=rules)
    scene.run(10)
    scene.kill()
    scene.boots = False
    return scene
