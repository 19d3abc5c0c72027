"""Deliberate bugs of what a person said, and of what is owed to a host across operations."""

from __future__ import annotations

from tests.simulation.mutant import Mutant

WORDS_AND_DUTIES = (
    Mutant(
        "a restart forgets a cancel that waits for a command",
        "core/resume.py",
        '"cancelled": _word(operation.cancelled),',
        '"cancelled": None,',
        test="tests/core/test_requests.py",
    ),
    Mutant(
        "a person's word takes effect before anybody has listened",
        "core/fence.py",
        "if operation.vouched is not None and operation.resumed:",
        "if operation.vouched is not None and not operation.resumed:",
        test="tests/core/test_resume.py",
    ),
    Mutant(
        "a person's restart cuts a host again that came back during a crash",
        "core/fence_off.py",
        "if operation.cause is Cause.AUTOMATIC or over:",
        "if operation.cause is Cause.AUTOMATIC:",
        test="tests/core/test_resume.py",
    ),
    Mutant(
        "a restoring without end keeps its host unfenced",
        "core/operation.py",
        "return self.completes or (self.restoring is not None and rests)",
        "return self.completes",
        test="tests/core/test_obligations.py",
    ),
    Mutant(
        "a supply that is just switched on keeps its host unfenced",
        "core/operation.py",
        "return self.completes or (self.restoring is not None and rests)",
        "return self.restoring is not None and rests",
        test="tests/core/test_power.py",
    ),
    Mutant(
        "a supply that was given up is pursued",
        "core/machine.py",
        "return self.missing_agents - self.host.named(self.given_up)",
        "return self.missing_agents",
        test="tests/core/test_power.py",
    ),
    Mutant(
        "a second off brings back what the first one keeps off",
        "core/operation.py",
        "return self.owed - self.sent_off if self.action is Action.OFF else frozenset()",
        "return frozenset()",
        test="tests/core/test_obligations.py",
    ),
    Mutant(
        "a reading from before an operation counts after it",
        "core/requests.py",
        "return began or machine.operated_at >= query.asked_at",
        "return began",
        test="tests/core/test_obligations.py",
    ),
    Mutant(
        "a heartbeat that could not be sent acquits wrong wires",
        "core/fence.py",
        "if event.result is ProbeResult.LOCAL_FAULT and patient:\n        return",
        "if False and patient:\n        return",
        test="tests/core/test_obligations.py",
    ),
    Mutant(
        "a local fault before the last look hides nothing",
        "core/treatment.py",
        "blind = machine.told_at < machine.blind_at",
        "blind = False",
        test="tests/core/test_last_look.py",
    ),
    Mutant(
        "a neighbour that answered long ago shows that we are well",
        "core/site.py",
        "return any(self._heard_at(name) > since_at for name in others)",
        "return any(True for name in others)",
        test="tests/core/test_observer.py",
    ),
    Mutant(
        "a host of which only local faults come is up",
        "core/watch.py",
        "return Connecting(now, base_at=now) if isinstance(watch, Up) else watch",
        "return watch",
        test="tests/core/test_deafness.py",
    ),
    Mutant(
        "what is to switch power begins without having been told",
        "ports.py",
        'IFS= read -r first && [ -n "$first" ] &&',
        "IFS= read -r first;",
        test="tests/io/test_agents_told.py",
    ),
    Mutant(
        "an off that was ended by force is over at once",
        "io/ssh/execution.py",
        "by_force = self.switches and (",
        "by_force = False and (",
        test="tests/io/test_ssh_execution.py",
    ),
    Mutant(
        "an option's name may end its own line",
        "core/dialect.py",
        'if not _NAME.fullmatch(name.replace("-", "_")):',
        "if not _NAME.fullmatch(word):",
        test="tests/core/test_dialect.py",
    ),
)
