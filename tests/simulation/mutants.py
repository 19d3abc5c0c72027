"""
Deliberate bugs: small changes to the source that the simulation has to notice.

Each replaces one piece of text that occurs exactly once in its file; one that
does not apply any more is an error, so the list follows the source.
"""

from __future__ import annotations

from tests.simulation.mutant import Mutant
from tests.simulation.mutants_of_holds import HOLDS
from tests.simulation.mutants_of_words import WORDS_AND_DUTIES

MUTANTS = (
    Mutant(
        "a single reading proves off",
        "core/stage.py",
        "if steps == {Step.PROVEN}:",
        "if steps <= {Step.SEEN, Step.PROVEN}:",
        test="tests/core/test_fence.py",
    ),
    Mutant(
        "off is proven as soon as one of the group is off",
        "core/stage.py",
        "if steps == {Step.PROVEN}:",
        "if Step.PROVEN in steps:",
    ),
    Mutant(
        "unknown is treated as off when confirming",
        "core/stage.py",
        "if answer.power is PowerStatus.OFF:\n        return replace(member, step=Step.PROVEN)",
        "if answer.power is not PowerStatus.ON:\n        return replace(member, step=Step.PROVEN)",
    ),
    Mutant(
        "exit status 2 alone proves off",
        "core/verdict.py",
        'if exit_code == 2 and said == {"Status: OFF"}:',
        "if exit_code == 2:",
    ),
    Mutant(
        "the turn of a reply is not checked",
        "core/stage.py",
        "if member.step in OUTSTANDING and member.turn == turn",
        "if member.step in OUTSTANDING",
    ),
    Mutant(
        "no last look before an off",
        "core/fence_off.py",
        "if operation.cause is Cause.AUTOMATIC or over:",
        "if over:",
    ),
    Mutant(
        "an answer to the last look is ignored",
        "core/fence_off.py",
        "if event.result is ProbeResult.ALIVE:\n        return _give_up(",
        "if event.result is None:\n        return _give_up(",
        test="tests/core/test_fence.py",
    ),
    Mutant(
        "a person's off waits for no proof",
        "core/fence.py",
        "    if operation.brings_back:",
        "    if operation.brings_back or operation.cause == 'person':",
    ),
    Mutant(
        "a restart forgets that the off was proven",
        "core/operation.py",
        "return past_off or self.action is Action.ON",
        "return self.action is Action.ON",
        test="tests/core/test_resume.py",
    ),
    Mutant(
        "a device is not held for what may still run",
        "devices.py",
        "switch.held_until = max(switch.held_until, until_at)",
        "switch.held_until = min(switch.held_until, until_at)",
        test="tests/test_devices.py",
    ),
    Mutant(
        "a restart forgets open operations",
        "core/roster.py",
        "self.orphans = {saved.host: saved for saved in operations}",
        "self.orphans: dict[str, SaveOperation] = {}",
    ),
    Mutant(
        "what was sent off is not restored",
        "core/fence_off.py",
        "    if not operation.switched:\n        return fence_end.close(",
        "    if operation:\n        return fence_end.close(",
    ),
    Mutant(
        "an operation is saved only when it opens",
        "core/operate.py",
        "if saved != machine.saved_operation:",
        "if machine.saved_operation is None or machine.saved_operation.id != saved.id:",
    ),
    Mutant(
        "a person's off is not kept",
        "core/operate.py",
        "case Outcome.DONE if operation.action is Action.OFF:",
        "case Outcome.DONE if operation.action is Action.OFF and operation.miswired:",
    ),
    Mutant(
        "the operation of a removed host is dropped",
        "core/fleet.py",
        "if machine.gone and machine.operation is None:",
        "if machine.gone:",
        test="tests/core/test_fleet.py",
    ),
    Mutant(
        "the startup hold is forgotten",
        "core/holds.py",
        "if not about.seen and now < about.startup_ends_at:",
        "if not about.seen and now < about.startup_ends_at - 30.0:",
    ),
    Mutant(
        "maintenance is no hold",
        "core/holds.py",
        "if about.maintenance is not None:",
        "if about.maintenance is not None and about.miswired:",
    ),
    Mutant(
        "the quiet time is no hold",
        "core/holds.py",
        "if about.quiet_until is not None and now < about.quiet_until:",
        "if about.quiet_until is not None and now < about.quiet_until - 50.0:",
        test="tests/core/test_holds.py",
    ),
    Mutant(
        "the backoff is no hold",
        "core/holds.py",
        "if about.retry_at is not None and now < about.retry_at:",
        "if about.retry_at is not None and now < about.retry_at - 50.0:",
    ),
    Mutant(
        "grace ends by the count of misses alone",
        "core/watch.py",
        "return NonResponsive(now, watch.base_at) if now >= grace_ends_at(host, watch) else watch",
        "return NonResponsive(now, watch.base_at)",
    ),
    Mutant(
        "a host that never answered is fenced",
        "core/watch.py",
        "            return replace(watch, failures=watch.failures + 1)\n        case Up():",
        "            return NonResponsive(now, watch.since_at)\n        case Up():",
    ),
    Mutant(
        "acts are carried out before they are durable",
        "engine.py",
        "committed = await self._commit(entries)",
        "asyncio.get_running_loop().call_later(\n"
        "            0.1, lambda: asyncio.ensure_future(self._commit(entries))\n"
        "        )\n"
        "        committed = await self._commit([])",
    ),
    Mutant(
        "an operation that is not durable acts",
        "engine.py",
        "if order.operation in committed.unopened:",
        "if order.operation in frozenset[str]():",
    ),
    Mutant(
        "two executions at one device",
        "devices.py",
        "            switch.busy = True\n",
        "            switch.busy = False\n",
    ),
    Mutant(
        "on is proven by the feed alone",
        "core/power.py",
        "    if operation.on & chassis:\n        return True\n",
        "    if operation.on:\n        return True\n",
    ),
    Mutant(
        "secrets are shown as agents echo them",
        "core/masking.py",
        "text = text.replace(spelling, _MASK)",
        "text = text.replace(spelling, spelling)",
    ),
    Mutant(
        "a person's word counts although an agent reads on",
        "core/requests.py",
        '    if on:\n        reason = f"not off:',
        '    if on and query is None:\n        reason = f"not off:',
    ),
    Mutant(
        "a person's word counts although the host answers",
        "core/requests.py",
        "if answers or (answered_at is not None and answered_at >= query.asked_at):",
        "if answers and query is None:",
    ),
    Mutant(
        "an answer after the first reading of off is ignored",
        "core/fence.py",
        "    if event.result is ProbeResult.ALIVE:\n        return fence_off.answered(",
        "    if event.result is None:\n        return fence_off.answered(",
        test="tests/core/test_power.py",
    ),
    Mutant(
        "the last look is not checked at the last moment",
        "runner.py",
        "permitted=lambda: self._still_permitted(act),",
        "permitted=lambda: True,",
        test="tests/test_runner.py",
    ),
    Mutant(
        "an answer is heard across a change of the inventory",
        "engine.py",
        "_HEARD_FIRST = (InventoryLoaded, HeartbeatsHeard, CanaryHeard, DumpHeard)",
        "_HEARD_FIRST = (HeartbeatsHeard, CanaryHeard, DumpHeard)",
        test="tests/test_engine.py",
    ),
    Mutant(
        "a second crash forgets what may still run",
        "core/resume.py",
        "if operation.phase is Phase.BLOCKED",
        "if operation.phase is Phase.CLOSED",
        test="tests/core/test_resume.py",
    ),
    Mutant(
        "agents are known again by their names alone",
        "core/model.py",
        "frozenset(agent.name for agent in agents if agent.outlet in outlets)",
        "frozenset(agent.name for agent in agents if agent.name in outlets)",
        test="tests/core/test_resume.py",
    ),
    Mutant(
        "an off that ran at one proxy is forgotten at the next",
        "core/stage.py",
        " or any(one.answer for one in answer.tries)",
        "",
        test="tests/core/test_fence.py",
    ),
    Mutant(
        "the next operation forgets an off that may yet land",
        "core/operate.py",
        "earlier | host.outlets(in_vain)",
        "host.outlets(in_vain)",
        test="tests/core/test_power.py",
    ),
    Mutant(
        "a device is not held for a host that the inventory lacks",
        "core/roster.py",
        "for name in sorted(self.orphans):\n            host = event.hosts.get(name)",
        "for name in sorted(set(self.orphans) & set(event.hosts)):\n"
        "            host = event.hosts.get(name)",
        test="tests/core/test_resume.py",
    ),
    Mutant(
        "a reload shortens how long a command may still run",
        "core/stage.py",
        "replace(member, step=following, turn=turn, over_s=over_s, sent=sent)",
        "replace(member, step=following, turn=turn, over_s=over_s / 8, sent=sent)",
        test="tests/core/test_resume.py",
    ),
    Mutant(
        "a command begins while the daemon is being stopped",
        "runner.py",
        "if act.action is not FenceAction.STATUS and self._closing:",
        "if act.action is FenceAction.STATUS and self._closing:",
        test="tests/test_runner.py",
    ),
    *HOLDS,
    *WORDS_AND_DUTIES,
)
