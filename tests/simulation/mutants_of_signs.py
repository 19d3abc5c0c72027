"""Deliberate bugs of what is read and heard of living hosts, and of the pace of power-ons."""

from __future__ import annotations

from tests.simulation.mutant import Mutant

WIRES_AND_SIGNS = (
    Mutant(
        "one reading of off accuses",
        "core/inspection.py",
        "twice, wiring.suspect = off & wiring.suspect, off - wiring.suspect",
        "twice, wiring.suspect = off, frozenset[str]()",
        test="tests/core/test_inspection.py",
    ),
    Mutant(
        "the host is not asked after the second reading of off",
        "core/inspection.py",
        "        wiring.accused, wiring.asked = twice, check.id\n"
        "        site.orders.append(ProbeHost(host=host, operation=check.id, turn=0))\n",
        "        wiring.off |= twice\n",
        test="tests/core/test_inspection.py",
    ),
    Mutant(
        "a host is accused although it did not answer",
        "core/inspection.py",
        "if event.result is ProbeResult.ALIVE and _readable(machine):",
        "if event.result and _readable(machine):",
        test="tests/core/test_inspection.py",
    ),
    Mutant(
        "what we switched off ourselves accuses",
        "core/inspection.py",
        "known = machine.missing | machine.doubtful | wiring.off",
        "known = wiring.off",
        test="tests/core/test_holds_of_time.py",
    ),
    Mutant(
        "readings of a silent host accuse",
        "core/inspection.py",
        "for name in check.answering if",
        "for name in check.power if",
        test="tests/core/test_inspection.py",
    ),
    Mutant(
        "a suspicion outlives a silence",
        "core/upkeep.py",
        "machine.wiring.suspect, machine.wiring.due = frozenset(), True",
        "machine.wiring.due = True",
        test="tests/core/test_inspection.py",
    ),
    Mutant(
        "an answer counts from the end of its heartbeat",
        "io/heartbeat/beat.py",
        "Answered(self.host.name, beat.alive_at, weak)",
        "Answered(self.host.name, now, weak)",
        test="tests/io/heartbeat/test_heartbeat_weak.py",
    ),
    Mutant(
        "what is off is called partitioned",
        "core/operate.py",
        "upkeep.clear(site, machine, Alert.PARTITIONED)  # nobody",
        "upkeep.clear(site, machine)  # nobody",
        test="tests/core/test_opinion.py",
    ),
    Mutant(
        "what reads on again is accused for ever",
        "core/inspection.py",
        "machine.wiring.off -= on",
        "machine.wiring.off -= frozenset()",
        test="tests/core/test_inspection.py",
    ),
    Mutant(
        "what is wired elsewhere is forgotten by a restart",
        "core/machine.py",
        "wiring=Wiring(off=",
        "wiring=Wiring() or Wiring(off=",
        test="tests/core/test_inspection.py",
    ),
    Mutant(
        "what is wired elsewhere is not journalled",
        "core/machine.py",
        "reads_off=tuple(sorted(self.wiring.off)),",
        "reads_off=(),",
        test="tests/core/test_inspection.py",
    ),
    Mutant(
        "wrong wires are no hold",
        "core/holds.py",
        "    if about.miswired:\n",
        "    if about.miswired and about.parked:\n",
        test="tests/core/test_inspection.py",
    ),
    Mutant(
        "power-ons are not spaced",
        "core/site.py",
        "at = last_at if same else max(now, last_at + spacing.gap_s)",
        "at = now",
    ),
    Mutant(
        "a power-on does not wait until its time",
        "runner.py",
        "if act.not_before > self._clock() else None",
        "if act.not_before < 0.0 else None",
        test="tests/test_runner.py",
    ),
    Mutant(
        "weak signs are silence although they are enough",
        "io/heartbeat/beat.py",
        "        if not heartbeat.weak_is_silent:\n            return result\n",
        "",
        test="tests/io/heartbeat",
    ),
    Mutant(
        "weak signs are life although they are not enough",
        "io/heartbeat/beat.py",
        "return ProbeResult.SILENT if self.weak else ProbeResult.LOCAL_FAULT",
        "return result",
        test="tests/io/heartbeat",
    ),
    Mutant(
        "nobody is told of a host that is half alive",
        "core/weakness.py",
        '    if until_at is not None and now >= until_at:\n        reason = "it gives only weak',
        '    if until_at is not None and machine.parked:\n        reason = "it gives only weak',
    ),
    Mutant(
        "a host is called half alive before its grace is over",
        "core/weakness.py",
        "return machine.weak_since + machine.host.grace.period_s + machine.host.extra_grace_s",
        "return machine.weak_since + machine.host.extra_grace_s",
    ),
    Mutant(
        "a host that speaks again is called half alive still",
        "core/weakness.py",
        "        machine.weak_since = None\n"
        "        upkeep.clear(site, machine, Alert.HALF_ALIVE)\n",
        "        machine.weak_since = None\n",
    ),
)
