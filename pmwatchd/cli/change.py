"""What a person tells the daemon of a host besides power, and ``reload``."""

from __future__ import annotations

import sys

import click

from pmwatchd.cli.client import DONE, FAILED, Document, ProblemError, host_path
from pmwatchd.cli.options import Duration, HostName, api, client_options
from pmwatchd.cli.tables import clock, document, fault

_RELOAD_WITHIN_S = 600.0


@click.group()
def maintenance() -> None:
    """Take a host out of automatic fencing, or put it back."""


@maintenance.command()
@click.argument("host", type=HostName())
@click.option("--reason", required=True, metavar="TEXT", help="Kept in the journal.")
@click.option("--for", "for_s", type=Duration(), metavar="2h", help="How long; without it: no end.")
@client_options
def start(host: str, *, reason: str, for_s: float | None, as_json: bool) -> int:
    """Put HOST into maintenance: it is watched, never fenced."""
    body: Document = {"reason": reason}
    if for_s is not None:
        body["for"] = for_s  # as the option is called, so that a refusal names that
    now = api().call("PUT", host_path(host, "maintenance"), body)
    if as_json:
        document(now)
        return DONE
    until = (now.get("maintenance") or {}).get("until")
    click.echo(f"{host}: in maintenance " + (f"until {clock(until)}" if until else "without end"))
    return DONE


@maintenance.command()
@click.argument("host", type=HostName())
@client_options
def end(host: str, *, as_json: bool) -> int:
    """Put HOST back under automatic fencing."""
    now = api().call("DELETE", host_path(host, "maintenance"))
    if as_json:
        document(now)
    else:
        click.echo(f"{host}: no longer in maintenance")
    return DONE


@click.command(name="confirm-off")
@click.argument("host", type=HostName())
@click.option("--reason", required=True, metavar="TEXT", help="Kept in the journal.")
@click.option("--yes", is_flag=True, help="Do not ask for the name.")
@client_options
def confirm_off(host: str, *, reason: str, yes: bool, as_json: bool) -> int:
    """
    Vouch that HOST is off, where no agent can prove it.

    Others may then start its work elsewhere: if the host is alive after all, two of them write
    to the same disks.  Refused while the host answers or one of its agents reads on.
    """
    if not yes and not sys.stdin.isatty():
        raise click.UsageError(
            "confirm-off wants the host's name typed, and there is no terminal to type it on; "
            "add --yes to go ahead"
        )
    if not yes and click.prompt(f"Look at {host}. If it is off, type its name", err=True) != host:
        click.echo("Nothing was done.", err=True)
        return FAILED
    accepted = api().call("POST", host_path(host, "confirm-off"), {"reason": reason})
    if as_json:
        document(accepted)
    else:
        click.echo(
            f"{host}: your word is kept, operation {accepted['operation']}; it counts as soon as "
            "no command is on its way, unless the host answers or an agent reads on before that"
        )
    return DONE


@click.command()
@click.argument("host", type=HostName())
@click.option("--reason", default="", metavar="TEXT", help="Kept in the journal.")
@client_options
def ack(host: str, *, reason: str, as_json: bool) -> int:
    """
    Acknowledge that you looked at HOST, which was fenced too often: it is parked no longer.

    From now on it may be fenced again.
    """
    now = api().call("POST", host_path(host, "ack"), {"reason": reason})
    if as_json:
        document(now)
    else:
        click.echo(f"{host}: acknowledged, it may be fenced again")
    return DONE


@click.command()
@click.option("--allow-removal", is_flag=True, help="Even if many hosts would vanish.")
@client_options
def reload(*, allow_removal: bool, as_json: bool) -> int:
    """
    Read configuration and inventory again.

    Says what was added, changed and removed; with any fault the running ones are kept.
    """
    try:
        result = api().call(
            "POST", "/reload", {"allow_removal": allow_removal}, within_s=_RELOAD_WITHIN_S
        )
    except ProblemError as problem:
        for one in problem.document.get("faults", []):
            click.echo(fault(one["file"], one["key"], one["reason"], one["remedy"]), err=True)
        raise
    if as_json:
        document(result)
        return DONE
    for warning in result["warnings"]:
        click.echo(f"warning: {warning}", err=True)
    told = [
        f"{word}: {', '.join(result[word])}"
        for word in ("added", "changed", "removed")
        if result[word]
    ]
    click.echo("\n".join(told) or "Nothing has changed.")
    return DONE
