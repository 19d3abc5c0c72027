"""Which site a seed has: hosts, their feeds and BMCs, agents in groups, rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random

from pydantic import SecretStr

from pmwatchd.core.model import (
    AliveCheck,
    FenceAgent,
    Grace,
    Heartbeat,
    Host,
    PowerManagement,
    Probe,
    ProbeType,
    Secret,
    SoftFencing,
    Switches,
)
from pmwatchd.core.proxies import complete
from pmwatchd.core.rules import (
    Burst,
    DomainRule,
    Fencing,
    KdumpRules,
    Rules,
    Safety,
    Spacing,
    StormRules,
)
from tests.simulation.chance import source
from tests.simulation.hardware import Device, Machine, Switch
from tests.simulation.iron import Iron
from tests.simulation.outputs import HUSH

ENGINE_HOST = "engine-host"
SHAPES = ("bmc", "bmc", "bmc+pdu", "pdu+bmc", "dual", "bmc+dual", "dual+bmc", "mixed", "eight")


@dataclass(slots=True)
class Layout:
    """What the configuration says of a site."""

    rules: Rules
    hosts: dict[str, Host] = field(default_factory=dict)


def rules_of(rng: Random, seed: int) -> Rules:
    """Rules on a short scale, so that much happens in an hour."""
    return Rules(
        fencing=Fencing(
            off_status_delay_s=rng.choice([1.0, 3.0]),
            off_status_retries=6,
            on_status_delay_s=rng.choice([1.0, 3.0]),
            on_status_retries=6,
            off_attempts=rng.choice([1, 1, 2]),
            on_attempts=rng.choice([1, 2]),
            agent_timeout_s=rng.choice([3.0, 6.0]),
            status_timeout_s=rng.choice([2.0, 4.0]),
            kill_after_s=2.0,
            quiet_time_s=rng.choice([20.0, 60.0]),
            on_if_found_off=True,
            retry_min_s=10.0,
            retry_max_s=40.0,
        ),
        safety=replace(
            _safety(source(seed, "safety")),
            inspect_every_s=source(seed, "inspection").choice([0.0, 30.0, 60.0, 6 * 3600.0]),
            poweron_spacing=Spacing(
                by="label:rack", gap_s=source(seed, "spacing").choice([0.0, 0.0, 5.0, 20.0])
            ),
        ),
        kdump=KdumpRules(
            enabled=True,
            start_window_s=rng.choice([3.0, 15.0]),
            quiet_after_s=rng.choice([6.0, 12.0]),
            ceiling_s=rng.choice([30.0, 60.0]),
        ),
    )


def _safety(rng: Random) -> Safety:
    return Safety(
        automatic=rng.random() > 0.06,
        startup_hold_s=rng.choice([15.0, 60.0]),
        max_concurrent=rng.choice([1, 1, 2, 10]),
        per_hour=rng.choice([3, 60, 60, 60, 60]),
        loop_limit=rng.choice([2, 3, 3]),
        loop_window_s=rng.choice([30.0, 120.0, 3600.0]),
        witnesses=rng.choice([0, 1, 2, 2, 3]),
        canaries=tuple(
            Probe(type=ProbeType.TCP, address=f"canary{number}", port=53)
            for number in range(rng.choice([0, 1, 2, 3, 3]))
        ),
        storm=StormRules(
            domains=(
                DomainRule(by="fleet", threshold_percent=rng.choice([50.0, 60.0, 75.0])),
                DomainRule(by="cluster", threshold_percent=rng.choice([50.0, 80.0])),
                DomainRule(by="label:rack", threshold_percent=rng.choice([40.0, 66.0])),
            ),
            cooldown_s=rng.choice([5.0, 15.0, 30.0]),
            burst=Burst(hosts=rng.choice([1, 2, 3]), within_s=rng.choice([5.0, 15.0])),
        ),
    )


OPTIONS: Mapping[str, Mapping[str, str | Secret]] = {
    "ipmilan": {"lanplus": "1", "power_wait": "4"},
    "apc_snmp": {"community": SecretStr(f"{HUSH}community"), "delimiter": "#"},
}


def lay_out(iron: Iron, rng: Random, words: Random, seed: int) -> Layout:
    """
    Build the iron of a site, and the inventory that describes it.

    Args:
        words: Chooses which agents are given options, some of them unknown to their type.
    """
    layout = Layout(rules_of(rng, seed))
    for address in ("pdu-a", "pdu-b"):
        _device(iron, rng, address)
    for number in range(1, rng.choice([3, 4, 5, 6]) + 1):
        name = f"node{number}"
        machine = iron.machines[name] = Machine(name)
        agents = _agents(iron, rng, machine, rng.choice(SHAPES))
        agents = tuple(_with_options(agent, words) for agent in agents)
        layout.hosts[name] = _host(rng, name, number, agents)
    if rng.random() < 0.3:
        iron.machines[ENGINE_HOST] = Machine(ENGINE_HOST, chassis=None)
        layout.hosts[ENGINE_HOST] = _host(rng, ENGINE_HOST, 99, (), engine=True)
    for name, host in layout.hosts.items():
        careful = source(seed, "holds", name)
        held = _with_holds(host, careful, automatic=layout.rules.safety.automatic)
        layout.hosts[name] = _with_words(held, source(seed, "words", name))
        iron.machines[name].lives_by_half = not layout.hosts[name].heartbeat.weak_is_silent
    return layout


def _with_words(host: Host, rng: Random) -> Host:
    """Ask some hosts for words as well, so that the other signs of theirs are weak."""
    if rng.random() > 0.4:
        return host
    banner = Probe(type=ProbeType.SSH, address=host.address, port=22)
    heartbeat = replace(
        host.heartbeat,
        probes=(*host.heartbeat.probes, banner),
        weak_is_silent=rng.random() < 0.5,
    )
    return replace(host, heartbeat=heartbeat)


def _with_holds(host: Host, rng: Random, *, automatic: bool) -> Host:
    """Give a host what others say of it, what it does before it dies, and its place."""
    power = host.power_management
    soft = SoftFencing(command="restart it", wait_s=rng.choice([2.0, 8.0]))
    check = AliveCheck(
        command=("lease", host.name),
        through_proxy=rng.random() < 0.3,
        timeout_s=3.0,
        hold_on_error=rng.random() < 0.5,
    )
    return replace(
        host,
        labels={"rack": rng.choice(["r1", "r2"]), "priority": rng.choice(["0", "0", "5"])},
        automatic=automatic and rng.random() > 0.03,
        alive_check=check if rng.random() < 0.2 else None,
        power_management=replace(
            power,
            kdump=rng.random() < 0.3,
            soft_fencing=soft if rng.random() < 0.2 else None,
        ),
    )


def _with_options(agent: FenceAgent, words: Random) -> FenceAgent:
    options = OPTIONS[agent.type] if words.random() < 0.2 else agent.options
    return replace(agent, options=options, options_checked=words.random() < 0.7)


def _host(
    rng: Random, name: str, number: int, agents: tuple[FenceAgent, ...], *, engine: bool = False
) -> Host:
    address = f"10.0.0.{number}"
    words = rng.choice([("cluster", "dc"), ("engine",), ("bastion", "cluster"), ("dc", "other_dc")])
    return Host(
        name=name,
        address=address,
        heartbeat=Heartbeat(probes=(Probe(type=ProbeType.TCP, address=address, port=22),)),
        cluster=rng.choice(["blue", "green"]),
        datacenter=rng.choice(["east", "east", "west"]),
        grace=Grace(period_s=rng.choice([15.0, 30.0]), failures=3),
        extra_grace_s=rng.choice([0.0, 0.0, 10.0]),
        boot_timeout_s=rng.choice([30.0, 60.0]),
        power_management=PowerManagement(
            agents=agents, proxies=complete(words, implicit="bastion" not in words)
        ),
        engine=engine,
    )


def _agents(iron: Iron, rng: Random, machine: Machine, shape: str) -> tuple[FenceAgent, ...]:
    """Wire a machine up and return the agents that its shape has."""
    name = machine.name
    chassis = Switch(f"{name}/chassis", machine)
    feeds = [Switch(f"{name}/feed-{side}", machine) for side in "ab"]
    if "bmc" in shape or shape in ("mixed", "eight"):
        machine.chassis = chassis
    match shape:
        case "bmc+pdu" | "pdu+bmc":
            machine.feeds = feeds[:1]
        case "bmc":
            pass
        case _:
            machine.feeds = feeds

    def bmc(order: int, label: str = "bmc") -> FenceAgent:
        # One that dies with the feeds beside it could never be proven off in one group with them.
        own_supply = shape in ("mixed", "eight")
        return _bmc(iron, rng, chassis, order, label, own_supply=own_supply)

    def pdus(order: int, label: str = "pdu") -> list[FenceAgent]:
        return [
            _pdu(iron, rng, feed, order, f"{label}-{side}")
            for feed, side in zip(machine.feeds, "ab", strict=False)
        ]

    match shape:
        case "bmc":
            agents = [bmc(1)]
        case "bmc+pdu" | "bmc+dual":
            agents = [bmc(1), *pdus(2)]
        case "pdu+bmc" | "dual+bmc":
            agents = [*pdus(1), bmc(2)]
        case "dual":
            agents = pdus(1)
        case "mixed":
            agents = [bmc(1), *pdus(1)]
        case _:
            agents = [bmc(1), bmc(1, "redfish"), *pdus(2), bmc(2, "ilo"), *pdus(3, "snmp")]
            agents.append(bmc(3, "serial"))
    return tuple(agents)


def _device(iron: Iron, rng: Random, address: str, port: int | None = None) -> Device:
    key = f"{address}:{port or ''}"
    if key not in iron.devices:
        iron.devices[key] = Device(
            key,
            late_s=rng.choice([0.0, 0.0, 0.3, 2.5]),
            refuses_off=rng.random() < 0.3,
        )
    return iron.devices[key]


def _bmc(
    iron: Iron, rng: Random, chassis: Switch, order: int, label: str, *, own_supply: bool
) -> FenceAgent:
    address = f"{chassis.machine.name}-{label}"
    device = _device(iron, rng, address, 623)
    device.host = None if own_supply else chassis.machine
    device.plugs[""] = chassis
    agent = _agent(rng, label, order, address=address, ipport=623, type="ipmilan")
    device.stale_s = max(0.0, agent.settle_s - device.late_s)
    return agent


def _pdu(iron: Iron, rng: Random, feed: Switch, order: int, address: str) -> FenceAgent:
    device = _device(iron, rng, address)
    device.plugs[feed.machine.name] = feed
    return _agent(
        rng,
        address,
        order,
        address=address,
        plug=feed.machine.name,
        type="apc_snmp",
        switches=Switches.FEED,
    )


def _agent(rng: Random, name: str, order: int, **more: object) -> FenceAgent:
    fields: dict[str, object] = {
        "name": name,
        "order": order,
        "username": "admin",
        "password": SecretStr(f"{HUSH}'{name}&%1"),
        "settle_s": rng.choice([0.0, 0.0, 0.0, 2.0]),
        "min_command_interval_s": rng.choice([0.0, 0.0, 0.5]),
    }
    return FenceAgent(**(fields | more))  # type: ignore[arg-type]
