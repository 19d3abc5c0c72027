"""
Configuration and inventory: read, merged, judged, and handed on as values.

::

    main file < conf.d < environment     -> Settings      (sources, settings)
    main < defaults < cluster < host     -> core Hosts    (inventory, tree, hosts, agents)

Every fault is found in one run.  Reading is blocking work: it opens files and
asks installed fence agents for their metadata.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pmwatchd.config.collisions import collide
from pmwatchd.config.doubts import doubt
from pmwatchd.config.effective import Effective, of_host, of_settings
from pmwatchd.config.faults import Findings, WrongError
from pmwatchd.config.hosts import Built, HostBuilder
from pmwatchd.config.inventory import read_inventory
from pmwatchd.config.reload import compare, removal_refused
from pmwatchd.config.secrets import Reading, Secrets, credential_path
from pmwatchd.config.settings import Settings, split_address
from pmwatchd.config.sources import Loaded, load_settings
from pmwatchd.config.values import SecretRef
from pmwatchd.core.model import Host
from pmwatchd.core.rules import Rules
from pmwatchd.errors import ConfigError, Fault

__all__ = [
    "Configuration",
    "Effective",
    "Report",
    "SecretRef",
    "Settings",
    "WrongError",
    "check",
    "compare",
    "credential_path",
    "effective",
    "load",
    "removal_refused",
    "split_address",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """
    Everything the daemon runs with.

    Attributes:
        hosts: The hosts that may be watched, by name; faulty ones are not among them.
        faults: What is wrong in the inventory; it costs the hosts concerned.
        warnings: What works and should be changed.
        origins: Where each value of the main file was written, by dotted key.
    """

    settings: Settings
    rules: Rules
    hosts: Mapping[str, Host] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    warnings: tuple[str, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What ``pmwatchd check`` found: faults, what should be changed, what it could not judge."""

    faults: tuple[Fault, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def load(file: Path, *, inventory: Path | None = None) -> Configuration:
    """
    Read everything for the daemon; *inventory* replaces the main file's folder.

    Faults of the inventory do not raise: they cost their own hosts.

    Raises:
        ConfigError: The main file, ``conf.d`` or the environment is faulty.
    """
    findings = Findings()
    loaded = load_settings(file, findings)
    if findings.faults:
        raise ConfigError(findings.faults)
    built = _build(loaded, inventory, Secrets(Reading.NEEDED), findings)
    return Configuration(
        settings=loaded.settings,
        rules=loaded.settings.rules(),
        hosts={name: one.host for name, one in built.items() if not one.faulty},
        faults=findings.faults,
        warnings=findings.warnings,
        origins={one.key: one.origin for one in of_settings(loaded)},
    )


def check(file: Path, *, inventory: Path | None = None, secrets: bool = True) -> Report:
    """Find every fault of configuration and inventory in one run; nothing is raised."""
    findings = Findings()
    loaded = load_settings(file, findings)
    reading = Reading.TRIED if secrets else Reading.LEFT
    _build(loaded, inventory, Secrets(reading), findings)
    return Report(faults=findings.faults, warnings=findings.warnings, notes=findings.notes)


def effective(file: Path, host: str | None = None) -> list[Effective]:
    """
    Every value of the main file, or of one host, and where it was written.

    Raises:
        ConfigError: The main file is faulty, or there is no such host.
    """
    findings = Findings()
    loaded = load_settings(file, findings)
    if findings.faults:
        raise ConfigError(findings.faults)
    if host is None:
        return of_settings(loaded)
    built = _build(loaded, None, Secrets(Reading.LEFT), findings)
    if host not in built:
        folder = str(loaded.settings.inventory)
        raise ConfigError(
            (Fault(folder, f"hosts.{host}", "there is no such host", "Correct its name"),)
        )
    return of_host(built[host])


def _build(
    loaded: Loaded, folder: Path | None, secrets: Secrets, findings: Findings
) -> dict[str, Built]:
    """Make every host, faulty ones too: what they claim counts when claims are compared."""
    inventory = read_inventory(folder or loaded.settings.inventory, findings)
    builder = HostBuilder(loaded, inventory, secrets, findings)
    made = ((name, builder.build(name)) for name in sorted(inventory.hosts))
    built = {name: one for name, one in made if one is not None}
    for name in collide(built.values(), findings):
        built[name].faulty = True
    doubt(loaded, built.values(), findings)
    return built
