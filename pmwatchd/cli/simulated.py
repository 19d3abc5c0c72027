"""``pmwatchd lab``: a simulated site with the real daemon, and what can be done to it."""

from __future__ import annotations

import click

from pmwatchd.cli.options import json_option
from pmwatchd.lab import DEFAULT_HOSTS, SCENARIOS, VERBS, act
from pmwatchd.lab import main as play

_HOSTS_MIN = 3
_HOSTS_MAX = 200


@click.group(invoke_without_command=True)
@click.option(
    "--hosts",
    type=click.IntRange(_HOSTS_MIN, _HOSTS_MAX),
    default=DEFAULT_HOSTS,
    show_default=True,
    metavar="N",
    help="How many hosts.",
)
@click.option("--scenario", type=click.Choice(SCENARIOS), help="Play this and end.")
@json_option
@click.pass_context
def lab(context: click.Context, *, hosts: int, scenario: str | None, as_json: bool) -> int:
    """
    Start a simulated site with the real daemon on loopback.

    Without --scenario it runs until Ctrl-C; the verbs below act on it from another terminal.
    """
    if context.invoked_subcommand is not None:
        return 0
    return play(hosts=hosts, scenario=scenario, json=as_json)


def _verb(verb: str) -> None:
    @lab.command(verb, help=f"{verb} HOST in the running lab.")
    @click.argument("host")
    def command(host: str) -> int:
        return act(verb, host)


for _name in VERBS:
    _verb(_name)
