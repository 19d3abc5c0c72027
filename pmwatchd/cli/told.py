"""What has happened: ``history`` and ``events``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice

import click

from pmwatchd.cli.client import DONE, INTERRUPTED, UNREACHABLE, Api, Document
from pmwatchd.cli.options import Duration, HostName, api, client_options
from pmwatchd.cli.tables import clock, document, line, painted, table, took
from pmwatchd.errors import ClientError

_RECENT_S = 3600.0
_HISTORY_MAX = 100
_PAGE_MAX = 1000  # what the daemon gives at once
_RETRY_S = 1.0
_ABSENCE_MAX_S = 60.0
_LEVEL_WIDTH = len("critical")


@click.command()
@click.argument("host", required=False, type=HostName())
@click.option("--since", "since_s", type=Duration(), metavar="2h", help="How far to look back.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=_HISTORY_MAX,
    show_default=True,
    metavar="N",
    help="At most so many operations.",
)
@client_options
def history(host: str | None, *, since_s: float | None, limit: int, as_json: bool) -> int:
    """List operations, of all hosts or of HOST, the newest first."""
    found = list(
        islice(
            api().items(
                "/operations", host=host, since=_since(since_s), limit=min(limit, _PAGE_MAX)
            ),
            limit,
        )
    )
    if as_json:
        document({"items": found})
    elif found:
        click.echo(_operations_table(found))
    else:
        click.echo("No operations.", err=True)
    return DONE


def _operations_table(operations: list[Document]) -> str:
    return table(
        ("OPENED", "HOST", "ACTION", "OUTCOME", "TOOK", "BY", "OPERATION", "REASON"),
        [
            (
                clock(one["opened_at"]),
                one["host"],
                one["action"],
                one["outcome"] or f"({one['phase'] or 'open'})",
                took(one["opened_at"], one["closed_at"]),
                one["by"] or one["cause"],
                one["id"],
                one["reason"],
            )
            for one in operations
        ],
    )


@click.command()
@click.option("--follow", is_flag=True, help="Go on with what happens from now on.")
@click.option("--since", "since_s", type=Duration(), metavar="2h", help="How far to look back.")
@click.option("--host", type=HostName(), metavar="HOST", help="Only what concerns this host.")
@click.option("--operation", metavar="ID", help="Only the steps of this operation.")
@client_options
def events(
    *, follow: bool, since_s: float | None, host: str | None, operation: str | None, as_json: bool
) -> int:
    """
    Tell what happened, the oldest first.

    With --json one object per line.  Looks one hour back; with --follow not at all, and with
    --operation to its beginning, unless --since says otherwise.
    """
    client = api()
    wanted = {"host": host, "operation": operation}
    if since_s is None and not follow and operation is None:
        since_s = _RECENT_S
    try:
        if follow:
            told = _follow(client, wanted, since_s=since_s)
        else:
            told = _records(client, wanted, since_s=since_s)
        for record in told:
            line(record) if as_json else click.echo(_sentence(record))
    except KeyboardInterrupt:
        return INTERRUPTED
    except ClientError as error:
        # Not left to the main command: it would end a stream of records with something else.
        click.echo(f"Error: {error}", err=True)
        return error.exit_code
    return DONE


def _records(
    client: Api, wanted: dict[str, str | None], *, since_s: float | None
) -> Iterator[Document]:
    return client.items("/records", place="after", since=_since(since_s), **wanted)


def _follow(
    client: Api, wanted: dict[str, str | None], *, since_s: float | None
) -> Iterator[Document]:
    """Yield past records if asked for, then each new one, across restarts of the daemon."""
    last: int | None = None
    gone_at: float | None = None
    look_back = since_s is not None or wanted["operation"] is not None
    while True:
        try:
            stream = client.listen(after=last)
        except ClientError as error:
            now = time.monotonic()
            if gone_at is None or error.exit_code != UNREACHABLE or now - gone_at > _ABSENCE_MAX_S:
                raise
            time.sleep(_RETRY_S)
            continue
        with closing(stream):
            if look_back:
                # Read after the stream was opened: what is told meanwhile waits in it.
                for record in _records(client, wanted, since_s=since_s):
                    last = record["sequence"]
                    yield record
                look_back = False
            for record in stream:
                sequence = record.get("sequence")
                if sequence is not None:
                    if last is not None and sequence <= last:
                        continue
                    last = sequence
                if all(value in (None, record.get(name)) for name, value in wanted.items()):
                    yield record
        gone_at = time.monotonic()
        click.echo("The daemon ended the stream; waiting for its return.", err=True)


def _sentence(record: Document) -> str:
    level = painted(record["level"], _LEVEL_WIDTH)
    return f"{clock(record['timestamp'])}  {level}  {record['message']}"


def _since(since_s: float | None) -> str | None:
    return None if since_s is None else f"{since_s:f}s"
