"""
S1 to S3, checked against the iron's truth while a run goes on.

The witness sees every order at the instant it is given, every answer of a
host that was delivered, and everything that really happens at a device.  What
the daemon says of itself is only believed where it is the claim to be judged.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

from pmwatchd.core.model import Action, Cause, FenceAction, Host, Outcome
from pmwatchd.core.orders import Order, Record, RunAgent, SaveOperation, Told
from pmwatchd.core.rules import Rules
from pmwatchd.io.heartbeat.beat import Beat
from pmwatchd.ports import Completed, Remembered
from tests.simulation.alerts import Alerts
from tests.simulation.claims import Claims
from tests.simulation.disk import Disk
from tests.simulation.figures import Figures, died_at
from tests.simulation.hardware import Execution, Switch
from tests.simulation.held import Held
from tests.simulation.inspected import Inspected
from tests.simulation.loop import World
from tests.simulation.outputs import HUSH
from tests.simulation.spaced import Spaced
from tests.simulation.story import Story
from tests.simulation.truth import Believer, Life, Place, Track, Violation, place_of

EPS_S = 1e-6
DOOR_S = 0.1
"""Between the last check and the start of an agent lie a connection and nothing else."""


class Witness:
    """
    Sees a run and keeps its violations.

    Attributes:
        claims: Judges every claim that a host is off.
        held: Judges every automatic off by the holds.
        alerts: Judges alerts.
        knows_better: Returns who else knew a host alive that is fenced.
    """

    def __init__(self, world: World, disk: Disk, story: Story) -> None:
        self.violations: list[Violation] = []
        self.outcomes: Counter[str] = Counter()
        self.executions: Counter[str] = Counter()
        self.tracks: dict[str, Track] = {}
        self.claims = Claims(world, self.broke)
        inspected = Inspected(world, self._switched_off_by, self.broke)
        self.held = Held(
            world,
            disk,
            self.tracks,
            answered_at=self.claims.answered_at,
            inspected=inspected,
            broke=self.broke,
        )
        self.alerts = Alerts(world, self.claims, self.held, self.broke)
        self._spaced = Spaced(world, self.broke)
        self.figures = Figures()
        self.knows_better: Callable[[Host], str] = lambda _host: ""
        self.last_off: dict[Switch, tuple[str, bool]] = {}
        self._off_by: dict[Switch, Execution] = {}
        self.life = Life()
        self.people: Believer
        self._world = world
        self._disk = disk
        self._story = story
        self._known: dict[str, Host] = {}
        self._heard_at: dict[tuple[str, str], float] = {}
        self._acts: dict[Place, RunAgent] = {}
        self._on_sent: defaultdict[Place, set[str]] = defaultdict(set)
        self._acting: dict[Execution, RunAgent] = {}
        self._told_off: set[str] = set()

    def broke(self, rule: str, what: str) -> None:
        """Note a violation."""
        self._story.note("!!!!!!", "{}: {}", rule, what)
        self.violations.append(Violation(self._world.now, rule, what))

    # the daemon's life -------------------------------------------------------------------

    def begun(self, hosts: Mapping[str, Host], rules: Rules, remembered: Remembered) -> None:
        """A daemon has started, and knows what the journal remembered."""
        self._story.note("daemon", "starts, epoch {}", remembered.epoch)
        self.life = Life(self._world.now, rules)
        self._known.update(hosts)
        self.claims.begun()
        self.alerts.begun()
        self._spaced.begun(rules.safety.poweron_spacing)
        self._acts.clear()
        if self._disk.behind:  # what was not durable is not known any more; it may be done again
            self._on_sent.clear()
            self._told_off.clear()
        for saved in remembered.operations:
            track = self.tracks[saved.id]
            track.closed_at = track.outcome = None
            # What a full disk did not take is not known any more, and proves nothing now.
            track.proven_off = bool(saved.document.get("proven_off"))

    def inventory(self, hosts: Mapping[str, Host]) -> None:
        """Another inventory is valid from now on."""
        self._known.update(hosts)
        self.alerts.loaded(hosts)

    def paused(self, for_s: float) -> None:
        """The daemon stands still from now on, and hears nothing."""
        longest_s = max(host.heartbeat.interval_s for host in self._known.values())
        if for_s > 2 * longest_s:
            self.life.resumed_at = self._world.now + for_s

    def heard(self, host: Host, beat: Beat) -> None:
        """An answer of a host was delivered."""
        self.alerts.heard(host, beat)
        self._heard_at[host.name, host.fingerprint] = self._world.now
        self.claims.heard(host.name)
        self.life.heard.add(host.name)
        self.life.failed_at.pop(host.name, None)

    # orders ------------------------------------------------------------------------------

    def ordered(self, orders: Sequence[Order]) -> None:
        """See what the core has just decided."""
        for order in orders:
            if isinstance(order, SaveOperation):
                self._saved(order)
        for order in orders:
            match order:
                case Record(event="fence.off_proven"):
                    self._claims_off(order)
                case Record(event="fence.continued", operation=str(name)):
                    self.tracks[name].host = self._known[self.tracks[name].host.name]
                    self.tracks[name].taken_up_at = self._world.now
                case Record(event="fence.restoring", operation=str(name)):
                    self.tracks[name].restoring = True
                case RunAgent(action=FenceAction.OFF):
                    self._orders_off(order)
                case RunAgent(action=FenceAction.ON):
                    self._spaced.ordered(order, self.tracks[order.operation].host)
                case _:
                    pass

        for order in orders:
            if isinstance(order, SaveOperation) and order.outcome is not None:
                self._ends(self.tracks[order.id])
        self.held.ordered(orders)
        for order in orders:
            if isinstance(order, Record) and order.host and order.event.startswith("alert."):
                self.alerts.told(order, self.tracks.get(order.operation or ""))

    def _ends(self, track: Track) -> None:
        """What an operation sent off goes on to on, one way or the other, if its agent is left."""
        able = track.sent_off & {place_of(a) for a in track.host.power_management.agents}
        if able and not (track.proven_off or track.restoring):
            self.broke("S4 restoring", f"{track.id} sent off, proved nothing, and ends")

    def _saved(self, saved: SaveOperation) -> None:
        track = self.tracks.get(saved.id)
        if track is None:
            host, now = self._known[saved.host], self._world.now
            track = Track(saved.id, host, saved.action, saved.cause, now)
            track.taken_up_at = now
            track.wants_on = saved.action is Action.ON and self._may_begin_with_on(track)
            self.tracks[saved.id] = track
            others = [
                other.id
                for other in self.tracks.values()
                if other.host.name == saved.host
                and other is not track
                and other.id in self._disk.open
                and other.closed_at is None
            ]
            if others:
                self.broke("one operation per host", f"{saved.id} beside {others} of {saved.host}")
        if saved.outcome is not None and track.closed_at is None:
            track.outcome, track.closed_at = saved.outcome, self._world.now
            # One that only switched on delays nothing where the host was not silent for long.
            wanted_off = saved.cause is Cause.AUTOMATIC and saved.action is Action.RESTART
            if saved.outcome is Outcome.FAILED and wanted_off:
                self.life.failed_at[saved.host] = self._world.now

    def _may_begin_with_on(self, track: Track) -> bool:
        """A person may; the daemon only where an agent was read off twice in a row."""
        return track.cause is Cause.PERSON or self.claims.off_twice(track.host)

    def _orders_off(self, act: RunAgent) -> None:
        """S1: is this automatic off permitted?"""
        track = self.tracks[act.operation]
        if track.cause is not Cause.AUTOMATIC:
            return
        now, host = self._world.now, self._known[act.host]
        answered_at = self.claims.answered_at(act.host)
        grace_s = host.grace.period_s + host.extra_grace_s
        wrongs: list[str] = []
        if now - answered_at < grace_s - EPS_S:
            wrongs.append(f"it answered {now - answered_at:.2f} s ago (grace {grace_s:g} s)")
        stood_s = now - self.life.resumed_at
        if stood_s < grace_s - EPS_S and answered_at < self.life.resumed_at:
            wrongs.append(f"the daemon itself stood still until {stood_s:.2f} s ago")
        if (act.host, host.fingerprint) not in self._heard_at:
            wrongs.append("it never answered there")
        if act.host not in self.life.heard:
            since_s = now - self.life.started_at
            if since_s < max(self.life.rules.safety.startup_hold_s, grace_s) - EPS_S:
                wrongs.append(f"not heard since the start {since_s:.2f} s ago")
        if host.engine:
            wrongs.append("the daemon runs on it")
        if self.people.maintains(act.host):
            wrongs.append("a person has it in maintenance")
        wrongs += self.life.too_soon(track, self.tracks.values(), now)
        wrongs += self.held.wrongs(track)
        track.sends_off = True
        self._counts_wrongful(host, in_grace=now - answered_at < grace_s - EPS_S)
        if wrongs:
            self.broke("S1", f"{act.operation} sends off to {act.host}: {'; '.join(wrongs)}")

    def _counts_wrongful(self, host: Host, *, in_grace: bool) -> None:
        machine = self.claims.iron.machines[host.name]
        if not (machine.answers or machine.half):
            return
        asked = self.held.said_alive(host.name)
        knew = "somebody who was asked" if asked else self.knows_better(host)
        if knew:
            self.broke("wrongful", f"{host.name} is alive, and known so by {knew}")
        self.figures.wrongful += bool(knew or in_grace)

    def acted(self, act: RunAgent) -> None:
        """An act is carried out: its intent must be durable, or the disk is known to be behind."""
        if act.operation not in self.tracks:
            return  # a question, which needs no operation
        ended = act.operation in self._disk.closed and act.action is FenceAction.STATUS
        if act.operation not in self._disk.open and not ended:
            self.broke("journal", f"{act.action} of {act.operation}, which is not open on disk")
        if act.action is FenceAction.STATUS:
            return
        self._acts[place_of(act.agent)] = act
        if (act.operation, act.turn) not in self._disk.intents and not self._disk.behind:
            self.broke("journal", f"{act.action} of {act.operation} before its intent is durable")

    # the iron ----------------------------------------------------------------------------

    def started(self, execution: Execution) -> None:
        """An agent begins: alone at its device, and an ``on`` only where it may."""
        self.executions[execution.action] += 1
        place = execution.place
        others = [f"#{one.number} {one.action} at {one.plug}" for one in execution.device.running]
        if others:
            self.broke(
                "S3 one at a time",
                f"#{execution.number} {execution.action} at {execution.device.address}"
                f"/{execution.plug} while {', '.join(others)} runs there",
            )
        if execution.action is FenceAction.STATUS:
            return
        act = self._acts.get(place)
        if act is None or act.action is not execution.action:
            self.broke("S3", f"{execution.action} at {place} that was not ordered")
            return
        self._acting[execution] = act
        self._spaced.started(act)
        track = self.tracks[act.operation]
        if track.closed_at is not None:
            self.broke("S3", f"{act.action} for {act.operation}, which has ended")
        if execution.action is FenceAction.OFF:
            track.sent_off.add(place)
            self._sends_off(act)
        else:
            self._on_sent[place].add(track.id)
            if not (track.proven_off or track.restoring or track.wants_on):
                self.broke("S3 off before on", f"{track.id} sends on to {place}, off not proven")

    def landed(self, execution: Execution) -> None:
        """A command reached its device: no ``off`` after an ``on`` of the same operation."""
        act = self._acting.get(execution)
        place = execution.place
        if act is None or execution.action is not FenceAction.OFF:
            return
        if act.operation in self._on_sent[place]:
            self.broke("S3 late off", f"off of {act.operation} lands at {place} after its on")

    def switched(self, switch: Switch, by: Execution | None) -> None:
        """Power came or went; remember who took it away."""
        if switch.on:
            self.last_off.pop(switch, None)
        elif by is not None and by in self._acting:
            track = self.tracks[self._acting[by].operation]
            persons = track.cause is Cause.PERSON and track.action is Action.OFF
            self.last_off[switch] = track.id, persons
            self._off_by[switch] = by
        elif by is not None:
            self.broke("S3", f"{switch.name} was switched off by nobody's order")

    def _switched_off_by(self, host: Host, outlet: str, since_at: float) -> str:
        """Which order took the power at an outlet, as the cables were since an instant."""
        for agent in host.power_management.agents:
            if agent.outlet != outlet or self.claims.misled(host, agent, since_at=since_at):
                continue
            switch = self.claims.switch_of(agent)
            by = self._off_by.get(switch)
            if by is not None and by.device.rewired_at > switch.changed_at:
                return ""  # its own on went elsewhere then
            return self.last_off.get(switch, ("", False))[0]
        return ""

    def delivered(self, execution: Execution, completed: Completed) -> None:
        """An execution's end reached the daemon."""
        self.claims.read(execution, completed)

    def ended(self, execution: Execution) -> None:
        """An execution is over on the iron."""
        self.claims.ended(execution)

    def _sends_off(self, act: RunAgent) -> None:
        """S1 at the last moment: whatever came between its last look and the agent's start."""
        looked_at, now = act.looked_at, self._world.now
        if looked_at is None or self._world.stopped_until >= looked_at:
            return
        answered_at = self.claims.answered_at(act.host)
        if looked_at < answered_at < now - DOOR_S:
            ago_s = now - answered_at
            what = f"{act.operation} starts off of {act.host}, which answered {ago_s:.2f} s ago"
            self.broke("S1 late", what)
        if now - looked_at > act.look_good_for_s + DOOR_S:
            what = f"{act.operation} starts off {now - looked_at:.1f} s after its last look"
            self.broke("S1 late", what)

    # claims and alerts -------------------------------------------------------------------

    def _claims_off(self, told: Record) -> None:
        """S2: by readings, or by a person's word."""
        track = self.tracks[told.operation or ""]
        dead_since = died_at(self.claims.iron.machines[track.host.name])
        if track.cause is Cause.AUTOMATIC and not track.proven_off and dead_since is not None:
            self.figures.proven_after_s.append(self._world.now - dead_since)
        track.proven_off = True
        if "vouched_by" in told.fields:
            self.claims.vouched(track, self.people.vouched_at(track.host.name))
        else:
            self.claims.read_off(track, told, self.life.rules.fencing.confirm_gap_s)

    def tell(self, told: Told) -> None:
        """See what everybody is shown: no secret, and no proof twice; a teller of the engine."""
        record = told.record
        for name, value in record.fields.items():
            if isinstance(value, str | tuple) and HUSH in str(value):
                self.broke("secrets", f"{record.event} shows one in {name}: {value}")
        if record.event == "fence.off_proven" and record.operation is not None:
            if record.operation in self._told_off:
                self.broke("S2 twice", f"{record.operation} is told to be proven off once more")
            self._told_off.add(record.operation)
