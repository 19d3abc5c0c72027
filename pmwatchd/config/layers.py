"""
The tables of the inventory as models, each on its own.

A layer says only what was written; nothing is required here, because another
layer may say it.  What a host or an agent must have in the end is judged when
all layers are merged (:mod:`pmwatchd.config.hosts`).
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from pmwatchd.config.durations import within
from pmwatchd.config.faults import WrongError
from pmwatchd.config.values import (
    Flag,
    Full,
    Options,
    Port,
    ProbeModel,
    Secret,
    Section,
    Text,
    Words,
    check_command,
    check_name,
)
from pmwatchd.core import dialect
from pmwatchd.core.model import Switches

Name = Annotated[Full, AfterValidator(check_name)]
Probes = Annotated[tuple[ProbeModel, ...], Field(min_length=1)]
Order = Annotated[int, Field(strict=True, ge=1, le=1000)]


def check_type(word: str) -> str:
    """Return the one spelling of an agent's type, or raise WrongError."""
    name = dialect.canonical_type(word)
    if reason := dialect.forbidden_type(name):
        raise WrongError(f"is no type of a fence agent: {reason}", "Write for example ipmilan")
    return name


AgentType = Annotated[Full, AfterValidator(check_type)]


class DeviceLayer(Section):
    """What is known of a device that agents share."""

    type: AgentType | None = None
    address: Full | None = None
    ipport: Port | None = None
    port: Port | None = None
    username: Text | None = None
    password: Secret | None = None
    options: Options | None = None
    proxies: Words | None = None
    min_command_interval: Annotated[float, within("0s", "5m")] | None = None
    settle: Annotated[float, within("0s", "5m")] | None = None
    switches: Switches | None = None

    @model_validator(mode="after")
    def _one_port(self) -> Self:
        if self.port is not None and self.ipport is not None:
            raise WrongError("has port and ipport", "Keep ipport; the outlet is `plug`")
        return self


class TypeLayer(DeviceLayer):
    """What all agents of one type have in common."""

    type: None = None
    order: Order | None = None
    plug: Text | None = None
    shared: Flag | None = None


class AgentLayer(DeviceLayer):
    """What one layer says of one agent of a host."""

    name: Name
    order: Order | None = None
    device: Full | None = None
    plug: Text | None = None
    shared: Flag | None = None
    remove: Flag | None = None


class SoftFencingLayer(Section):
    """What is tried on the host itself before its power is cut."""

    command: Text | None = None
    wait: Annotated[float, within("1s", "1h")] | None = None


class PowerManagementLayer(Section):
    """How a host is fenced."""

    enabled: Flag | None = None
    kdump: Flag | None = None
    proxies: Words | None = None
    concurrent: Flag | None = None
    soft_fencing: SoftFencingLayer | None = None
    agents: tuple[AgentLayer, ...] | None = None

    @model_validator(mode="after")
    def _agents_differ_by_name(self) -> Self:
        names = [agent.name for agent in self.agents or ()]
        for name in names:
            if names.count(name) > 1:
                raise WrongError(f"has two agents named {name!r}", "Give each its own name")
        return self


class HeartbeatLayer(Section):
    """How a host is asked for a sign of life."""

    interval: Annotated[float, within("100ms", "1h")] | None = None
    timeout: Annotated[float, within("50ms", "60s")] | None = None
    require: Literal["any", "all"] | None = None
    weak: Literal["alive", "silent"] | None = None
    probes: Probes | None = None


class GraceLayer(Section):
    """How long a host may be silent."""

    period: Annotated[float, within("100ms", "1d")] | None = None
    failures: Annotated[int, Field(strict=True, ge=1, le=1000)] | None = None


class AliveCheckLayer(Section):
    """A site's own command that knows whether a host is alive."""

    command: Annotated[tuple[str, ...], BeforeValidator(check_command)] | None = None
    on: Literal["here", "proxy"] | None = None
    timeout: Annotated[float, within("100ms", "20s")] | None = None
    on_error: Literal["hold", "ignore"] | None = None


class SafetyLayer(Section):
    """What of ``[safety]`` a host or a cluster may say itself."""

    automatic: Flag | None = None
    alive_check: AliveCheckLayer | None = None


class AsProxyLayer(Section):
    """How a host is reached when it serves as a proxy."""

    enabled: Flag | None = None
    user: Full | None = None
    port: Port | None = None
    address: Full | None = None


class ClusterLayer(Section):
    """What all hosts of a cluster have in common."""

    address: Full | None = None
    datacenter: Full | None = None
    labels: dict[str, Text] | None = None
    extra_grace: Annotated[float, within("0s", "1d")] | None = None
    boot_timeout: Annotated[float, within("1s", "1d")] | None = None
    probes: Probes | None = None
    heartbeat: HeartbeatLayer | None = None
    grace: GraceLayer | None = None
    safety: SafetyLayer | None = None
    as_proxy: AsProxyLayer | None = None
    power_management: PowerManagementLayer | None = None

    @model_validator(mode="after")
    def _probes_are_given_once(self) -> Self:
        if self.probes is not None and self.heartbeat and self.heartbeat.probes is not None:
            raise WrongError("has probes and heartbeat.probes", "Keep one of them")
        return self


class DefaultsLayer(ClusterLayer):
    """What all hosts have in common."""

    cluster: Full | None = None


class HostLayer(DefaultsLayer):
    """One host as it is written."""

    name: Name = ""
    engine: Flag | None = None
