"""
A hundred thousand datagrams that are no dump, at the port of the running daemon.

They come from the addresses of watched hosts and of strangers, are empty,
random, long, or nearly a message; strangers send sound ones, too.  A failure
prints the seed; with that in ``PMWATCHD_FUZZ_SEED`` the same are sent again.
"""

from __future__ import annotations

import os
import random
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.kit.bmc import Bmc
from tests.kit.daemon import Daemon
from tests.kit.kdump import LOOPBACK, port_state
from tests.kit.machine import Machine
from tests.kit.parts import IRON, needs
from tests.kit.ports import free_port
from tests.kit.site import Site
from tests.kit.waiting import eventually

pytestmark = needs(*IRON)

SEED_VARIABLE = "PMWATCHD_FUZZ_SEED"
DATAGRAMS = 100_000
BURST = 200  # fits the smallest buffer that a kernel gives
LOOK_EVERY = 50  # bursts
LONGEST = 65_507  # what IPv4 can carry
GROWTH_MAX = 8 * 1024 * 1024  # with 90 bytes kept for each datagram it would be more
LINES_MAX = 10

MAGIC, VERSION = 0x1B302A40, 1
SOUND = tuple(struct.pack(order + "II", MAGIC, VERSION) for order in "<>")


@dataclass(frozen=True, slots=True)
class Burst:
    """What one sender sends at once."""

    source: str
    messages: Sequence[bytes]


def random_bytes(chance: random.Random) -> bytes:
    length = chance.choice([0, 1, 4, 7, 8, 8, 9, 16, 17, chance.randrange(64)])
    if chance.random() < 0.01:
        length = chance.randrange(2048)
    if chance.random() < 0.0005:
        length = LONGEST
    return chance.randbytes(length)


def nearly_sound(chance: random.Random) -> bytes:
    """A message with one thing wrong."""
    message = chance.choice(SOUND)
    match chance.randrange(5):
        case 0:
            bits = int.from_bytes(message, "big") ^ 1 << chance.randrange(64)
            return bits.to_bytes(8, "big")
        case 1:
            return message[: chance.randrange(8)]
        case 2:
            return message + chance.randbytes(chance.randint(1, 16))
        case 3:
            return SOUND[0][:4] + SOUND[1][4:]
        case _:
            return struct.pack("<II", MAGIC, chance.choice([0, 2, chance.getrandbits(32) | 2]))


def garbage(chance: random.Random) -> bytes:
    message = chance.choice([random_bytes, nearly_sound])(chance)
    return b"" if message in SOUND else message


def stranger(chance: random.Random) -> str:
    """One of a few million addresses that belong to nobody who is watched."""
    return f"127.{chance.randint(60, 250)}.{chance.randint(0, 255)}.{chance.randint(1, 254)}"


def bursts(seed: str, known: Sequence[str], mute: str) -> Iterator[Burst]:
    """
    Draw bursts.

    Args:
        known: Addresses of hosts with kdump: nothing sound comes from there.
        mute: Address of a host without kdump, which counts as a stranger's.
    """
    chance = random.Random(seed)  # noqa: S311 - garbage, no secrets
    for _ in range(DATAGRAMS // BURST):
        messages = [garbage(chance) for _ in range(BURST)]
        source = chance.choice([*known, mute, stranger(chance), stranger(chance)])
        if source not in known:
            messages[: BURST // 4] = chance.choices(SOUND, k=BURST // 4)
            chance.shuffle(messages)
        yield Burst(source, messages)


def send(burst: Burst, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((burst.source, 0))
        for message in burst.messages:
            sender.sendto(message, (LOOPBACK, port))


def resident_bytes(daemon: Daemon) -> int:
    assert daemon.process is not None
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def log_lines(daemon: Daemon) -> int:
    return daemon.log.read_bytes().count(b"\n")


def begin(site: Site) -> tuple[Daemon, list[Machine], Bmc, int]:
    """Watch two hosts with kdump, of which the first has a BMC, and one without."""
    bmc = site.bmc()
    target, other, mute = site.machine("node1", bmc), site.machine("node2"), site.machine("node3")
    site.watch(target, [bmc.agent()], proxies=["engine"], kdump=True)
    site.watch(other, [], kdump=True)
    site.watch(mute, [])
    port = free_port(LOOPBACK, socket.SOCK_DGRAM)
    listen = {"enabled": True, "listen": f"{LOOPBACK}:{port}", "start_window": "0s"}
    daemon = site.configure({"kdump": listen})
    daemon.start()
    machines = [target, other, mute]
    for machine in machines:
        daemon.wait_status(machine.name, "up")
    return daemon, machines, bmc, port


def assert_unharmed(daemon: Daemon, machines: Sequence[Machine], port: int) -> None:
    """See it answer, its hosts well, and everything that was sent read by it."""
    assert daemon.get("/readyz")[0] == 200
    for machine in machines:
        shown = daemon.document(f"/api/v1/hosts/{machine.name}")
        assert shown["liveness"] in ("up", "connecting")
        assert "kdump" not in {hold["name"] for hold in shown["holds"]}
    assert port_state(port).dropped == 0


def test_a_hundred_thousand_random_datagrams_do_no_harm(site: Site) -> None:
    seed = os.environ.get(SEED_VARIABLE) or str(random.SystemRandom().randrange(10**6))
    replay = f"{SEED_VARIABLE}={seed} python -m pytest '{__file__}'"
    print(f"seed {seed}; again with: {replay}")  # noqa: T201 - pytest shows it on failure
    daemon, machines, bmc, port = begin(site)
    target, other, mute = machines
    before, lines = resident_bytes(daemon), log_lines(daemon)

    known = [target.address, other.address]
    for number, burst in enumerate(bursts(seed, known, mute.address)):
        send(burst, port)
        eventually(
            lambda: port_state(port).waiting_bytes == 0,
            within_s=10,
            what=f"the daemon reads burst {number} from {burst.source}",
        )
        if number % LOOK_EVERY == 0:
            assert_unharmed(daemon, machines, port)

    assert_unharmed(daemon, machines, port)
    assert resident_bytes(daemon) - before < GROWTH_MAX
    assert log_lines(daemon) - lines < LINES_MAX
    refused = daemon.records("kdump.refused")
    assert refused
    assert sum(record["garbage"] + record["unknown"] for record in refused) > 0

    target.kill()
    closed = daemon.wait_record("fence.closed", within_s=30, host=target.name)
    daemon.wait_status(target.name, "up")
    assert closed["outcome"] == "done"
    assert [command.power for command in bmc.commands()] == ["off", "on"]
    assert daemon.records("kdump.began") == []
    assert daemon.records("hold.began", hold="kdump") == []
    assert len(daemon.records("fence.opened")) == 1
