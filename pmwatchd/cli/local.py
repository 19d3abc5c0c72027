"""What needs no running daemon: ``run``, ``check``, ``config``."""

from __future__ import annotations

import signal
from dataclasses import asdict
from pathlib import Path

import click

from pmwatchd.cli.client import DONE, FAILED, USAGE
from pmwatchd.cli.options import config_option, json_option
from pmwatchd.cli.tables import document, fault, table
from pmwatchd.errors import ConfigError, Fault, PmwatchdError

# The imports inside of the commands cost most of a second, and no client command needs them.


@click.command()
@config_option
@click.option(
    "--accept-empty-journal",
    is_flag=True,
    help="If the journal is damaged, keep it aside and begin an empty one; for one start.",
)
def run(config: Path, *, accept_empty_journal: bool) -> int:
    """Run the daemon, until SIGTERM."""
    # A reload asked for before there is anything to reload must not end the process.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from pmwatchd import app  # noqa: PLC0415 - see above

    try:
        return app.run(config, accept_empty_journal=accept_empty_journal)
    except ConfigError as error:
        return _refuse(error.faults, err=True)
    except PmwatchdError as error:
        click.echo(f"Error: {error}", err=True)
        return FAILED


@click.command()
@config_option
@click.option(
    "--inventory",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Read the hosts from here instead of what the configuration says.",
)
@click.option("--no-secrets", is_flag=True, help="Do not read passwords and keys.")
@json_option
def check(config: Path, *, inventory: Path | None, no_secrets: bool, as_json: bool) -> int:
    """Say every fault of configuration and inventory; start nothing."""
    from pmwatchd import config as configuration  # noqa: PLC0415 - see above

    report = configuration.check(config, inventory=inventory, secrets=not no_secrets)
    code = USAGE if report.faults else DONE
    if as_json:
        document(
            {
                "faults": [asdict(one) for one in report.faults],
                "warnings": list(report.warnings),
                "notes": list(report.notes),
            }
        )
        return code
    for note in report.notes:
        click.echo(f"note: {note}")
    for warning in report.warnings:
        click.echo(f"warning: {warning}")
    if report.faults:
        return _refuse(report.faults, err=False)
    click.echo(f"{config}: no faults")
    return code


@click.command("config")
@config_option
@click.option("--host", metavar="HOST", help="The values of one host.")
@json_option
def config(config: Path, *, host: str | None, as_json: bool) -> int:
    """Show effective values, their origins and oVirt names."""
    from pmwatchd import config as configuration  # noqa: PLC0415 - see above

    try:
        values = configuration.effective(config, host)
    except ConfigError as error:
        return _refuse(error.faults, err=True)
    if as_json:
        document({"items": [asdict(value) for value in values]})
    else:
        rows = [(one.key, str(one.value), one.origin, one.ovirt or "") for one in values]
        click.echo(table(("KEY", "VALUE", "ORIGIN", "OVIRT"), rows))
    return DONE


def _refuse(faults: tuple[Fault, ...], *, err: bool) -> int:
    for one in faults:
        click.echo(fault(one.file, one.key, one.reason, one.remedy), err=err)
    click.echo("1 fault" if len(faults) == 1 else f"{len(faults)} faults", err=err)
    return USAGE
