"""Names of hosts that may write a crash dump, and the addresses they lead to."""

from __future__ import annotations

import socket
import threading

from pmwatchd.core.events import DumpHeard
from pmwatchd.io.kdump.listener import TOLD_EVERY_S
from pmwatchd.io.kdump.senders import REFRESH_S, RETRY_S, Source, source_of
from tests.io.kdump.scene import MESSAGE, PATIENCE_S, Names, host, listening, until

# RFC 6761 reserves the name; the second label is too long to be encoded, so nobody is asked.
NOT_A_NAME = "node1." + "x" * 70 + ".invalid"


async def test_a_name_is_looked_up_and_then_its_host_is_heard() -> None:
    async with listening(host(address="localhost")) as scene:
        await until(lambda: scene.hosts_at("127.0.0.1"))
        scene.send(MESSAGE)
        await until(lambda: scene.heard)

        assert scene.heard == [DumpHeard("node1", scene.now)]


async def test_a_literal_address_is_never_looked_up() -> None:
    names = Names()
    async with listening(host(), host("node2", "2001:db8::2"), names=names) as scene:
        scene.send(MESSAGE)
        await until(lambda: scene.heard)

        assert names.asked == []


async def test_a_name_that_moved_is_followed_and_its_old_address_forgotten() -> None:
    names = Names(node1="127.0.0.2")
    async with listening(host(address="node1"), names=names) as scene:
        await until(lambda: scene.hosts_at("127.0.0.2"))
        names.known["node1"] = "127.0.0.3"
        scene.now += REFRESH_S
        scene.watch(host(address="node1"))
        await until(lambda: scene.hosts_at("127.0.0.3"))
        scene.send(MESSAGE, source="127.0.0.2")
        scene.send(MESSAGE, source="127.0.0.3")
        await until(lambda: scene.heard)

        assert scene.heard == [DumpHeard("node1", scene.now)]
        assert names.asked == ["node1", "node1"]
        await until(lambda: scene.told)
        assert scene.refused() == (1, 0, 0)


async def test_what_is_known_of_a_name_stays_in_use_while_its_look_up_fails() -> None:
    names = Names(node1="127.0.0.2")
    async with listening(host(address="node1"), names=names) as scene:
        await until(lambda: scene.hosts_at("127.0.0.2"))
        names.known["node1"] = None
        scene.now += REFRESH_S
        scene.watch(host(address="node1"))
        await until(lambda: len(names.asked) == 2)
        scene.send(MESSAGE, source="127.0.0.2")
        await until(lambda: scene.heard)

        assert scene.told == []


async def test_a_name_that_cannot_be_resolved_is_told_once_and_asked_for_again() -> None:
    names = Names()
    async with listening(host(address="node1"), host("node2"), names=names) as scene:
        await until(lambda: scene.told)
        [record] = scene.told
        assert (record.event, record.host) == ("kdump.unresolved", "node1")
        assert record.fields == {"address": "node1"}

        scene.now += RETRY_S
        scene.watch(host(address="node1"), host("node2"))
        await until(lambda: len(names.asked) == 2)
        names.known["node1"] = "127.0.0.2"

        def known_after_another_while() -> object:
            scene.now += RETRY_S  # again and again: nobody announces that the last try has ended
            scene.send(MESSAGE)
            return scene.hosts_at("127.0.0.2")

        await until(known_after_another_while)

        assert scene.told == [record]


async def test_a_name_that_cannot_even_be_asked_for_is_told_like_one_that_is_unknown() -> None:
    async with listening(host(address=NOT_A_NAME)) as scene:
        await until(lambda: scene.told)

        assert [record.event for record in scene.told] == ["kdump.unresolved"]


async def test_a_name_server_that_hangs_keeps_nobody_from_being_heard() -> None:
    answers = threading.Event()

    def hang(_: str) -> frozenset[Source]:
        answers.wait(PATIENCE_S)
        raise socket.gaierror(socket.EAI_AGAIN, "later")

    others = [host(f"other{n}", f"other{n}.example.org") for n in range(20)]
    try:
        async with listening(host(), *others, names=hang) as scene:
            scene.send(MESSAGE)
            await until(lambda: scene.heard)

            assert scene.heard == [DumpHeard("node1", scene.now)]
            assert scene.told == []
    finally:
        answers.set()


async def test_a_host_that_is_gone_before_its_name_was_found_is_not_heard() -> None:
    answers = threading.Event()

    def late(_: str) -> frozenset[Source]:
        answers.wait(PATIENCE_S)
        return frozenset({("127.0.0.2", 0)})

    async with listening(host(address="node1"), names=late) as scene:
        scene.send(MESSAGE)
        await until(lambda: scene.told)  # so it has begun to ask
        scene.watch()
        answers.set()
        await until(lambda: not scene.listener._senders._running)
        scene.now += TOLD_EVERY_S
        scene.send(MESSAGE, source="127.0.0.2")
        await until(lambda: len(scene.told) == 2)

        assert scene.heard == []


async def test_two_hosts_at_one_address_are_both_heard() -> None:
    """Nobody can tell which of them dumps; waiting for both kills neither."""
    names = Names(a="127.0.0.2", b="127.0.0.2")
    async with listening(host("node1", "a"), host("node2", "b"), names=names) as scene:
        await until(lambda: len(scene.hosts_at("127.0.0.2")) == 2)
        scene.send(MESSAGE, source="127.0.0.2")
        await until(lambda: scene.heard)

        assert set(scene.hosts_heard) == {"node1", "node2"}


def test_an_ipv4_address_is_the_same_at_a_socket_of_ipv6() -> None:
    assert source_of(("::ffff:192.0.2.7", 7410, 0, 0)) == source_of(("192.0.2.7", 7410))
    assert source_of(("fe80::7", 7410, 0, 2)) != source_of(("fe80::7", 7410, 0, 3))
    assert source_of(("::ffff:0:7", 7410, 0, 0)) == ("::ffff:0:7", 0)
