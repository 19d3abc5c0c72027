"""
S2, checked: is a host really off when the daemon says so, and was that seen?

A reading can be wrong where a device tells its old state or a plug feeds
another machine; nobody can know that, as long as the host itself is silent.
A person may be wrong as well, but is not believed against host and agents.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from pmwatchd.core.model import FenceAction, FenceAgent, Host, PowerStatus
from pmwatchd.core.orders import Record
from pmwatchd.core.verdict import power_of
from pmwatchd.ports import OUTPUT_LIMIT, Completed
from tests.simulation.hardware import Execution, Switch
from tests.simulation.iron import Iron
from tests.simulation.loop import World
from tests.simulation.truth import Place, Reading, Track, place_of

EPS_S = 1e-6


class Claims:
    """
    Judges every claim that a host is off.

    Args:
        broke: Is told of every one that does not hold.
    """

    def __init__(self, world: World, broke: Callable[[str, str], None]) -> None:
        self.iron: Iron
        self._world = world
        self._broke = broke
        self._answered_at: dict[str, float] = {}
        self._readings: defaultdict[Place, list[Reading]] = defaultdict(list)
        self._off_ended_at: dict[Place, float] = {}

    def begun(self) -> None:
        """A daemon has started, which has read nothing yet."""
        self._readings.clear()
        self._off_ended_at.clear()

    def heard(self, host: str) -> None:
        """An answer of a host was delivered."""
        self._answered_at[host] = self._world.now

    def answered_at(self, host: str) -> float:
        """Return when the last answer of a host was delivered."""
        return self._answered_at.get(host, -1e9)

    def read(self, execution: Execution, completed: Completed) -> None:
        """An answer of an agent was delivered; one that is cut short says nothing."""
        if execution.action is not FenceAction.STATUS or len(completed.stdout) >= OUTPUT_LIMIT:
            return
        power = power_of(completed.exit_code, completed.stdout.decode(errors="replace"))
        if power is not PowerStatus.UNKNOWN:
            reading = Reading(execution.started_at, self._world.now, power)
            self._readings[execution.place].append(reading)

    def ended(self, execution: Execution) -> None:
        """An execution is over on the iron."""
        if execution.action is FenceAction.OFF:
            self._off_ended_at[execution.place] = self._world.now

    def off_twice(self, host: Host) -> bool:
        """Whether any agent of a host was read off twice in a row."""
        off = [PowerStatus.OFF] * 2
        return any(
            [reading.power for reading in self._readings[place_of(agent)][-2:]] == off
            for agent in host.power_management.agents
        )

    # claims ------------------------------------------------------------------------------

    def vouched(self, track: Track, said_at: float) -> None:
        """Judge a claim that rests on a person's word: nobody must have said otherwise since."""
        name = track.host.name
        if self.answered_at(name) > said_at + EPS_S:
            self._broke("S2 vouched", f"{track.id} claims off, and {name} has answered since")
        for agent in track.host.power_management.agents:
            reading = next(reversed(self._readings[place_of(agent)]), None)
            if reading is None or reading.began_at < said_at - EPS_S:
                continue
            if reading.power is PowerStatus.ON:
                self._broke("S2 vouched", f"{track.id} claims off, {agent.name} read on since")

    def read_off(self, track: Track, told: Record, gap_s: float) -> None:
        """Judge a claim that rests on readings: two by every agent, the last of all at once."""
        names = told.fields["agents"]
        assert isinstance(names, tuple)
        known = {agent.name: agent for agent in track.host.power_management.agents}
        agents = [known[name] for name in names]
        series: list[list[Reading]] = []
        for agent in agents:
            offs = self._offs(place_of(agent), track)
            if len(offs) < 2:
                said = [str(reading.power) for reading in self._readings[place_of(agent)][-3:]]
                self._broke("S2", f"{track.id} claims off, {agent.name} was read {said}")
                return
            series.append(offs)
        all_off_at = max(offs[0].began_at for offs in series)
        if min(offs[-1].began_at for offs in series) < all_off_at + gap_s - EPS_S:
            self._broke("S2", f"{track.id} claims off without one final reading of all")
        seen_at = max(offs[0].came_at for offs in series)
        answered_at = self.answered_at(track.host.name)
        if answered_at > seen_at + EPS_S and self.iron.machines[track.host.name].powered:
            ago_s = self._world.now - answered_at
            self._broke("S2 answers", f"{track.id} claims off, it answered {ago_s:.2f} s ago")
        last_at = [offs[-1].began_at for offs in series]
        self._truly_off(track, list(zip(agents, last_at, strict=True)))

    def _offs(self, place: Place, track: Track) -> list[Reading]:
        """Return an operation's readings of off since the last command and reading of on."""
        off_at = max(self._off_ended_at.get(place, -1.0), track.opened_at)
        seen = [one for one in self._readings[place] if one.began_at >= off_at - EPS_S]
        ons = [number for number, one in enumerate(seen) if one.power is PowerStatus.ON]
        return seen[ons[-1] + 1 :] if ons else seen

    def _truly_off(self, track: Track, last: Sequence[tuple[FenceAgent, float]]) -> None:
        """Compare with the truth, as far as a reading could have shown it."""
        lying = False
        for agent, read_at in last:
            switch = self.switch_of(agent)
            misled = self.misled(track.host, agent, since_at=track.opened_at)
            if misled or switch.changed_at >= read_at or self._was_stale(agent, read_at):
                lying = True
            elif switch.on:
                self._broke("S2", f"{track.id} claims off, {switch.name} is on")
        machine = self.iron.machines[track.host.name]
        covered = machine.hangs_on({self.switch_of(agent) for agent, _ in last})
        if covered and not lying and machine.powered:
            self._broke("S2", f"{track.id} claims off, {track.host.name} has power")

    def switch_of(self, agent: FenceAgent) -> Switch:
        """Return what an agent really switches."""
        return self.iron.devices[agent.device].plugs[agent.plug or ""]

    def misled(self, host: Host, agent: FenceAgent, *, since_at: float) -> bool:
        """Whether an agent switches another machine, or did at any time since."""
        rewired_at = self.iron.devices[agent.device].rewired_at
        return self.switch_of(agent).machine.name != host.name or rewired_at >= since_at

    def _was_stale(self, agent: FenceAgent, read_at: float) -> bool:
        return read_at < self.switch_of(agent).changed_at + self.iron.devices[agent.device].stale_s
