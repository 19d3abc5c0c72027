"""What is done before a host's power is cut: its soft fencing, its alive check, its priority."""

from __future__ import annotations

import re

from pmwatchd.config.draft import Draft
from pmwatchd.config.faults import WrongError
from pmwatchd.config.tree import Leaf, Origin, Tree, leaf
from pmwatchd.core.model import AliveCheck, SoftFencing

PRIORITY = "priority"
"""The label that says who is fenced first when many wait; higher goes first."""

_NUMBER = re.compile(r"[+-]?[0-9]{1,9}", re.ASCII)
_DEFAULT = Origin("default", "power_management.soft_fencing", "default")
NO_SOFT_FENCING: Tree = {"command": Leaf("", _DEFAULT), "wait": Leaf(60.0, _DEFAULT)}


def check_priority(text: str) -> str:
    """Return the one spelling of a priority, or raise WrongError."""
    if not _NUMBER.fullmatch(text.strip()):
        raise WrongError(
            "is not a whole number", "Write for example priority = 10; higher goes first"
        )
    return str(int(text))


def soft_fencing(draft: Draft, tree: Tree) -> SoftFencing | None:
    """Make the command that runs on the host itself; an empty one means none."""
    command = draft.text(tree, "command").strip()
    if not command:
        return None
    return SoftFencing(command=command, wait_s=draft.value(tree, "wait", 60.0))


def alive_check(draft: Draft, tree: Tree, address: str) -> AliveCheck | None:
    """Make the command that knows whether the host is alive; an empty one means none."""
    found = leaf(tree, "command")
    if found is None or not found.value:
        return None
    known = draft.words
    # Only here: everywhere else an address is what is being made.
    draft.words = known | {"address": address}
    command = tuple(draft.filled(_word(found, word), "") for word in found.value)
    draft.words = known
    return AliveCheck(
        command=command,
        through_proxy=draft.value(tree, "on", "here") == "proxy",
        timeout_s=draft.value(tree, "timeout", 10.0),
        hold_on_error=draft.value(tree, "on_error", "hold") == "hold",
    )


def _word(found: Leaf, word: str) -> Leaf:
    return Leaf(word, found.layer, found.path)
