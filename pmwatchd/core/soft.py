"""
Soft fencing: a command on the host itself, before its power is cut; once per silence.

A host whose power reads off is spared the command: nobody would answer.
"""

from __future__ import annotations

from pmwatchd.core import verdict
from pmwatchd.core.events import SoftFenced
from pmwatchd.core.machine import Check, Machine, SoftFencing
from pmwatchd.core.model import Candidate, PowerStatus, ProxySource
from pmwatchd.core.orders import FenceSoftly
from pmwatchd.core.site import Site

ANSWER_S = 65.0
"""The command has a time limit of its own; its end is known after this at the latest."""


READING_GOOD_S = 20.0
"""A reading of the power waits so long for what others say, which takes less."""


def delays(site: Site, machine: Machine, now: float) -> bool:
    """Whether fencing has to wait for it; begins it when it is due."""
    command = machine.host.power_management.soft_fencing
    if command is None or not machine.host.automatic:
        return False
    _take_up(site, machine, now)
    if not machine.soft.done:
        machine.soft.done = True
        machine.soft.reading = True
        machine.check_at = now
        return True
    waits = machine.soft.until_at is not None and now < machine.soft.until_at
    return machine.soft.reading or waits


def _take_up(site: Site, machine: Machine, now: float) -> None:
    """Go on from a reading that waited until others had said all, unless it has grown old."""
    power, machine.soft.power = machine.soft.power, None
    if power is None:
        return
    if now > machine.soft.read_at + READING_GOOD_S:
        machine.soft.done = False
    else:
        _run(site, machine, power, now)


def read(
    site: Site, machine: Machine, check: Check, now: float, *, held: bool, unsure: bool
) -> None:
    """
    Take in what the power reads, and run the command unless it is off or held by now.

    Where others have not said all, the reading waits for that: to read anew could
    meet their next round each time.
    """
    if not machine.soft.reading:
        return
    machine.soft.reading = False
    if held or not machine.host.automatic:
        machine.soft.done = False
        return
    power = verdict.of_groups(check.host, check.power)
    if unsure:
        machine.soft.power, machine.soft.read_at = power, now
    else:
        _run(site, machine, power, now)


def _run(site: Site, machine: Machine, power: PowerStatus, now: float) -> None:
    if power is PowerStatus.OFF:
        site.tell("fence.soft_ended", machine, result="skipped", reason="its power reads off")
        return
    host = machine.host
    machine.soft.number += 1
    machine.soft.running = True
    machine.soft.until_at = now + ANSWER_S
    site.tell("fence.soft_began", machine)
    target = Candidate(
        name=host.name,
        source=ProxySource.NAMED,
        address=host.as_proxy.address or host.address,
        port=host.as_proxy.port,
        user=host.as_proxy.user,
    )
    site.orders.append(FenceSoftly(host=host, question=machine.soft.number, target=target))


def forget(site: Site, machine: Machine) -> None:
    """The silence is over."""
    if machine.soft.running:
        site.tell("fence.soft_ended", machine, result="recovered", reason="the host answers")
    machine.soft = SoftFencing(number=machine.soft.number)


def ended(site: Site, machine: Machine, event: SoftFenced, now: float) -> None:
    """Wait for an answer of the host if the command ran; else nothing is to be waited for."""
    command = machine.host.power_management.soft_fencing
    if event.question != machine.soft.number or machine.soft.until_at is None:
        return
    machine.soft.running = False
    result = "ok" if event.ran else "failed"
    site.tell("fence.soft_ended", machine, result=result, reason=event.reason)
    wait_s = command.wait_s if command is not None and event.ran else 0.0
    machine.soft.until_at = now + wait_s
