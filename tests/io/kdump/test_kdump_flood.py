"""What arrives at the crash dump port in masses harms nothing."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import sys

from pmwatchd.core.events import DumpHeard
from pmwatchd.io.kdump.listener import HEARD_EVERY_S, MESSAGES, READ_AT_ONCE_MAX, TOLD_EVERY_S
from tests.io.kdump.scene import MESSAGE, host, listening, sender, until

NUMBER = 100_000
BURST = 200
"""As many as a receive buffer of the smallest size holds, so none is lost in the kernel."""


async def test_a_flood_of_a_known_host_is_heard_once_a_second() -> None:
    async with listening(host(), host("node2", "127.0.0.2")) as scene:
        began_at = scene.now
        scene.send(*[MESSAGE] * 100)
        scene.send(MESSAGE, source="127.0.0.2")
        await until(lambda: scene.refused() == (0, 0, 99))
        scene.now += HEARD_EVERY_S / 2
        scene.send(*[MESSAGE] * 100)
        await until(lambda: scene.refused() == (0, 0, 199))
        scene.now += HEARD_EVERY_S / 2
        scene.send(MESSAGE)
        await until(lambda: len(scene.heard) == 3)

        assert scene.heard == [
            DumpHeard("node1", began_at),
            DumpHeard("node2", began_at),
            DumpHeard("node1", began_at + HEARD_EVERY_S),
        ]


async def test_what_is_refused_is_told_once_a_minute_and_nothing_is_left_out() -> None:
    async with listening(host()) as scene:
        scene.send(b"x")
        await until(lambda: scene.told)
        scene.send(*[b"x"] * 50)
        scene.send(*[MESSAGE] * 7, source="127.0.0.2")
        await until(lambda: scene.refused() == (7, 51, 0))
        assert len(scene.told) == 1

        scene.now += TOLD_EVERY_S
        scene.send(b"x")
        await until(lambda: len(scene.told) == 2)

        assert scene.told[1].fields == {
            "unknown": 7,
            "garbage": 51,
            "surplus": 0,
            "sender": "127.0.0.2",
        }


async def test_the_rest_of_a_flood_that_has_ended_is_told_too() -> None:
    async with listening(host()) as scene:
        scene.send(b"x")
        await until(lambda: scene.told)
        scene.send(b"x", b"x")
        await until(lambda: scene.refused() == (0, 3, 0))
        scene.now += TOLD_EVERY_S
        scene.watch(host())  # rouses it, as its own timer would

        await until(lambda: len(scene.told) == 2)
        assert scene.told[1].fields["garbage"] == 2


async def test_100_000_random_datagrams_leave_it_unharmed() -> None:
    chance = random.Random(7410)  # noqa: S311 - not for secrets
    sizes = (0, 1, 7, 8, 8, 8, 9, 64, 1200)
    datagrams = [chance.randbytes(chance.choice(sizes)) for _ in range(BURST - 1)] + [MESSAGE]
    assert sum(datagram in MESSAGES for datagram in datagrams) == 1
    with contextlib.ExitStack() as stack:
        strangers = [
            stack.enter_context(sender(f"127.0.{1 + number // 50}.{1 + number % 50}"))
            for number in range(BURST - 7)  # so that over time each sends everything
        ]
        async with listening(host()) as scene:
            blocks = sys.getallocatedblocks()
            for number in range(NUMBER):
                out = strangers[number % len(strangers)]
                out.sendto(datagrams[number % BURST], ("127.0.0.1", scene.port))
                if (number + 1) % BURST == 0:
                    await until(lambda: sum(scene.refused()) == number + 1)  # noqa: B023 - awaited
            grown = sys.getallocatedblocks() - blocks

            assert scene.refused() == (NUMBER // BURST, NUMBER - NUMBER // BURST, 0)
            assert scene.heard == []
            assert len(scene.told) == 1
            assert grown < 300
            scene.send(MESSAGE)
            await until(lambda: scene.heard)


async def test_others_have_their_turn_while_a_flood_is_read() -> None:
    turns: list[int] = []
    async with listening(host()) as scene:
        scene.send(b"x")
        await until(lambda: scene.told)
        scene.send(*[b"x"] * 400)
        while not turns or turns[-1] < 401:
            await asyncio.sleep(0)
            turns.append(sum(scene.refused()))

    steps = [after - before for before, after in itertools.pairwise([1, *turns])]
    assert max(steps) == READ_AT_ONCE_MAX
