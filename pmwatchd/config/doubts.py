"""What each file says rightly, and what all of them together should not say: warnings."""

from __future__ import annotations

from collections.abc import Iterable

from pmwatchd.config.faults import Findings, nearest
from pmwatchd.config.hosts import Built
from pmwatchd.config.sources import Loaded
from pmwatchd.core.addresses import same_address
from pmwatchd.core.model import Host

_LABEL = "label:"


def doubt(loaded: Loaded, built: Iterable[Built], findings: Findings) -> None:
    """Warn of what the daemon cannot rely on, though no single value is wrong."""
    hosts = [one.host for one in built]
    _doubt_canaries(loaded, hosts, findings)
    _doubt_one_host(loaded, hosts, findings)
    _doubt_domains(loaded, hosts, findings)


def _doubt_canaries(loaded: Loaded, hosts: Iterable[Host], findings: Findings) -> None:
    known = {same_address(host.address): host.name for host in hosts}
    known |= {host.name: host.name for host in hosts}
    for canary in loaded.settings.safety.canaries:
        name = known.get(same_address(canary.address))
        if name is not None:
            findings.warn(
                f"{loaded.origin('safety.canaries')[0]}: the canary {canary.address} is the host "
                f"{name}; a canary that dies with what it watches over proves nothing, name a "
                "switch, a router or a name server"
            )


def _doubt_one_host(loaded: Loaded, hosts: Iterable[Host], findings: Findings) -> None:
    """The host that the daemon runs on answers whatever becomes of its network."""
    watched = [host for host in hosts if not host.engine]
    if len(watched) != 1 or loaded.settings.safety.canaries:
        return
    [host] = watched
    if host.automatic and host.power_management.enabled and host.power_management.agents:
        findings.warn(
            f"{host.name} is the only monitored host and safety.canaries is empty: it could never "
            "be told whether the host or our own network is dead, so it may never be fenced; name "
            "something that always answers in safety.canaries"
        )


def _doubt_domains(loaded: Loaded, hosts: list[Host], findings: Findings) -> None:
    safety = loaded.settings.safety
    asked = {domain.by: "safety.storm.domains" for domain in safety.storm.domains}
    if safety.poweron_spacing.gap:
        asked[safety.poweron_spacing.by] = "safety.poweron_spacing"
    labels = {label for host in hosts for label in host.labels}
    for domain, key in asked.items():
        label = domain.removeprefix(_LABEL)
        if hosts and domain.startswith(_LABEL) and label not in labels:
            findings.warn(
                f"{loaded.origin(key)[0]}: {key}: no host has the label {label!r}. "
                f"{nearest(label, labels)}"
            )
