"""Why it did, or why it waits: ``explain``."""

from __future__ import annotations

from urllib.parse import quote

import click

from pmwatchd.cli.client import DONE
from pmwatchd.cli.options import Duration, HostName, api, client_options
from pmwatchd.cli.tables import document


@click.command()
@click.argument("name", type=HostName(), metavar="HOST|OPERATION")
@click.option(
    "--since",
    "since_s",
    type=Duration(),
    metavar="2h",
    help="How far to look back at a HOST; without it: to its last answer.",
)
@client_options
def explain(name: str, *, since_s: float | None, as_json: bool) -> int:
    """
    Explain why HOST was fenced or is not, or what OPERATION did.

    What was heard when, each hold, what others said, what was sent through whom and what was
    read, and what would have to change.
    """
    since = None if since_s is None else f"{since_s:f}s"
    story = api().get(f"/explain/{quote(name, safe='')}", since=since)
    if as_json:
        document(story)
    else:
        click.echo(story["text"])
    return DONE
