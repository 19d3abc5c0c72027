"""The network that other tests cut: who reaches whom, and that nothing of it stays behind."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.kit.network import Network, refusal
from tests.kit.parts import needs
from tests.kit.waiting import eventually

pytestmark = needs("ip")

HERE, THERE, ELSEWHERE = "192.0.2.1", "192.0.2.2", "198.51.100.1"

ABANDONED = """
import subprocess, sys
from tests.kit.network import Network
network = Network()
network.start()
network.machine("abandoned", {})
with network.inside("abandoned"):
    child = subprocess.Popen(["sleep", "600"])
print(network.places()[-1], child.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def network() -> Iterator[Network]:
    if reason := refusal():
        pytest.skip(reason)
    network = Network()
    try:
        network.start()
        yield network
    finally:
        network.stop()


def lay(network: Network) -> None:
    """Two machines on one switch behind another, a third one on a network of its own."""
    network.switch("core")
    network.switch("rack", uplink="core")
    network.switch("other")
    network.machine("here", {"core": f"{HERE}/24"})
    network.machine("there", {"rack": f"{THERE}/24"})
    network.machine("elsewhere", {"other": f"{ELSEWHERE}/24"})


def reaches(network: Network, address: str) -> bool:
    """Whether the machine *here* gets an answer from an address; a refusal is one."""
    with network.inside("here"), socket.socket() as knock:
        knock.settimeout(0.5)
        try:
            knock.connect((address, 9))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return True


def becomes_reached(network: Network) -> None:
    eventually(lambda: reaches(network, THERE), within_s=10, what="there is reached")


def test_a_machine_reaches_who_has_a_cable_to_the_same_switches(network: Network) -> None:
    lay(network)

    becomes_reached(network)

    assert not reaches(network, ELSEWHERE)


Act = Callable[[Network], None]
CUTS: Mapping[str, tuple[Act, Act]] = {
    "a cable": (lambda n: n.cut("here", "core"), lambda n: n.mend("here", "core")),
    "an uplink": (lambda n: n.cut("rack", "core"), lambda n: n.mend("rack", "core")),
    "a switch": (lambda n: n.switch_off("rack"), lambda n: n.switch_on("rack")),
    "an interface": (
        lambda n: n.interface("here", "core", up=False),
        lambda n: n.interface("here", "core", up=True),
    ),
    "one direction": (lambda n: n.deafen("there", HERE), lambda n: n.undeafen("there", HERE)),
}


@pytest.mark.parametrize("what", CUTS)
def test_what_is_cut_separates_and_what_is_mended_joins_again(network: Network, what: str) -> None:
    cut, mend = CUTS[what]
    lay(network)
    becomes_reached(network)

    cut(network)
    assert not reaches(network, THERE)

    mend(network)
    becomes_reached(network)


def test_what_a_machine_runs_is_ended_with_the_network(network: Network) -> None:
    network.machine("busy", {})
    with network.inside("busy"):
        child = subprocess.Popen(["sleep", "600"])
    places = network.places()

    network.stop()

    assert child.wait(timeout=10) == -signal.SIGKILL
    assert not [place for place in places if Path("/run/netns", place).exists()]


def test_what_a_killed_test_left_behind_is_taken_away_by_the_next_one(network: Network) -> None:
    with ExitStack() as stack:
        other = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-c", ABANDONED],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        assert other.stdout is not None
        place, child = other.stdout.readline().split()

        network.clean()
        assert Path("/run/netns", place).exists()  # its owner lives
        other.kill()
        other.wait()
        network.clean()

    assert not Path("/run/netns", place).exists()
    eventually(
        lambda: not Path("/proc", child, "exe").exists(), within_s=10, what="its process is ended"
    )
