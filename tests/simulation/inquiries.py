"""
What others say, as far as the network lets them: witnesses, a site's own command, soft fencing.

Both classes belong to one daemon's life and lie to nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pmwatchd.core.events import CanaryHeard
from pmwatchd.core.model import Candidate, Host, Opinion, Probe, ProbeResult
from pmwatchd.io.heartbeat.beat import Beat
from pmwatchd.ports import Said
from tests.simulation.ears import hear, signs_of
from tests.simulation.iron import Iron
from tests.simulation.lifeline import Lifeline
from tests.simulation.loop import VirtualLoop
from tests.simulation.network import REFUSALS, Net
from tests.simulation.partitions import MANAGER

TRY_S = 1.7
"""So long a witness tries a host that is silent."""

FOR_EVER_S = 1e6
CANARY_EVERY_S = 2.0


class Inquiries:
    """:class:`pmwatchd.ports.Inquiries` on the truth of the network."""

    def __init__(self, iron: Iron, net: Net, life: Lifeline) -> None:
        self._iron = iron
        self._net = net
        self._life = life

    async def ask_witness(self, host: Host, witness: Candidate) -> Said:
        """Let a machine try a host from its own place."""
        moods = self._net.proxy(witness.name)
        if "asleep" in moods or not self._reached(witness.name):
            await self._life.sleep(FOR_EVER_S)  # whoever asks knows when to give up
        await self._life.sleep(0.02)
        for mood in REFUSALS:
            if mood in moods:
                return Said(Opinion.NONE, f"sshd {mood}")
        reached = self._net.parts.reaches(witness.name, host.name)
        suspect = self._iron.machines[host.name] if reached else None
        if hear(Beat(host, began_at=0.0), signs_of(suspect, host)) is ProbeResult.ALIVE:
            return Said(Opinion.ALIVE, "answers")
        await self._life.sleep(TRY_S)
        return Said(Opinion.SILENT, "is silent")

    async def check_alive(self, host: Host, chain: Sequence[Candidate]) -> Said:
        """Look at the lease that a host that lives renews in the storage, which all reach."""
        check = host.alive_check
        if "lease unreadable" in self._net.here:
            await self._life.sleep(FOR_EVER_S)
        await self._life.sleep(0.05)
        machines = [one.name for one in chain if self._reached(one.name)]
        if check is None or (check.through_proxy and not machines):
            return Said(Opinion.NONE, "there is no machine that could run it")
        alive = self._iron.machines[host.name].answers
        return Said(Opinion.ALIVE if alive else Opinion.SILENT, "read the lease")

    async def fence_softly(self, host: Host, target: Candidate) -> str:
        """Run a command on the host itself, which helps where only a part of it hangs."""
        machine = self._iron.machines[target.name]
        self._life.effect()
        await self._life.sleep(0.5)
        awake = machine.answers or (machine.state == "hung" and "half hung" in machine.moods)
        if not awake or not machine.powered or not self._reached_alone(host.name):
            await self._life.sleep(3.0)
            return "connecting timed out"
        if machine.state == "hung":
            machine.moods.end("half hung")
            self._iron.wake(machine)
        return ""

    def _reached(self, name: str) -> bool:
        machine = self._iron.machines.get(name)
        return (machine is None or machine.answers) and self._reached_alone(name)

    def _reached_alone(self, name: str) -> bool:
        return self._net.parts.reaches(MANAGER, name)


class Canaries:
    """Asks addresses that answer unless our own place in the network is ill."""

    def __init__(
        self,
        net: Net,
        life: Lifeline,
        loop: VirtualLoop,
        probes: Sequence[Probe],
        tell: Callable[[CanaryHeard], None],
    ) -> None:
        self._net = net
        self._life = life
        self._loop = loop
        self._probes = probes
        self._tell = tell
        self._answer: dict[str, bool] = {}
        if probes:
            loop.call_later(0.5, self._ask)

    def _ask(self) -> None:
        if not self._life.alive:
            return
        self._loop.call_later(CANARY_EVERY_S, self._ask)
        if "fault" in self._net.here:
            return
        for probe in self._probes:
            reached = self._net.parts.reaches(MANAGER, probe.address)
            answers = reached and "dead" not in self._net.proxy(probe.address)
            if self._answer.get(probe.words) is not answers:
                self._answer[probe.words] = answers
                self._tell(CanaryHeard(probe.words, answers))
