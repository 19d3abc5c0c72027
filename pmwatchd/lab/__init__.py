"""
A simulated site for the real daemon: ``pmwatchd lab``.

Only the iron is imitated.  The daemon, SSH, the fence agent and the API are
the real ones, in processes of their own.  The modules that do the work are
imported when a lab begins, because every command line reads the names here.
"""

from __future__ import annotations

SCENARIOS: tuple[str, ...] = (
    *("dead-host", "secondary", "dual-power", "proxy-lost", "crash"),
    *("network-outage", "witness", "kdump", "loop", "maintenance"),
)
VERBS: tuple[str, ...] = ("kill", "start", "bmc-dead", "bmc-back", "ssh-dead", "ssh-back")

DEFAULT_HOSTS = 5


def main(hosts: int = DEFAULT_HOSTS, scenario: str | None = None, json: bool = False) -> int:  # noqa: FBT001, FBT002 - called by the command line with its own names
    """
    Run a lab: one scenario, or until Ctrl-C.

    Args:
        hosts: How many, from 3 to 200.
        scenario: One of :data:`SCENARIOS`, or None to stay open.
        json: One JSON object per line instead of a story.

    Returns:
        0 when it ended as it should, 1 when not, 2 for a wrong argument, 130 when interrupted.
    """
    from pmwatchd.lab.curtain import raise_curtain  # noqa: PLC0415 - see the module docstring

    return raise_curtain(hosts, scenario, as_json=json)


def act(verb: str, host: str) -> int:
    """
    Do one of :data:`VERBS` to a host of this user's running lab.

    Returns:
        0 when it was done, 3 when no lab is running, 4 when it cannot be done.
    """
    from pmwatchd.lab import control  # noqa: PLC0415 - see the module docstring

    return control.act(verb, host)
