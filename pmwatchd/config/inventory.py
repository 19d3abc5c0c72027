"""
The files of the inventory, read into layers.

A file that cannot be read costs its own hosts; a faulty table costs the hosts
that use it.  What could not be read is never taken for something that was not
said: a host whose defaults are in doubt is not watched at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from pmwatchd.config.faults import Findings, WrongError, nearest, salvage
from pmwatchd.config.layers import (
    ClusterLayer,
    DefaultsLayer,
    DeviceLayer,
    HostLayer,
    TypeLayer,
    check_type,
)
from pmwatchd.config.sources import read_toml, toml_files
from pmwatchd.config.tree import Origin, Tree, plant
from pmwatchd.config.values import Place, SecretRef, check_name, check_title
from pmwatchd.core.dialect import canonical_option, forbidden_option
from pmwatchd.errors import Fault

_TABLES = ("hosts", "defaults", "clusters", "types", "devices")
_FOR_ALL = re.compile(r"^\s*(\[+\s*)?[\"']?(defaults|types)\b", re.MULTILINE)
_CLUSTERS = re.compile(r"^\s*(\[+\s*)?[\"']?clusters\b", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the inventory; a faulty one costs the hosts that use it."""

    tree: Tree
    origin: Origin
    faulty: bool = False


@dataclass(slots=True)
class Inventory:
    """
    All tables by name, before they are merged.

    Attributes:
        names: Every name that a host was given, those of faulty ones too.
        in_doubt: A file that may have held settings for all hosts could not be read.
        tells_clusters: Clusters have tables; so a cluster without one is a slip of the pen.
    """

    hosts: dict[str, Table] = field(default_factory=dict)
    defaults: Table | None = None
    clusters: dict[str, Table] = field(default_factory=dict)
    types: dict[str, Table] = field(default_factory=dict)
    devices: dict[str, Table] = field(default_factory=dict)
    in_doubt: bool = False
    tells_clusters: bool = False


def read_inventory(folder: Path, findings: Findings) -> Inventory:
    """Read every ``*.toml`` of a folder in name order; a missing folder is a fault."""
    inventory = Inventory()
    try:
        files = toml_files(folder)
    except OSError as error:
        findings.fault(
            Fault(
                str(folder),
                "inventory",
                f"cannot be read: {error.strerror}",
                "Create the folder, or correct `inventory` in the main file",
            )
        )
        return inventory
    for file in files:
        _File(file, f"{folder.name}/{file.name}", inventory, findings).read()
    return inventory


