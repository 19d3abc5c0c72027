"""
The command line: a thin client of the API, and the door to ``run``, ``check`` and ``lab``.

Commands return their exit code; everything expected that goes wrong is one
sentence on stderr.  A command's module is imported when it is used.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import click

from pmwatchd.cli.client import FAILED, INTERRUPTED, problem_of
from pmwatchd.cli.options import url_option
from pmwatchd.cli.tables import document
from pmwatchd.errors import ClientError

COMMANDS = {
    "run": "local",
    "check": "local",
    "config": "local",
    "lab": "simulated",
    "status": "show",
    "hosts": "show",
    "show": "show",
    "explain": "explain",
    "history": "told",
    "events": "told",
    "power": "power",
    "confirm-off": "change",
    "maintenance": "change",
    "pause": "pause",
    "resume": "pause",
    "override": "pause",
    "ack": "change",
    "reload": "change",
}


class Main(click.Group):
    """Finds commands by name, and turns every expected error into its exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, the daemon's own first."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a verb."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"pmwatchd.cli.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        """Carry out one command line and exit with its code."""
        words = sys.argv[1:] if args is None else list(args)
        extra["standalone_mode"] = False
        run = super().main
        sys.exit(_exit_code(words, lambda: run(words, *rest, **extra)))


def _exit_code(words: Sequence[str], run: Callable[[], object]) -> int:
    try:
        code = run()
    except click.ClickException as error:
        error.show()
        failed = error.exit_code
    except click.Abort:
        click.echo("Interrupted; what the daemon has begun goes on there.", err=True)
        return INTERRUPTED
    except ClientError as error:
        click.echo(f"Error: {error}", err=True)
        failed = error.exit_code
        if "--json" in words:
            document(problem_of(error) | {"exit_code": failed})
    else:
        return code if isinstance(code, int) else 0
    # Who asks for the agents' exit codes reads 2 as *off*; a typing mistake must never say that.
    return FAILED if "--exit-code" in words else failed


def _version(context: click.Context, _parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click calls it so
    if not value or context.resilient_parsing:
        return
    from importlib.metadata import version  # noqa: PLC0415 - slow, and needed here only

    click.echo(f"pmwatchd {version('pmwatchd')}")
    context.exit()


@click.group(cls=Main, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Show the version and exit.",
)
@url_option
@click.pass_context
def main(context: click.Context) -> None:
    """
    Watch hosts, fence the dead ones, prove that they are off, bring them back.

    Exit codes: 0 done, 1 failed or unproven, 2 usage or configuration, 3 daemon unreachable,
    4 refused, 5 done but degraded, 6 still running.

    Completion for bash: eval "$(_PMWATCHD_COMPLETE=bash_source pmwatchd)"; zsh_source and
    fish_source work the same way.
    """
    if os.environ.get("NO_COLOR"):
        context.color = False
