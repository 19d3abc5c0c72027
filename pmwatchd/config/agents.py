"""Fence agents: type, device and agent merged, judged, and made into values of the core."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from pmwatchd.config.draft import Draft
from pmwatchd.config.durations import limited
from pmwatchd.config.faults import WrongError, nearest
from pmwatchd.config.inventory import Inventory, Table
from pmwatchd.config.metadata import Installed
from pmwatchd.config.tree import Leaf, Origin, Tree, branch, leaf, leaves, merge
from pmwatchd.config.values import SecretRef, check_address
from pmwatchd.core.dialect import canonical_option, forbidden_value, unsafe_value
from pmwatchd.core.metadata import Metadata
from pmwatchd.core.model import FenceAgent, Secret, Switches

_FEEDS = frozenset(
    {
        "apc",
        "apc_snmp",
        "cdu",
        "cyberpower_ssh",
        "eaton_snmp",
        "emerson",
        "eps",
        "ipdu",
        "lindypdu",
        "netio",
        "powerman",
        "raritan",
        "raritan_px3",
        "tripplite_snmp",
        "wti",
    }
)
"""Types that switch outlets; everything else switches a chassis."""

_OTHER_PORTS = (
    ("ssh", 23, 22),
    ("ssl", 80, 443),
    ("ssl_secure", 80, 443),
    ("ssl_insecure", 80, 443),
)
"""Agents that speak both ways take another port for the encrypted one (fencing.py)."""

_SWITCHED_ON = ("1", "yes", "on", "true")

_SETTLE_S = {"ilo3": 4.0, "ilo4": 4.0}
"""These answer with the old state for a while (oVirt, FenceAgentDefaultParams)."""


@dataclass(frozen=True, slots=True)
class AgentBuilder:
    """Makes the agents of one host after the other."""

    inventory: Inventory
    installed: Installed
    implicit_proxies: bool

    def layered(self, draft: Draft, agent: Tree) -> tuple[Tree, Origin]:
        """Lay the agent over its device, and both over its type; say where it was written."""
        origin = next(leaves(agent))[1].layer
        own = leaf(agent, "name")
        if own is not None:
            origin = Origin(origin.file, own.origin.key.removesuffix(".name"), own.layer.label)
        device = self._device(draft, agent)
        tree = merge(device.tree if device else {}, agent)
        shared = self.inventory.types.get(draft.value(tree, "type", ""))
        if shared is not None:
            draft.faulty |= shared.faulty
            tree = merge(shared.tree, tree)
        return tree, origin

    def _device(self, draft: Draft, agent: Tree) -> Table | None:
        found = leaf(agent, "device")
        if found is None:
            return None
        name = draft.filled(found, "")
        device = self.inventory.devices.get(name)
        if device is not None:
            draft.faulty |= device.faulty
        elif name:
            draft.fault(
                found.origin,
                f"there is no device {name!r}",
                f"Add [devices.{name}]. {nearest(name, self.inventory.devices)}",
            )
        return device

    def build(self, draft: Draft, tree: Tree, origin: Origin) -> FenceAgent:
        """Make the agent; what is wrong is kept in the draft."""
        agent_type = draft.value(tree, "type", "")
        for key, text in (("type", agent_type), ("address", draft.value(tree, "address", ""))):
            if not text:
                where = Origin(origin.file, f"{origin.key}.{key}", origin.label)
                draft.fault(where, "is missing", f"Add {key}, here or at its device")
        metadata = self._metadata(draft, agent_type, leaf(tree, "type"))
        options, settle_s = self._options(draft, tree, agent_type, metadata)
        plug = self._argument(draft, tree, "plug")
        if metadata and "plug" in metadata.required and plug is None:
            where = Origin(origin.file, f"{origin.key}.plug", origin.label)
            draft.fault(where, f"is missing, and fence_{agent_type} needs it", "Add the outlet")
        words = leaf(tree, "proxies")
        default = Switches.FEED if agent_type in _FEEDS else Switches.CHASSIS
        return FenceAgent(
            name=draft.value(tree, "name", ""),
            type=agent_type,
            address=draft.text(tree, "address", check=check_address),
            order=draft.value(tree, "order", 1),
            ipport=draft.value(tree, "ipport", None),
            default_ipport=_default_port(metadata, options),
            plug=plug,
            username=self._argument(draft, tree, "username"),
            password=self._password(draft, tree),
            options=options,
            options_checked=metadata is not None,
            proxies=draft.preferences(words, implicit=self.implicit_proxies)
            if words is not None and words.value
            else None,
            settle_s=settle_s,
            min_command_interval_s=draft.value(tree, "min_command_interval", 0.0),
            switches=draft.value(tree, "switches", default),
        )

    def _metadata(self, draft: Draft, agent_type: str, found: Leaf | None) -> Metadata | None:
        if found is None:
            return None
        try:
            metadata = self.installed.describe(agent_type)
        except WrongError as wrong:
            draft.fault(found.origin, f"fence_{agent_type}: {wrong.reason}", wrong.remedy)
            return None
        if metadata is None:
            draft.findings.note(
                f"{self.installed.silence_of(agent_type)}; its options were not checked"
            )
        return metadata

    def _argument(self, draft: Draft, tree: Tree, key: str) -> str | None:
        return draft.text(tree, key, check=_plain) or None

    def _password(self, draft: Draft, tree: Tree) -> Secret | None:
        found = leaf(tree, "password")
        if found is None:
            return None
        ref: SecretRef = found.value
        if ref.plain is not None and not ref.plain.get_secret_value():
            return None
        return draft.secret(found, ref)

    def _options(
        self, draft: Draft, tree: Tree, agent_type: str, metadata: Metadata | None
    ) -> tuple[dict[str, str | Secret], float]:
        """Return the options to send, and how long a reading means nothing after a command."""
        options: dict[str, str | Secret] = {}
        settle_s = _SETTLE_S.get(agent_type, 0.0)
        known = (
            {canonical_option(name, agent_type) for name in metadata.parameters}
            if metadata
            else None
        )
        for key, found in branch(tree, "options").items():
            assert isinstance(found, Leaf)  # noqa: S101 - options hold no tables
            name = canonical_option(key, agent_type)
            if name == "power_wait":
                # The agent would wait inside; we wait outside, where it can be watched.
                settle_s = self._settle(draft, found)
            elif known is not None and name not in known:
                draft.fault(
                    found.origin,
                    f"fence_{agent_type} has no option {name!r}",
                    nearest(name, known),
                )
            else:
                options[name] = self._option(draft, name, found)
        return options, draft.value(tree, "settle", settle_s)

    def _option(self, draft: Draft, name: str, found: Leaf) -> str | SecretStr:
        def check(text: str) -> str:
            if reason := forbidden_value(name, text):
                raise WrongError(f"may not have this value: {reason}", "Remove it")
            return text

        if not isinstance(found.value, SecretRef):
            return draft.filled(found, "", lambda text: _plain(check(text)))
        secret = draft.secret(found, found.value)
        try:
            check(secret.get_secret_value())
        except WrongError as wrong:
            draft.fault(found.origin, wrong.reason, wrong.remedy)
        return secret

    def _settle(self, draft: Draft, found: Leaf) -> float:
        try:
            return limited(found.value, "0s", "5m")
        except WrongError as wrong:
            draft.fault(found.origin, wrong.reason, wrong.remedy)
            return 0.0


def _default_port(metadata: Metadata | None, options: Mapping[str, str | Secret]) -> int | None:
    """Find the port that an agent takes by itself, as far as its metadata tells it."""
    if metadata is None or metadata.ipport is None:
        return None
    for word, plain, encrypted in _OTHER_PORTS:
        if metadata.ipport == plain and options.get(word) in _SWITCHED_ON:
            return encrypted
    return metadata.ipport


def _plain(text: str) -> str:
    if reason := unsafe_value(text, secret=False):
        raise WrongError(f"cannot be passed on: {reason}", "Correct it")
    return text
