"""What a reload would change, and when it is refused."""

from __future__ import annotations

import pytest

from pmwatchd.config import compare, removal_refused
from pmwatchd.core.model import Heartbeat, Host
from tests.config.folder import Folder
from tests.config.test_inventory import HOST, OTHER, with_agent


def fleet(hosts: int) -> dict[str, Host]:
    return {
        f"node{n}": Host(name=f"node{n}", address=f"a{n}.b", heartbeat=Heartbeat(probes=()))
        for n in range(hosts)
    }


def test_added_changed_and_removed_hosts_are_told_apart(folder: Folder) -> None:
    folder.inventory(HOST + OTHER)
    before = folder.load().hosts
    folder.inventory(f"{HOST}extra_grace = 5\n" + OTHER.replace("node2", "node3"))
    after = folder.load().hosts

    assert compare(before, after) == (("node3",), ("node1",), ("node2",))
    assert compare(before, before) == ((), (), ())


def test_a_changed_secret_is_a_change_and_an_equal_one_is_none(folder: Folder) -> None:
    folder.inventory(with_agent(password="{ file = 'secret' }"))
    folder.write("hosts.d/secret", "one\n")
    before = folder.load().hosts
    same = folder.load().hosts
    folder.write("hosts.d/secret", "two\n")
    after = folder.load().hosts

    assert compare(before, same) == ((), (), ())
    assert compare(before, after) == ((), ("node1",), ())


@pytest.mark.parametrize(
    ("hosts", "vanishing", "refused"),
    [(100, 11, True), (100, 10, False), (8, 5, True), (8, 4, False), (60, 5, False)],
)
def test_over_a_tenth_and_at_least_five_of_the_hosts_may_not_vanish(
    hosts: int, vanishing: int, *, refused: bool
) -> None:
    old = fleet(hosts)
    new = dict(list(old.items())[vanishing:])

    assert (removal_refused(old, new) is not None) is refused


def test_hosts_that_are_added_do_not_make_up_for_those_that_vanish() -> None:
    old = fleet(10)
    new = {f"new{n}": host for n, host in enumerate(old.values())}

    assert "10 of 10" in str(removal_refused(old, new))


def test_the_refusal_gives_no_advice_which_is_the_part_of_its_remedy() -> None:
    assert removal_refused(fleet(10), {}) == "10 of 10 hosts would vanish"
