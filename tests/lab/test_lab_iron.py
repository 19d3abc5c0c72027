from __future__ import annotations

import pytest

from pmwatchd.lab.iron import Iron, Machine, MachineState
from tests.lab.workshop import Told


@pytest.fixture
def machine(iron: Iron) -> Machine:
    return iron.machine("node3")


async def test_a_switch_reads_its_old_state_until_it_has_really_switched(
    iron: Iron, machine: Machine, told: Told
) -> None:
    switch = iron.switch(machine, "node3-bmc", is_feed=False)

    switch.command("off", "fence@node1")

    assert switch.is_on
    await told.until("iron.switched_off", "node3")
    assert not switch.is_on


async def test_a_machine_without_power_is_dark_at_once(
    iron: Iron, machine: Machine, told: Told
) -> None:
    switch = iron.switch(machine, "node3-bmc", is_feed=False)
    switch.command("off", "fence")

    await told.until("iron.switched_off", "node3")

    assert machine.state is MachineState.DARK


async def test_a_power_cycle_heals_a_hang(iron: Iron, machine: Machine, told: Told) -> None:
    switch = iron.switch(machine, "node3-bmc", is_feed=False)
    machine.hang()
    switch.command("off", "fence")
    await told.until("iron.dark", "node3")
    switch.command("on", "fence")
    await told.until("iron.running", "node3")

    assert [event for event, _ in told.events] == [
        "iron.hung",
        "iron.accepted",
        "iron.switched_off",
        "iron.dark",
        "iron.accepted",
        "iron.switched_on",
        "iron.booting",
        "iron.running",
    ]


async def test_an_on_without_an_off_does_not_heal_a_hang(
    iron: Iron, machine: Machine, told: Told
) -> None:
    first = iron.switch(machine, "node3-bmc", is_feed=False)
    other = iron.switch(iron.machine("node4"), "node4-bmc", is_feed=False)
    machine.hang()
    first.command("on", "fence")
    other.command("off", "fence")

    await told.until("iron.switched_off", "node4")

    assert machine.state is MachineState.HUNG


async def test_one_of_two_feeds_keeps_a_machine_running(
    iron: Iron, machine: Machine, told: Told
) -> None:
    left = iron.switch(machine, "pdu-a/3", is_feed=True)
    right = iron.switch(machine, "pdu-b/3", is_feed=True)
    left.command("off", "fence")
    await told.until("iron.switched_off", "node3")

    assert machine.state is MachineState.RUNNING

    right.command("off", "fence")
    await told.until("iron.dark", "node3")


async def test_a_power_cut_during_the_boot_starts_it_over(
    iron: Iron, machine: Machine, told: Told
) -> None:
    switch = iron.switch(machine, "node3-bmc", is_feed=False)
    machine.hang()
    machine.start()
    switch.is_on = False
    machine.power_changed()

    assert machine.state is MachineState.DARK

    switch.command("on", "fence")
    await told.until("iron.running", "node3")
    assert told.events.count(("iron.running", "node3")) == 1


async def test_every_command_and_every_flip_is_written_down(
    iron: Iron, machine: Machine, told: Told
) -> None:
    switch = iron.switch(machine, "node3-bmc", is_feed=False)
    switch.command("status", "fence@node1")
    switch.command("off", "fence@node2")
    await told.until("iron.dark", "node3")

    assert [(c.action, c.by) for c in iron.record.commands] == [
        ("status", "fence@node1"),
        ("off", "fence@node2"),
    ]
    assert [(f.switch, f.is_on) for f in iron.record.flips] == [("node3-bmc", False)]
    assert iron.record.flips[0].at > iron.record.commands[1].at


async def test_a_crashed_machine_writes_its_dump_and_boots_by_itself(
    machine: Machine, told: Told
) -> None:
    machine.crash()
    await told.until("iron.running", "node3")

    assert [event for event, _ in told.events] == ["iron.dumping", "iron.booting", "iron.running"]


async def test_whoever_cuts_the_power_loses_the_dump(
    iron: Iron, machine: Machine, told: Told
) -> None:
    switch = iron.switch(machine, "node3-bmc", is_feed=False)
    machine.crash()
    switch.is_on = False
    machine.power_changed()
    dark = len(told.events)
    switch.is_on = True
    machine.power_changed()
    await told.until("iron.running", "node3")

    assert [event for event, _ in told.events[dark:]] == ["iron.booting", "iron.running"]
