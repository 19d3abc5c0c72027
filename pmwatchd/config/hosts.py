"""Hosts: main file, defaults, cluster and host merged and made into values of the core."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from operator import attrgetter

from pmwatchd.config.agents import AgentBuilder
from pmwatchd.config.draft import Draft, placeholders, same
from pmwatchd.config.faults import Findings, nearest
from pmwatchd.config.inventory import Inventory, Table
from pmwatchd.config.metadata import Installed
from pmwatchd.config.precautions import (
    NO_SOFT_FENCING,
    PRIORITY,
    alive_check,
    check_priority,
    soft_fencing,
)
from pmwatchd.config.secrets import Secrets
from pmwatchd.config.sources import Loaded
from pmwatchd.config.tree import Leaf, Origin, Tree, branch, leaf, leaves, merge
from pmwatchd.config.values import ProbeModel, check_address, check_title, probe_of
from pmwatchd.core.model import (
    AsProxy,
    FenceAgent,
    Grace,
    Heartbeat,
    Host,
    PowerManagement,
)
from pmwatchd.errors import Fault

_FROM_MAIN = {
    "heartbeat.interval": "heartbeat.interval",
    "heartbeat.timeout": "heartbeat.timeout",
    "heartbeat.require": "heartbeat.require",
    "heartbeat.weak": "heartbeat.weak",
    "heartbeat.probes": "heartbeat.probes",
    "grace.period": "grace.period",
    "grace.failures": "grace.failures",
    "boot_timeout": "fencing.boot_timeout",
    "power_management.proxies": "fencing.proxies",
    "safety.automatic": "safety.automatic",
    "safety.alive_check.command": "safety.alive_check.command",
    "safety.alive_check.on": "safety.alive_check.on",
    "safety.alive_check.timeout": "safety.alive_check.timeout",
    "safety.alive_check.on_error": "safety.alive_check.on_error",
    "as_proxy.user": "ssh.user",
    "as_proxy.port": "ssh.port",
}
"""Keys of a host, and where the main file says the same for all of them."""

_DEFAULTS: Tree = {
    "extra_grace": Leaf(0.0, Origin("default", "extra_grace", "default")),
    "engine": Leaf(value=False, layer=Origin("default", "engine", "default")),
    "as_proxy": {"enabled": Leaf(value=True, layer=Origin("default", "as_proxy", "default"))},
    "power_management": {
        "enabled": Leaf(value=True, layer=Origin("default", "power_management", "default")),
        "kdump": Leaf(value=False, layer=Origin("default", "power_management", "default")),
        "soft_fencing": NO_SOFT_FENCING,
    },
}
"""What a host is when nothing says otherwise and the main file has no word for it."""

_DEFAULT_PROXIES = ("cluster", "dc")


def main_layer(loaded: Loaded) -> Tree:
    """Everything that the main file says for all hosts, as the lowest layer."""
    tree = _DEFAULTS
    for key, main in _FROM_MAIN.items():
        file, shown = loaded.origin(main)
        value = attrgetter(main)(loaded.settings)
        planted: Leaf | Tree = Leaf(value, Origin(file, main, shown))
        for part in reversed(key.split(".")):
            planted = {part: planted}
        assert isinstance(planted, dict)  # noqa: S101 - a key has at least one part
        tree = merge(tree, planted)
    return tree


@dataclass(slots=True)
class Built:
    """A host, and whether it may be watched; and the merged tree that it was made from."""

    host: Host
    faulty: bool
    tree: Tree
    origin: Origin
    shared: frozenset[str] = frozenset()


@dataclass(slots=True)
class HostBuilder:
    """Makes one host after the other out of the same inventory."""

    loaded: Loaded
    inventory: Inventory
    secrets: Secrets
    findings: Findings
    agents: AgentBuilder = field(init=False)
    _lower: dict[str, Tree] = field(default_factory=dict)
    _names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        fencing = self.loaded.settings.fencing
        installed = Installed(fencing.agent_dir)
        self.agents = AgentBuilder(self.inventory, installed, fencing.implicit_proxies)
        self._names = frozenset(self.inventory.hosts)
        installed.ask_ahead(self._types())

    def _types(self) -> set[str]:
        tables = [*self.inventory.hosts.values(), *self.inventory.clusters.values()]
        tables += [*self.inventory.devices.values(), *self.inventory.types.values()]
        tables += [self.inventory.defaults] if self.inventory.defaults else []
        return {
            str(found.value)
            for table in tables
            for key, found in leaves(table.tree)
            if key == "type" or (key.endswith(".type") and ".agents." in key)
        }

    def build(self, name: str) -> Built | None:
        """Make one host; what is wrong with it is kept in the findings.  None: all of it is."""
        table = self.inventory.hosts[name]
        try:
            return self._built(name, table)
        except Exception as error:  # noqa: BLE001 - it costs this host, not all the others
            # Its words may hold a secret.
            reason = f"cannot be understood ({type(error).__name__})"
            remedy = "Look for a value that no host has; and report it, for it is a bug"
            origin = table.origin
            self.findings.fault(Fault(origin.file, origin.key, reason, remedy, name))
            return None

    def _built(self, name: str, table: Table) -> Built:
        draft = Draft(name, self.findings, self.secrets, self._names, faulty=table.faulty)
        draft.faulty |= self.inventory.in_doubt
        tree, cluster = self._merged(draft, table)
        labels = self._labels(draft, tree, cluster)
        datacenter = draft.text(tree, "datacenter", check=check_title)
        draft.words["datacenter"] = datacenter
        address = draft.text(tree, "address", check=check_address)
        if leaf(tree, "address") is None:
            where = Origin(table.origin.file, f"{table.origin.key}.address", "")
            draft.fault(where, "is missing", "Add the address that its heartbeats go to")
        management, tree, shared = self._power_management(draft, tree)
        safety = branch(tree, "safety")
        host = Host(
            name=name,
            address=address,
            heartbeat=self._heartbeat(draft, branch(tree, "heartbeat"), address),
            cluster=cluster,
            datacenter=datacenter,
            labels=labels,
            grace=Grace(
                period_s=draft.value(branch(tree, "grace"), "period", 60.0),
                failures=draft.value(branch(tree, "grace"), "failures", 3),
            ),
            extra_grace_s=draft.value(tree, "extra_grace", 0.0),
            boot_timeout_s=draft.value(tree, "boot_timeout", 600.0),
            power_management=management,
            as_proxy=self._as_proxy(draft, branch(tree, "as_proxy"), address),
            automatic=draft.value(safety, "automatic", default=True),
            alive_check=alive_check(draft, branch(safety, "alive_check"), address),
            engine=draft.value(tree, "engine", default=False),
        )
        return Built(host, draft.faulty, tree, table.origin, shared)

    def _merged(self, draft: Draft, table: Table) -> tuple[Tree, str]:
        """Lay the host over its cluster, the defaults and the main file."""
        defaults = self.inventory.defaults
        draft.faulty |= defaults is not None and defaults.faulty
        below = defaults.tree if defaults else {}
        found = leaf(table.tree, "cluster") or leaf(below, "cluster")
        cluster = draft.filled(found, "", check_title) if found else ""
        shared = self.inventory.clusters.get(cluster)
        if shared is not None:
            draft.faulty |= shared.faulty
        elif found is not None and self.inventory.tells_clusters:
            # Without any table a cluster is a mere name; with some, this one lost its settings.
            draft.fault(
                found.origin,
                f"there is no cluster {cluster!r}",
                f"Add [clusters.{cluster}], empty if need be. "
                f"{nearest(cluster, self.inventory.clusters)}",
            )
        if cluster not in self._lower:
            lower = merge(main_layer(self.loaded), below)
            self._lower[cluster] = merge(lower, shared.tree if shared else {})
        return merge(self._lower[cluster], table.tree), cluster

    def _labels(self, draft: Draft, tree: Tree, cluster: str) -> dict[str, str]:
        draft.words = placeholders(draft.name, cluster, {})
        texts = branch(tree, "labels")
        labels = {
            key: draft.text(texts, key, check=check_priority if key == PRIORITY else same)
            for key in texts
        }
        draft.words = placeholders(draft.name, cluster, labels)
        return labels

    def _heartbeat(self, draft: Draft, tree: Tree, address: str) -> Heartbeat:
        found = leaf(tree, "probes")
        models: tuple[ProbeModel, ...] = found.value if found else ()
        probes = []
        for model in models:
            asked = address
            if model.address is not None and found is not None:
                asked = draft.filled(replace(found, value=model.address), "", check_address)
            probes.append(probe_of(model, asked))
        return Heartbeat(
            probes=tuple(probes),
            interval_s=draft.value(tree, "interval", 5.0),
            timeout_s=draft.value(tree, "timeout", 2.0),
            require_all=draft.value(tree, "require", "any") == "all",
            weak_is_silent=draft.value(tree, "weak", "alive") == "silent",
        )

    def _as_proxy(self, draft: Draft, tree: Tree, address: str) -> AsProxy:
        return AsProxy(
            enabled=draft.value(tree, "enabled", default=True),
            user=draft.text(tree, "user"),
            port=draft.value(tree, "port", 22),
            address=draft.text(tree, "address", address, check=check_address),
        )

    def _power_management(
        self, draft: Draft, tree: Tree
    ) -> tuple[PowerManagement, Tree, frozenset[str]]:
        """Make the agents, and the tree with their devices and types merged in."""
        above = branch(tree, "power_management")
        concurrent = draft.value(above, "concurrent", default=False)
        agents: list[FenceAgent] = []
        unordered: list[str] = []
        trees: Tree = {}
        shared: set[str] = set()
        for name, said in branch(above, "agents").items():
            if not isinstance(said, dict) or self._removed(draft, name, said):
                continue
            merged, origin = self.agents.layered(draft, said)
            trees[name] = merged
            agent = self.agents.build(draft, merged, origin)
            agents.append(replace(agent, order=1) if concurrent else agent)
            if leaf(merged, "order") is None:
                unordered.append(name)
            if draft.value(merged, "shared", default=False):
                shared.add(name)
        if len(agents) > 1 and unordered and not concurrent:
            self.findings.warn(
                f"host {draft.name}: {', '.join(unordered)} of its agents have no order and are "
                "taken as order 1; agents of equal order are switched at the same time"
            )
        tree = {**tree, "power_management": {**above, "agents": trees}}
        management = PowerManagement(
            enabled=draft.value(above, "enabled", default=True),
            kdump=self._kdump(above),
            soft_fencing=soft_fencing(draft, branch(above, "soft_fencing")),
            agents=tuple(agents),
            proxies=self._proxies(draft, above),
        )
        return management, tree, frozenset(shared)

    def _kdump(self, tree: Tree) -> bool:
        """Whether a host tells of its crash dumps; it is in vain while nobody listens."""
        found = leaf(tree, "kdump")
        if found is None or not found.value:
            return False
        if not self.loaded.settings.kdump.enabled:
            origin = found.origin
            self.findings.warn(
                f"{origin.file}: {origin.key.removeprefix('.')} is true, but crash dumps are not "
                "listened for: set kdump.enabled = true in the main file"
            )
        return True

    def _removed(self, draft: Draft, name: str, said: Tree) -> bool:
        """Whether an agent is dropped; dropping one that no layer defines is a fault."""
        found = leaf(said, "remove")
        if found is None or not found.value:
            return False
        if not any(key not in ("name", "remove") for key in said):
            draft.fault(found.origin, f"no agent {name!r} is inherited", "Correct its name")
        return True

    def _proxies(self, draft: Draft, tree: Tree) -> tuple[str, ...]:
        fencing = self.loaded.settings.fencing
        found = leaf(tree, "proxies")
        if found is None or not found.value:
            # An empty list means the default: the main file's, and if that is empty, ours.
            file, shown = self.loaded.origin("fencing.proxies")
            words = fencing.proxies or _DEFAULT_PROXIES
            found = Leaf(words, Origin(file, "fencing.proxies", shown))
        return draft.preferences(found, implicit=fencing.implicit_proxies)