@dataclass(slots=True)
class _File:
    """One file on its way into the inventory."""

    file: Path
    shown: str
    inventory: Inventory
    findings: Findings
    plain: list[str] = field(default_factory=list)

    def read(self) -> None:
        data = read_toml(self.file, self.findings)
        if data is None:
            self._doubt()
            return
        for key in sorted(set(data) - set(_TABLES)):
            meant = nearest(key, _TABLES)
            self._fault(key, "unknown key", meant)
            self.inventory.in_doubt |= "'defaults'" in meant or "'types'" in meant
            self.inventory.tells_clusters |= "'clusters'" in meant
        self.inventory.tells_clusters |= "clusters" in data
        if "defaults" in data:
            self._defaults(data["defaults"])
        named: tuple[tuple[str, type[BaseModel], Any, dict[str, Table]], ...] = (
            ("clusters", ClusterLayer, check_title, self.inventory.clusters),
            ("types", TypeLayer, check_type, self.inventory.types),
            ("devices", DeviceLayer, check_name, self.inventory.devices),
        )
        for section, model, check, tables in named:
            for name, entry in self._entries(data, section):
                try:
                    known = check(name)
                except WrongError as wrong:
                    self._fault(f"{section}.{name}", wrong.reason, wrong.remedy)
                    continue
                label = f"{section.removesuffix('s')} {name} ({self.shown})"
                self._keep(tables, known, self._table(model, entry, f"{section}.{name}", label))
        self._hosts(data.get("hosts", []))
        if self.plain:
            self.findings.warn(
                f"{self.file}: {len(self.plain)} secrets are written in plain text, the first "
                f"at {self.plain[0]}; use {{ file = ... }} or {{ credential = ... }}"
            )

    def _doubt(self) -> None:
        """Find out whether a file that is no TOML said something for all hosts."""
        try:
            text = self.file.read_text(encoding="utf-8", errors="replace")
        except OSError:  # nobody knows; it may have said that nobody is to be fenced
            self.inventory.in_doubt = self.inventory.tells_clusters = True
            return
        self.inventory.in_doubt |= _FOR_ALL.search(text) is not None
        self.inventory.tells_clusters |= _CLUSTERS.search(text) is not None

    def _fault(self, key: str, reason: str, remedy: str, host: str | None = None) -> None:
        self.findings.fault(Fault(str(self.file), key, reason, remedy, host))

    def _entries(self, data: Mapping[str, Any], section: str) -> Iterator[tuple[str, Any]]:
        entries = data.get(section, {})
        if isinstance(entries, dict):
            yield from entries.items()
            return
        self.inventory.in_doubt |= section == "types"
        self._fault(section, "is not a table", f"Write [{section}.NAME]")

    def _defaults(self, entry: object) -> None:
        table = self._table(DefaultsLayer, entry, "defaults", f"defaults ({self.shown})")
        known = self.inventory.defaults
        if known is None:
            self.inventory.defaults = table
            return
        self._fault("defaults", f"are also in {known.origin.file}", "Keep them in one file")
        self.inventory.in_doubt = True

    def _hosts(self, entries: object) -> None:
        if not isinstance(entries, list):
            self._fault("hosts", "is not a list of tables", "Write [[hosts]]")
            return
        for index, entry in enumerate(entries):
            name = entry.get("name") if isinstance(entry, dict) else None
            host = name if isinstance(name, str) and name else None
            key = f"hosts.{host}" if host else f"hosts[{index}]"
            table = self._table(HostLayer, entry, key, self.shown, host)
            if host is not None:
                self._keep(self.inventory.hosts, host, table, host)
            elif isinstance(entry, dict) and name is None:
                self._fault(f"{key}.name", "is missing", "Give each host a name")
            elif not table.faulty:
                self._fault(f"{key}.name", "is not a text", "Write it in quotes")

    def _keep(
        self, tables: dict[str, Table], name: str, table: Table, host: str | None = None
    ) -> None:
        """Two tables of one name cost whatever uses either: nobody knows which one is meant."""
        known = tables.get(name)
        if known is not None:
            self._fault(
                table.origin.key,
                f"is also defined in {known.origin.file}",
                "Rename or remove one of them",
                host,
            )
            table = Table(table.tree, table.origin, faulty=True)
        tables[name] = table

    def _table(
        self, model: type[BaseModel], entry: object, key: str, label: str, host: str | None = None
    ) -> Table:
        origin = Origin(str(self.file), key, label)
        if not isinstance(entry, dict):
            self._fault(key, "is not a table", "Write it as a table", host)
            return Table({}, origin, faulty=True)
        layer, wrong = salvage(model, entry)
        for complaint in wrong:
            path = complaint.key if complaint.key.startswith("[") else f".{complaint.key}"
            where = f"{key}{path}" if complaint.key else key
            self._fault(where, complaint.reason, complaint.remedy, host)
        refused = [self._forbidden(agent, path, host) for path, agent in _agents(layer, key)]
        return Table(plant(layer, origin), origin, faulty=bool(wrong) or any(refused))

    def _forbidden(self, agent: DeviceLayer, path: str, host: str | None) -> bool:
        """Refuse options that the daemon must not pass on; say what works but is discouraged."""
        refused = False
        spelled: set[str] = set()
        for name, value in (agent.options or {}).items():
            word = canonical_option(name)
            reason = None if name.lower() == "slot" else forbidden_option(name)
            remedy = "Remove it"
            if name.lower() == "slot" and getattr(agent, "plug", None) is not None:
                reason, remedy = "it says the same as `plug`", "Keep plug"
            elif name.lower() == "slot" and isinstance(value, SecretRef):
                reason, remedy = "the outlet is no secret", "Write it as a text, as `plug`"
            if word in spelled:
                reason, remedy = "another spelling of it is there too", "Keep one of them"
            spelled.add(word)
            if reason is not None:
                refused = True
                self._fault(f"{path}.options.{name}", f"may not be given: {reason}", remedy, host)
        if agent.port is not None:
            self.findings.warn(
                f"{self.file}: {path}.port is understood as ipport; the outlet is `plug`"
            )
        secrets = {"password": agent.password}
        secrets |= {f"options.{name}": value for name, value in (agent.options or {}).items()}
        self.plain += [f"{path}.{key}" for key, value in secrets.items() if _is_plain(value)]
        return refused


def _is_plain(value: object) -> bool:
    return isinstance(value, SecretRef) and value.place is Place.PLAIN


def _agents(layer: BaseModel, key: str) -> Iterator[tuple[str, DeviceLayer]]:
    """Every agent, type or device that a layer speaks of, with its path."""
    if isinstance(layer, DeviceLayer):
        yield key, layer
    if isinstance(layer, ClusterLayer) and layer.power_management is not None:
        for agent in layer.power_management.agents or ():
            yield f"{key}.power_management.agents.{agent.name}", agent
