"""What a person says for the whole site: ``pause``, ``resume``, ``override storm``."""

from __future__ import annotations

import sys

import click

from pmwatchd.cli.client import DONE, FAILED, Document
from pmwatchd.cli.options import Duration, api, client_options
from pmwatchd.cli.tables import clock, document, until

_PAUSE = "/pause"
_STORM = "/override/storm"


@click.command()
@click.option("--reason", required=True, metavar="TEXT", help="Kept in the journal.")
@click.option(
    "--for",
    "for_s",
    type=Duration(),
    required=True,
    metavar="30m",
    help="How long; a pause always ends by itself, after 30d at most.",
)
@client_options
def pause(*, reason: str, for_s: float, as_json: bool) -> int:
    """
    Pause all automatic fencing: hosts are watched, none is fenced.

    What a person asks for with `power` is still done, and so is what has begun.
    """
    now = api().call("PUT", _PAUSE, {"reason": reason, "for": for_s})
    if as_json:
        document(now)
    else:
        click.echo(f"Automatic fencing is paused until {clock(now['until'])}")
    return DONE


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask first.")
@client_options
def resume(*, yes: bool, as_json: bool) -> int:
    """End the pause: hosts that are dead are fenced from now on."""
    if not yes and not sys.stdin.isatty():
        raise click.UsageError(
            "resume asks first, and there is no terminal to ask on; add --yes to go ahead"
        )
    client = api()
    if not yes and not _agreed(client.get(_PAUSE)):
        click.echo("Nothing was done.", err=True)
        return FAILED
    now = client.call("DELETE", _PAUSE)
    if as_json:
        document(now)
    else:
        click.echo("Automatic fencing is no longer paused")
    return DONE


def _agreed(kept: Document) -> bool:
    """Ask, with the reason of the pause in view; without one the daemon has the word."""
    if not kept["paused"]:
        return True
    click.echo(f"Automatic fencing is paused {until(kept)}.", err=True)
    return click.confirm("Hosts that do not answer may be fenced at once. Continue?", err=True)


@click.group()
def override() -> None:
    """Overrule a hold of the whole site for a time."""


@override.command()
@click.option("--reason", metavar="TEXT", help="Kept in the journal.")
@click.option("--for", "for_s", type=Duration(), metavar="10m", help="How long; at most 30d.")
@click.option("--end", is_flag=True, help="Take the word back before its time.")
@client_options
def storm(*, reason: str | None, for_s: float | None, end: bool, as_json: bool) -> int:
    """
    Say that a storm is none: so many hosts are really dead at once.

    All other holds still apply.  Needs --reason and --for.
    """
    if end and (reason is not None or for_s is not None):
        raise click.UsageError("--end takes the word back; it needs neither --reason nor --for")
    if not end and (reason is None or for_s is None):
        missing = "--reason" if reason is None else "--for"
        raise click.UsageError(f"Missing option '{missing}'.")
    client = api()
    if end:
        now = client.call("DELETE", _STORM)
    else:
        now = client.call("PUT", _STORM, {"reason": reason, "for": for_s})
    if as_json:
        document(now)
    elif end:
        click.echo("A storm stops fencing again")
    else:
        click.echo(f"A storm stops no fencing until {clock(now['until'])}")
    return DONE
