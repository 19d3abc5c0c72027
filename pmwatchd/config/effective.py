"""Effective values, each with the place where it was written and its oVirt name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from pmwatchd.config.durations import as_text
from pmwatchd.config.hosts import Built
from pmwatchd.config.safety import DomainSettings, shown_domain
from pmwatchd.config.sources import Loaded
from pmwatchd.config.tree import leaves
from pmwatchd.config.values import SecretRef

MASK = "********"

_OVIRT = {
    "grace.period": "TimeoutToResetVdsInSeconds",
    "grace.failures": "VDSAttemptsToResetCount",
    "fencing.off_status_delay": "FenceStopStatusDelayBetweenRetriesInSec",
    "fencing.off_status_retries": "FenceStopStatusRetries",
    "fencing.on_status_delay": "FenceStartStatusDelayBetweenRetriesInSec",
    "fencing.on_status_retries": "FenceStartStatusRetries",
    "fencing.boot_timeout": "ServerRebootTimeout",
    "fencing.quiet_time": "FenceQuietTimeBetweenOperationsInSec",
    "fencing.proxies": "FenceProxyDefaultPreferences",
    "safety.startup_hold": "DisableFenceAtStartupInSec",
    "safety.automatic": "fencing_policy.enabled",
    "safety.storm.threshold_percent": "fencing_policy.skip_if_connectivity_broken.threshold",
    "boot_timeout": "ServerRebootTimeout",
    "power_management.proxies": "pm_proxy_preferences",
    "power_management.soft_fencing.command": "SshSoftFencingCommand",
}
_DURATIONS = frozenset(
    "interval timeout period extra_grace boot_timeout settle min_command_interval wait".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class Effective:
    """
    One value as it counts.

    Attributes:
        value: As text, in the way it would be written; secrets masked.
        origin: ``default``, a file, or the environment's variable.
        ovirt: What oVirt calls it, or ``""``.
    """

    key: str
    value: str
    origin: str
    ovirt: str = ""


def of_settings(loaded: Loaded) -> list[Effective]:
    """Every value of the main file."""
    return [
        Effective(key, value, loaded.origin(key)[1], _OVIRT.get(key, ""))
        for key, value in _walk(loaded.settings, "")
    ]


def of_host(built: Built) -> list[Effective]:
    """Every value of one host that is not simply absent."""
    host = built.host
    soft, check = host.power_management.soft_fencing, host.alive_check
    known: dict[str, object] = {
        "address": host.address,
        "datacenter": host.datacenter,
        "power_management.proxies": list(host.power_management.proxies),
        "power_management.soft_fencing.command": soft.command if soft else "",
        "safety.alive_check.command": list(check.command) if check else [],
        **{f"labels.{key}": text for key, text in host.labels.items()},
    }
    written = dict(leaves(built.tree))
    result: list[Effective] = []
    for agent in host.power_management.agents:
        path = f"power_management.agents.{agent.name}"
        known[f"{path}.address"] = agent.address
        known[f"{path}.username"] = agent.username
        known[f"{path}.plug"] = agent.plug
        known[f"{path}.order"] = agent.order
        known[f"{path}.proxies"] = list(agent.proxies or ())
        unsaid: dict[str, object] = {
            f"{path}.order": agent.order,
            f"{path}.settle": agent.settle_s,
            f"{path}.min_command_interval": agent.min_command_interval_s,
            f"{path}.switches": agent.switches,
        }
        result += [
            Effective(key, _shown(key, value), "default")
            for key, value in unsaid.items()
            if key not in written
        ]
        known |= {f"{path}.options.{key}": value for key, value in agent.options.items()}
    for key, found in written.items():
        value = (
            known.get(key, found.value) if not isinstance(found.value, SecretRef) else found.value
        )
        text = _shown(key, value)
        result.append(Effective(key, text, found.layer.label, _OVIRT.get(key, "")))
    return sorted(result, key=lambda one: one.key)


def _shown(key: str, value: object) -> str:
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, float) and key.rpartition(".")[2] in _DURATIONS:
        return f'"{as_text(value)}"'
    return literal(value)


def _walk(model: BaseModel, path: str) -> Iterator[tuple[str, str]]:
    for name, info in type(model).model_fields.items():
        value = getattr(model, name)
        key = f"{path}{name}"
        if isinstance(value, BaseModel):
            yield from _walk(value, f"{key}.")
        elif _is_duration(info):
            yield key, f'"{as_text(value)}"'
        else:
            yield key, literal(value)


def _is_duration(info: FieldInfo) -> bool:
    return info.annotation is float


def literal(value: Any) -> str:
    """Write a value as TOML."""
    match value:
        case Enum():
            return literal(value.value)
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case SecretRef():
            return str(value)
        case DomainSettings():
            return literal(shown_domain(value))
        case BaseModel():
            return literal(value.model_dump(exclude_none=True))
        case Mapping():
            inner = ", ".join(f"{key} = {literal(item)}" for key, item in value.items())
            return f"{{ {inner} }}"
        case list() | tuple():
            return f"[{', '.join(literal(item) for item in value)}]"
        case _:
            text = str(value).replace("\\", "\\\\").replace('"', '\\"')
            return f'"{text}"'
