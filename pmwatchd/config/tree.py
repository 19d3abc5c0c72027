"""Merged tables that remember where every value was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic import BaseModel

from pmwatchd.config.layers import DeviceLayer, HeartbeatLayer
from pmwatchd.core.dialect import canonical_option


@dataclass(frozen=True, slots=True)
class Origin:
    """
    Where a table or a value was written.

    Attributes:
        file: The file, as faults name it.
        key: Dotted path in that file.
        label: How ``pmwatchd config`` shows it, e.g. ``cluster blue (hosts.d/blue.toml)``.
    """

    file: str
    key: str
    label: str


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value and where it was written."""

    value: Any
    layer: Origin
    path: str = ""

    @property
    def origin(self) -> Origin:
        """Where exactly it was written."""
        return Origin(self.layer.file, f"{self.layer.key}{self.path}", self.layer.label)


Tree: TypeAlias = "dict[str, Leaf | Tree]"


def plant(layer: BaseModel, origin: Origin, path: str = "") -> Tree:
    """Turn what one layer says into a tree; agents are keyed by name."""
    tree: Tree = {}
    for key in type(layer).model_fields:
        value = getattr(layer, key)
        here = f"{path}.{key}"
        if value is None:
            continue
        if isinstance(value, BaseModel):
            tree = merge(tree, {key: plant(value, origin, here)})
        elif key == "agents":
            tree[key] = {a.name: plant(a, origin, f"{here}.{a.name}") for a in value}
        elif isinstance(value, dict):
            tree[key] = {k: Leaf(v, origin, f"{here}.{k}") for k, v in value.items()}
        elif key == "probes" and not isinstance(layer, HeartbeatLayer):
            tree = merge(tree, {"heartbeat": {key: Leaf(value, origin, here)}})
        elif key == "port" and isinstance(layer, DeviceLayer):
            tree["ipport"] = Leaf(value, origin, here)
        else:
            tree[key] = Leaf(value, origin, here)
    if isinstance(layer, DeviceLayer):
        _spell_options(tree)
    return tree


def _spell_options(tree: Tree) -> None:
    """One spelling for each option, so that layers merge; oVirt's ``slot`` is the plug."""
    options: Tree = {}
    for name, found in branch(tree, "options").items():
        if name.lower() == "slot":
            if isinstance(found, Leaf) and isinstance(found.value, str):  # a secret was refused
                tree.setdefault("plug", found)
        else:
            # What `secure` means depends on the type, which another layer may say.
            options[name if name.lower() == "secure" else canonical_option(name)] = found
    if "options" in tree:
        tree["options"] = options


def merge(lower: Tree, upper: Tree) -> Tree:
    """Lay *upper* over *lower*: tables merge, everything else is replaced."""
    merged = dict(lower)
    for key, value in upper.items():
        below = merged.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged


def branch(tree: Mapping[str, Leaf | Tree], key: str) -> Tree:
    """Return the table at *key*, empty when there is none."""
    found = tree.get(key)
    return found if isinstance(found, dict) else {}


def leaf(tree: Mapping[str, Leaf | Tree], key: str) -> Leaf | None:
    """Return the value at *key*, or None."""
    found = tree.get(key)
    return found if isinstance(found, Leaf) else None


def leaves(tree: Mapping[str, Leaf | Tree], path: str = "") -> Iterator[tuple[str, Leaf]]:
    """Every value of a tree with its dotted key."""
    for key, found in tree.items():
        here = f"{path}.{key}" if path else key
        if isinstance(found, Leaf):
            yield here, found
        else:
            yield from leaves(found, here)
