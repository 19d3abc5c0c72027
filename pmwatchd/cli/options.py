"""Arguments and options that many commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from pmwatchd.cli.client import Api
from pmwatchd.core.durations import parse
from pmwatchd.errors import ClientError

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

URL_VARIABLE = "PMWATCHD_URL"
URL_DEFAULT = "unix:/run/pmwatchd/api.sock"
CONFIG_DEFAULT = Path("/etc/pmwatchd/pmwatchd.toml")
_URL = "pmwatchd.url"
_COMPLETE_WITHIN_S = 1.0  # a shell that waits longer after a tab looks dead


def _keep_url(context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    # The option is read before and after the verb; what stands later wins.
    if value is not None:
        context.meta[_URL] = value


def url_option(command: CommandT) -> CommandT:
    """Add ``--url`` to a command."""
    return click.option(
        "--url",
        metavar="URL",
        expose_value=False,
        callback=_keep_url,
        help=f"Where the daemon listens, unix:PATH.  [env: {URL_VARIABLE}; default: {URL_DEFAULT}]",
    )(command)


def client_options(command: CommandT) -> CommandT:
    """Add what every client command takes: ``--url`` and ``--json`` (as ``as_json``)."""
    return url_option(json_option(command))


def json_option(command: CommandT) -> CommandT:
    """Add ``--json`` (as ``as_json``)."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")(
        command
    )


def config_option(command: CommandT) -> CommandT:
    """Add ``--config FILE`` (as ``config``)."""
    return click.option(
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        default=CONFIG_DEFAULT,
        show_default=True,
        metavar="FILE",
        help="The main configuration file.",
    )(command)


def api() -> Api:
    """
    Build the client for the URL of this invocation.

    Raises:
        click.UsageError: The URL is not one of a unix socket.
    """
    typed: str | None = click.get_current_context().meta.get(_URL)
    url = typed or os.environ.get(URL_VARIABLE) or URL_DEFAULT
    scheme, separator, path = url.partition(":")
    path = "/" + path.lstrip("/") if path.startswith("//") else path
    if scheme != "unix" or not separator or not path:
        raise click.UsageError(
            f"{url!r} cannot be used: this client speaks to the daemon's unix socket only. "
            f"Give --url or {URL_VARIABLE} as unix:PATH, for example {URL_DEFAULT}"
        )
    return Api(path)


class Duration(click.ParamType[float]):
    """A duration such as ``30m``, in seconds."""

    name = "duration"

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read it; what cannot be read is a usage error."""
        if not isinstance(value, str):
            return value
        try:
            return parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class HostName(click.ParamType[str]):
    """The name of a host; completed from the daemon when it can be reached."""

    name = "host"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Hosts that begin with what was typed; silence when the daemon cannot be asked."""
        del param
        try:
            with ctx.scope():
                client = replace(api(), within_s=_COMPLETE_WITHIN_S)
                names = [str(host["name"]) for host in client.items("/hosts")]
        except (ClientError, click.UsageError):
            return []
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]
