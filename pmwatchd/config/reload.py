"""What a reload would change, and whether that is plausible."""

from __future__ import annotations

from collections.abc import Mapping

from pmwatchd.core.model import Host

_SHARE_MAX = 0.10
_HOSTS_MIN = 5


def compare(
    old: Mapping[str, Host], new: Mapping[str, Host]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Name the hosts that were added, changed and removed; secrets are compared by value."""
    added = tuple(sorted(new.keys() - old.keys()))
    changed = tuple(sorted(name for name in new.keys() & old.keys() if new[name] != old[name]))
    removed = tuple(sorted(old.keys() - new.keys()))
    return added, changed, removed


def removal_refused(old: Mapping[str, Host], new: Mapping[str, Host]) -> str | None:
    """
    Say why so many hosts may not vanish at once, or None.

    An inventory that lost a tenth of its hosts (and at least five) was
    probably written by a tool that failed halfway.
    """
    vanishing = len(old.keys() - new.keys())
    if vanishing < _HOSTS_MIN or vanishing <= len(old) * _SHARE_MAX:
        return None
    return f"{vanishing} of {len(old)} hosts would vanish"
