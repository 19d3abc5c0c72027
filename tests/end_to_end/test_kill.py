"""
The daemon is killed with ``kill -9`` at random instants of real operations.

Each story: a machine dies, its fencing begins (a real sshd, the real
``fence_ipmilan``, a simulated BMC), the daemon is killed somewhere in it and
started again.  Then the BMC's own record, a book of the agent's executions
and the journal are asked what happened.  A failure prints the seed; with that
in ``PMWATCHD_KILL_SEED`` the same instants are drawn again.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from tests.kit.bmc import Bmc
from tests.kit.book import AgentBook
from tests.kit.daemon import Daemon, Document
from tests.kit.machine import Machine
from tests.kit.parts import IRON, needs
from tests.kit.site import Site, Table
from tests.kit.waiting import eventually

pytestmark = needs(*IRON)

SEED_VARIABLE = "PMWATCHD_KILL_SEED"
CHUNKS = 4  # tests that may run at the same time
KILLS = (4, 3, 3)  # for each site of a test, its stories, one after the other

SPAN_S = 6.0  # about as long as an operation takes; shorter when a kill came too late
SWITCH_S = 0.2
SLOW_S = 0.8
LIMIT_S = 4.0
LONG_LIMIT_S = 15.0  # outlives the start of a daemon on a busy machine
KILL_AFTER_S = 1.0  # the margin for a proxy on a busy machine, which starts an agent late
FENCING: Table = {
    "off_status_delay": "500ms",
    "off_status_retries": 40,
    "on_status_delay": "500ms",
    "on_status_retries": 40,
    "status_timeout": f"{LIMIT_S}s",
    "kill_after": f"{KILL_AFTER_S}s",
    "confirm_gap": "200ms",
    "quiet_time": "100ms",
    "retry": {"min": "500ms", "max": "2s"},
}
QUICK: dict[str, Table] = {
    "heartbeat": {"interval": "400ms", "timeout": "350ms"},
    "grace": {"period": "800ms", "failures": 2},
    "safety": {"loop_limit": 1000},  # one machine dies again and again here
}


@dataclass(slots=True)
class Scene:
    """One site whose daemon is killed again and again."""

    daemon: Daemon
    machine: Machine
    bmc: Bmc
    book: AgentBook
    limit_s: float
    span_s: float = SPAN_S

    def said(self, event: str, after: int) -> bool:
        """Whether the daemon's log, from this byte on, has an event; cheap enough to ask often."""
        with self.daemon.log.open("rb") as log:
            log.seek(after)
            return event.encode() in log.read()

    def operations(self) -> list[Document]:
        """Operations of the machine, the oldest first, as the journal has them."""
        items: list[Document] = self.daemon.document("/api/v1/operations?host=node1")["items"]
        return items[::-1]

    def records(self, operation: str) -> list[Document]:
        """Records of an operation, as the journal has them."""
        path = f"/api/v1/records?operation={operation}"
        items: list[Document] = self.daemon.document(path)["items"]
        return items


@contextmanager
def scene(directory: Path, *, limit_s: float = LIMIT_S) -> Iterator[Scene]:
    directory.mkdir()
    site = Site(directory)
    try:
        bmc = site.bmc(switch_delay_s=SWITCH_S)
        machine = site.machine("node1", bmc)
        machine.boot_s = 0.2
        proxy = site.proxy()
        site.watch(machine, [bmc.agent()])
        book = AgentBook(directory / "agents", slow_s=SLOW_S)
        book.write()
        fencing = {
            **FENCING,
            "agent_timeout": f"{limit_s}s",
            "agent_dir": str(book.directory),
        }
        daemon = site.configure({**QUICK, "fencing": fencing})
        daemon.start(within_s=60)
        daemon.wait_status(proxy.name, "up", within_s=30)
        yield Scene(daemon, machine, bmc, book, limit_s)
    finally:
        site.close()


def kill_in_the_middle(scene: Scene, fraction: float) -> bool:
    """Play one story; return False when the operation had ended before the kill."""
    daemon, machine = scene.daemon, scene.machine
    daemon.wait_status(machine.name, "up", within_s=30)
    told = len(daemon.records("fence.opened"))
    commands, executions = len(scene.bmc.commands()), len(scene.book.executions())
    boots, size = machine.boots, daemon.log.stat().st_size
    machine.kill()
    eventually(lambda: scene.said("fence.opened", size), within_s=30, what="an operation is opened")
    threading.Event().wait(fraction * scene.span_s)  # the instant is the point of this test

    daemon.kill()

    opened = daemon.records("fence.opened")[-1]["operation"]
    too_late = bool(daemon.records("fence.closed", operation=opened))
    daemon.start(within_s=60)
    eventually(lambda: machine.boots > boots, within_s=60, what="the machine boots")
    eventually(
        lambda: scene.operations()[-1]["outcome"], within_s=60, what=f"{opened} is carried on"
    )
    daemon.wait_status(machine.name, "up", within_s=30)
    assert_power(scene, commands, executions)
    assert_one_story(scene, told, opened)
    if too_late:
        scene.span_s *= 0.8
    return not too_late


