from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest

from pmwatchd.lab.network import Network, Reach


@pytest.fixture
async def network() -> AsyncIterator[Network]:
    network = Network()
    network.join("node3", "127.92.1.3")
    network.join("node4", "127.92.1.4")
    yield network
    network.close()


def connects(place: tuple[str, int]) -> bool:
    try:
        socket.create_connection(place, timeout=0.1).close()
    except TimeoutError:
        return False
    return True


def reached(network: Network, host: str) -> tuple[bool, bool]:
    """Whether the manager reaches a host, and whether a proxy does."""
    place = network.place_of(host)
    return connects(place), connects(network.from_inside(*place))


def test_a_living_host_is_reached_by_everybody(network: Network) -> None:
    assert reached(network, "node3") == (True, True)


def test_a_dead_host_is_reached_by_nobody(network: Network) -> None:
    network.runs("node3", yes=False)

    assert reached(network, "node3") == (False, False)
    assert reached(network, "node4") == (True, True)


def test_behind_a_failed_switch_a_living_host_is_reached_by_nobody(network: Network) -> None:
    network.limit(["node3"], Reach.NOBODY)

    assert reached(network, "node3") == (False, False)


def test_a_host_that_the_manager_is_cut_off_from_is_still_reached_by_proxies(
    network: Network,
) -> None:
    network.limit(["node3"], Reach.PROXIES)

    assert reached(network, "node3") == (False, True)


def test_a_host_that_died_meanwhile_stays_silent_when_the_network_is_mended(
    network: Network,
) -> None:
    network.limit(["node3", "node4"], Reach.NOBODY)
    network.runs("node3", yes=False)
    network.limit(["node3", "node4"], Reach.EVERYBODY)

    assert reached(network, "node3") == (False, False)
    assert reached(network, "node4") == (True, True)


def test_a_host_that_boots_behind_a_cut_is_still_not_reached(network: Network) -> None:
    network.runs("node3", yes=False)
    network.limit(["node3"], Reach.PROXIES)
    network.runs("node3", yes=True)

    assert reached(network, "node3") == (False, True)


def test_what_is_no_host_is_where_it_says(network: Network) -> None:
    assert network.from_inside("127.92.2.3", 623) == ("127.92.2.3", 623)
