"""What the daemon sees: ``status``, ``hosts``, ``show``."""

from __future__ import annotations

from collections.abc import Iterable

import click

from pmwatchd.cli.client import DONE, Api, Document, host_path
from pmwatchd.cli.options import HostName, api, client_options
from pmwatchd.cli.tables import age, clock, document, pairs, table, until

HEADS = ("HOST", "STATUS", "LIVENESS", "SINCE", "ADDRESS", "CLUSTER", "HOLDS", "ALERTS")
_NOTICED_MAX = 20
_CALM = "up"
_SHADOW = "never automatic, only judged and explained (safety.automatic)"


@click.command()
@click.argument("host", required=False, type=HostName())
@client_options
def status(host: str | None, *, as_json: bool) -> int:
    """Show the fleet at a glance, or one HOST."""
    client = api()
    if host is not None:
        return _show(client, host, as_json=as_json)
    fleet = client.get("/status")
    if as_json:
        document(fleet)
        return DONE
    click.echo(_glance(fleet))
    if alerts := fleet.get("site_alerts"):
        click.echo("\n" + _conditions_table("ALERTS", alerts))
    noticed = {name: count for name, count in fleet["hosts"].items() if count and name != _CALM}
    shown: list[Document] = []
    for name in noticed:
        if len(shown) < _NOTICED_MAX:
            limit = _NOTICED_MAX - len(shown)
            shown += client.get("/hosts", status=name, limit=limit)["items"]
    if shown:
        click.echo("\n" + _hosts_table(shown))
    if (unseen := sum(noticed.values()) - len(shown)) > 0:
        click.echo(f"... and {unseen} more; see `pmwatchd hosts --status STATUS`")
    return DONE


@click.command()
@click.option("--status", metavar="S", help="Only hosts in this status.")
@click.option("--cluster", metavar="C", help="Only hosts of this cluster.")
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="K=V",
    help="Only hosts with this label; repeatable.",
)
@client_options
def hosts(
    *, status: str | None, cluster: str | None, labels: tuple[str, ...], as_json: bool
) -> int:
    """List the watched hosts."""
    found = list(api().items("/hosts", status=status, cluster=cluster, label=labels))
    if as_json:
        document({"items": found})
    elif found:
        click.echo(_hosts_table(found))
    else:
        click.echo("No such hosts.", err=True)
    return DONE


@click.command()
@click.argument("host", type=HostName())
@client_options
def show(host: str, *, as_json: bool) -> int:
    """Show everything about one HOST."""
    return _show(api(), host, as_json=as_json)


def _show(client: Api, name: str, *, as_json: bool) -> int:
    host = client.get(host_path(name))
    if as_json:
        document(host)
        return DONE
    power = host["power_management"]
    click.echo(
        pairs(
            [
                ("host", host["name"]),
                ("status", host["status"]),
                ("liveness", host["liveness"]),
                ("since", _instant(host["since"])),
                ("last answer", _instant(host["last_answer_at"])),
                ("address", host["address"]),
                ("cluster", host["cluster"]),
                ("datacenter", host["datacenter"]),
                ("labels", ", ".join(f"{k}={v}" for k, v in host.get("labels", {}).items())),
                ("operation", host["operation"] or ""),
                ("maintenance", until(host["maintenance"]) if host["maintenance"] else ""),
                ("fencing", _fencing(host)),
                ("proxies", ", ".join(power["proxies"])),
            ]
        )
    )
    for title, conditions in (("HOLDS", host["holds"]), ("ALERTS", host["alerts"])):
        if conditions:
            click.echo("\n" + _conditions_table(title, conditions))
    if power["agents"]:
        click.echo("\n" + _agents_table(power["agents"]))
    return DONE


def _glance(fleet: Document) -> str:
    state = "ready" if fleet["ready"] else "starting"
    if not fleet["journal_writable"]:
        state += ", the journal cannot be written: no new operation begins"
    counts = fleet["hosts"]
    paused, storm = fleet.get("pause"), (fleet.get("override") or {}).get("storm")
    return pairs(
        [
            ("pmwatchd", f"{fleet['version']}, {state}"),
            ("fencing", "" if fleet.get("automatic", True) else _SHADOW),
            ("paused", until(paused) if paused else ""),
            ("storm override", until(storm) if storm else ""),
            (
                "hosts",
                f"{sum(counts.values())}: {_counted(counts)}" if any(counts.values()) else "0",
            ),
            ("holds", _counted(fleet["holds"])),
            ("alerts", _counted(fleet["alerts"])),
            ("operations", f"{fleet['operations_open']} open"),
        ]
    )


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)


def _hosts_table(hosts: Iterable[Document]) -> str:
    return table(
        HEADS,
        [
            (
                host["name"],
                host["status"],
                host["liveness"],
                age(host["since"]),
                host["address"],
                host["cluster"],
                ",".join(hold["name"] for hold in host["holds"]),
                ",".join(alert["name"] for alert in host["alerts"]),
            )
            for host in hosts
        ],
    )


def _conditions_table(title: str, conditions: Iterable[Document]) -> str:
    rows = [(one["name"], age(one["since"]), one["reason"]) for one in conditions]
    return table((title, "FOR", "REASON"), rows)


def _agents_table(agents: Iterable[Document]) -> str:
    return table(
        ("AGENT", "ORDER", "TYPE", "ADDRESS", "PORT", "PLUG", "USERNAME"),
        [
            (
                one["name"],
                str(one["order"]),
                one["type"],
                one["address"],
                str(one["ipport"] or ""),
                str(one["plug"] or ""),
                one["username"] or "",
            )
            for one in agents
        ],
    )


def _fencing(host: Document) -> str:
    """What keeps the host from ever being fenced automatically, if anything does."""
    if not host["power_management"]["enabled"]:
        return "switched off (power_management.enabled)"
    return "" if host.get("automatic", True) else _SHADOW


def _instant(at: str | None) -> str:
    return f"{clock(at)}  ({age(at)} ago)" if at else ""
