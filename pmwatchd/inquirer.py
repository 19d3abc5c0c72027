"""
Asks others about silent hosts: witnesses, the site's own command, soft fencing.

Nothing here touches power, and nothing here could: it knows no agents.  What
goes wrong outside comes back as an answer that says nothing; a bug in a task
ends the daemon, and the journal recovers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pmwatchd.core.events import AliveChecked, Event, SoftFenced, WitnessSaid
from pmwatchd.core.model import Opinion
from pmwatchd.core.orders import AskWitness, CheckAlive, FenceSoftly, Question
from pmwatchd.ports import Inquiries, Said

WITNESS_S = 2.0
SOFT_FENCING_S = 60.0
"""The command itself is ended on its host after 30 s; the rest is for getting there and back."""
WAIT_MAX_S = 5.0
"""A question that waited so long for others to end is too old to be asked."""
WITNESSES_AT_ONCE = 64
CHECKS_AT_ONCE = 16
SOFT_FENCINGS_AT_ONCE = 64

T = TypeVar("T")


class _UnansweredError(Exception):
    """A question came to nothing; the text says why."""


class Inquirer:
    """
    Carries out questions in parallel tasks, so many of a kind at once.

    Args:
        inquiries: Asks one witness, one command, one host.
        inbox: Takes the facts that come of it; every question is answered there once.
    """

    def __init__(self, *, inquiries: Inquiries, inbox: Callable[[Event], None]) -> None:
        self._inquiries = inquiries
        self._inbox = inbox
        self._witnesses = asyncio.Semaphore(WITNESSES_AT_ONCE)
        self._checks = asyncio.Semaphore(CHECKS_AT_ONCE)
        self._soft_fencings = asyncio.Semaphore(SOFT_FENCINGS_AT_ONCE)
        self._group: asyncio.TaskGroup | None = None
        self._early: list[Question] = []
        self._ended = False

    def carry_out(self, act: Question) -> None:
        """
        Begin to ask and return at once; the answer is put into the inbox.

        Questions put before :meth:`run` wait for it; after its end they are not asked.
        """
        if self._ended:
            return
        if self._group is None:
            self._early.append(act)
            return
        match act:
            case AskWitness():
                self._group.create_task(self._ask_witness(act))
            case CheckAlive():
                self._group.create_task(self._check_alive(act))
            case FenceSoftly():
                self._group.create_task(self._fence_softly(act))

    async def run(self) -> None:
        """Ask until cancelled, or until a bug in a question ends everything."""
        try:
            async with asyncio.TaskGroup() as self._group:
                early, self._early = self._early, []
                for act in early:
                    self.carry_out(act)
                await asyncio.Event().wait()
        finally:
            self._ended = True

    async def _ask_witness(self, act: AskWitness) -> None:
        try:
            said = await _in_turn(
                self._witnesses,
                WITNESS_S,
                lambda: self._inquiries.ask_witness(act.host, act.witness),
            )
        except _UnansweredError as error:
            said = Said(Opinion.NONE, str(error))
        self._inbox(
            WitnessSaid(act.host.name, act.question, act.witness.name, said.opinion, said.reason)
        )

    async def _check_alive(self, act: CheckAlive) -> None:
        check = act.host.alive_check
        try:
            said = await _in_turn(
                self._checks,
                0.0 if check is None else check.timeout_s,
                lambda: self._inquiries.check_alive(act.host, act.chain),
            )
        except _UnansweredError as error:
            said = Said(Opinion.NONE, str(error))
        self._inbox(AliveChecked(act.host.name, act.question, said.opinion, said.reason))

    async def _fence_softly(self, act: FenceSoftly) -> None:
        try:
            reason = await _in_turn(
                self._soft_fencings,
                SOFT_FENCING_S,
                lambda: self._inquiries.fence_softly(act.host, act.target),
            )
        except _UnansweredError as error:
            reason = str(error)
        self._inbox(SoftFenced(act.host.name, act.question, ran=not reason, reason=reason))


async def _in_turn(slots: asyncio.Semaphore, limit_s: float, ask: Callable[[], Awaitable[T]]) -> T:
    """
    Ask when a slot is free.

    Raises:
        _UnansweredError: None became free in time, or no answer came in time.
    """
    try:
        async with asyncio.timeout(WAIT_MAX_S):
            await slots.acquire()
    except TimeoutError:
        reason = f"not asked: other questions took more than {WAIT_MAX_S:g} s"
        raise _UnansweredError(reason) from None
    try:
        async with asyncio.timeout(limit_s):
            return await ask()
    except TimeoutError:
        raise _UnansweredError(f"no answer within {limit_s:g} s") from None
    finally:
        slots.release()