def assert_power(scene: Scene, commands: int, executions: int) -> None:
    """One off that had an effect, then on; and no command before another one was over."""
    happened = scene.bmc.commands()[commands:]
    effective = [
        command
        for before, command in pairwise([None, *happened])
        if command is not None
        if command.power != (before.power if before else "on")
    ]

    assert [command.power for command in effective] == ["off", "on"], happened
    off, on = effective
    assert on.at - off.at > SWITCH_S, "on was sent before the power was off"
    assert scene.bmc.powered()
    assert scene.bmc.unexpected() == ""
    for one, following in pairwise(scene.book.executions()[executions:]):
        ended = one.ended if one.ended is not None else one.began + scene.limit_s
        assert following.began > ended, f"{following} began while {one} was running"


def assert_one_story(scene: Scene, earlier: int, operation: str) -> None:
    """Opened once, closed once, every step in its order; the log says nothing else."""
    operations = scene.operations()
    assert [one["id"] for one in operations[earlier:]] == [operation]
    assert operations[-1]["outcome"] == "done"
    records = scene.records(operation)
    events = [record["event"] for record in records]
    for event in ("fence.opened", "fence.off_proven", "fence.on_proven", "fence.closed"):
        assert events.count(event) == 1, (event, events)
    assert events[0] == "fence.opened"
    assert events[-1] == "fence.closed"
    proven = events.index("fence.off_proven")
    for number, record in enumerate(records):
        if record["event"] == "fence.intended":
            assert (record["action"] == "on") == (number > proven), records
    kept = {record["sequence"]: record["event"] for record in records}
    assert list(kept) == sorted(kept)
    logged = {
        record["sequence"]: record["event"]
        for record in scene.daemon.records(operation=operation)
        if "sequence" in record
    }
    assert logged.items() <= kept.items()


def play(directory: Path, seed: str, kills: int) -> None:
    """Kill one site's daemon so many times in the middle of an operation."""
    instants = random.Random(seed)  # noqa: S311 - instants, no secrets
    with scene(directory) as stage:
        met = tries = 0
        while met < kills:
            tries += 1
            if tries > 3 * kills:
                pytest.fail("the operations are over too soon to be killed")
            fraction = instants.random()
            try:
                met += kill_in_the_middle(stage, fraction)
            except BaseException:
                at = f"kill {met + 1} of {kills}, {fraction * stage.span_s:.3f} s after its opening"
                print(f"{directory.name}, {at}:\n{stage.daemon.log.read_text()}")  # noqa: T201 - pytest shows it on failure
                raise


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_kill_9_at_random_instants_leaves_one_off_one_on_and_one_story(
    tmp_path: Path, chunk: int
) -> None:
    seed = os.environ.get(SEED_VARIABLE) or str(random.SystemRandom().randrange(10**6))
    replay = f"{SEED_VARIABLE}={seed} python -m pytest '{__file__}' -k 'instants and [{chunk}]'"
    print(f"seed {seed}; again with: {replay}")  # noqa: T201 - pytest shows it on failure
    with ThreadPoolExecutor(len(KILLS)) as stories:
        played = [
            stories.submit(play, tmp_path / f"site{number}", f"{seed}/{chunk}/{number}", kills)
            for number, kills in enumerate(KILLS)
        ]
        for story in played:
            story.result()


def test_an_off_that_hangs_on_its_proxy_is_waited_for_by_the_next_start(tmp_path: Path) -> None:
    with scene(tmp_path / "site", limit_s=LONG_LIMIT_S) as stage:
        daemon, machine, book = stage.daemon, stage.machine, stage.book
        daemon.wait_status(machine.name, "up")
        book.stick()
        machine.kill()
        eventually(lambda: book.executions("off"), within_s=20, what="the off is on its way")

        daemon.kill()
        book.unstick()
        daemon.start()

        closed = daemon.wait_record("fence.closed", within_s=60, host=machine.name)
        daemon.wait_status(machine.name, "up")
        assert len(book.executions("off")) == 2
        assert_power(stage, 0, 0)
        assert_one_story(stage, 0, closed["operation"])
