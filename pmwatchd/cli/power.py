"""``pmwatchd power``: what power switches read, and a person's commands to switch them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import click

from pmwatchd.cli.client import (
    DONE,
    FAILED,
    INTERRUPTED,
    RUNNING,
    Api,
    Asked,
    Document,
    ProblemError,
    host_path,
    problem_of,
)
from pmwatchd.cli.options import Duration, HostName, api, client_options
from pmwatchd.cli.outcomes import AGENT_CODES, Told, begun, judge, reading, show
from pmwatchd.cli.tables import painted
from pmwatchd.cli.waiting import Progress, until_closed
from pmwatchd.errors import ClientError

ALIASES = {"start": "on", "stop": "off", "reboot": "restart"}
_EFFECTS = {
    "off": "its power is cut and stays off; the host is in maintenance until a person ends that",
    "on": "it is powered on",
    "restart": "its power is cut, proven off and switched on again",
}
_AT_ONCE_MAX = 64  # a socket each; the daemon's own queue of callers is 128 long


class Verbs(click.Group):
    """The verbs of ``power``; those of other tools are understood too."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the verbs as they were defined, the harmless one first."""
        del ctx
        return list(self.commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a verb under either name."""
        return super().get_command(ctx, ALIASES.get(cmd_name, cmd_name))


@click.group(cls=Verbs)
def power() -> None:
    """
    Read or switch the power of hosts.

    start, stop and reboot are understood for on, off and restart.  With --json one HOST gives its
    object, several give them as `items`.
    """


hosts_argument = click.argument(
    "hosts", nargs=-1, required=True, type=HostName(), metavar="HOST..."
)
timeout_option = click.option(
    "--timeout", "within_s", type=Duration(), metavar="5m", help="Wait no longer than this."
)
reason_option = click.option("--reason", default="", metavar="TEXT", help="Kept in the journal.")
no_wait_option = click.option("--no-wait", is_flag=True, help="Return once it has begun.")


@power.command()
@hosts_argument
@timeout_option
@click.option(
    "--exit-code",
    is_flag=True,
    help="Exit as fence agents do: 0 on, 2 off, 1 anything else; one HOST only.",
)
@client_options
def status(
    hosts: tuple[str, ...], *, within_s: float | None, exit_code: bool, as_json: bool
) -> int:
    """Read the power of HOST now; exits 0 if it was read."""
    if exit_code and len(hosts) > 1:
        raise click.UsageError("--exit-code speaks of one host; give one HOST")
    deadline = None if within_s is None else time.monotonic() + within_s
    told = _ask_all(api(), hosts, {"action": "status"}, reading, deadline=deadline)
    code = show(told, as_json=as_json)
    if exit_code:
        return AGENT_CODES.get(told[0].fields.get("power", ""), FAILED) if code == DONE else FAILED
    return code


def _switch(action: str) -> Callable[..., int]:
    def command(
        hosts: tuple[str, ...],
        *,
        reason: str,
        yes: bool,
        no_wait: bool,
        within_s: float | None,
        as_json: bool,
    ) -> int:
        if not yes and not sys.stdin.isatty():
            raise click.UsageError(
                f"power {action} asks first, and there is no terminal to ask on; "
                "add --yes to go ahead"
            )
        client, names = api(), tuple(dict.fromkeys(hosts))
        known = _known(client, names)
        if not yes and (refusal := _asked(action, known)):
            click.echo("Nothing was done.", err=True)
            return refusal
        return _order(
            client,
            names,
            {"action": action, "reason": reason},
            wait=not no_wait,
            within_s=within_s,
            as_json=as_json,
        )

    return command


def _switching(action: str, text: str) -> None:
    command: Any = _switch(action)
    for decorate in (
        client_options,
        timeout_option,
        no_wait_option,
        click.option("--yes", is_flag=True, help="Do not ask first."),
        reason_option,
        hosts_argument,
    ):
        command = decorate(command)
    power.command(name=action, help=text)(command)


_switching("off", "Switch HOST off and prove it; it stays off, in maintenance.")
_switching("on", "Switch HOST on and prove it.")
_switching("restart", "Switch HOST off, prove it, and switch it on again.")


@power.command()
@hosts_argument
@reason_option
@no_wait_option
@timeout_option
@client_options
def cancel(
    hosts: tuple[str, ...], *, reason: str, no_wait: bool, within_s: float | None, as_json: bool
) -> int:
    """End a backoff, or the pursuit of *on*: HOST may be left off."""
    return _order(
        api(),
        tuple(dict.fromkeys(hosts)),
        {"action": "cancel", "reason": reason},
        wait=not no_wait,
        within_s=within_s,
        as_json=as_json,
    )


def _known(client: Api, names: Sequence[str]) -> list[Document]:
    """Look every host up, so that a typing mistake stops the command before any power is cut."""
    found = []
    for name in names:
        try:
            found.append(client.get(host_path(name)))
        except ProblemError as problem:
            untouched = "" if len(names) == 1 else " Nothing was done to the other hosts."
            raise problem.about(name, f"{problem}{untouched}") from problem
    return found


def _asked(action: str, hosts: Sequence[Document]) -> int:
    """Ask whether to go ahead; DONE means yes, else it is the exit code."""
    for host in hosts:
        place = (
            f"{host['address']}, cluster {host['cluster']}" if host["cluster"] else host["address"]
        )
        shown = painted(host["status"])
        click.echo(f"{host['name']} ({place}) is {shown}: {_EFFECTS[action]}.", err=True)
    try:
        return DONE if click.confirm("Continue?", err=True) else FAILED
    except click.Abort:
        click.echo(err=True)
        return INTERRUPTED


def _order(
    client: Api,
    names: Sequence[str],
    body: Document,
    *,
    wait: bool,
    within_s: float | None,
    as_json: bool,
) -> int:
    deadline = None if within_s is None else time.monotonic() + within_s
    told = _ask_all(client, names, body, begun, deadline=deadline)
    finished = not wait or _await(client, told, body["action"], deadline=deadline)
    code = show(told, as_json=as_json)
    return code if finished else INTERRUPTED


def _await(client: Api, told: Sequence[Told], action: str, *, deadline: float | None) -> bool:
    """Wait for the operations that have begun and judge each; False when Ctrl-C ended the wait."""
    progress = Progress()
    awaited = {one.fields["id"]: one for one in told if one.fields.get("id")}
    for key, one in awaited.items():
        progress.say(f"{one.host}: operation {key}" + (" joined" if one.fields["joined"] else ""))
    seen: dict[str, Document] = {}
    lost: ClientError | None = None
    finished = True
    try:
        until_closed(client, awaited, seen, deadline=deadline, progress=progress)
    except ClientError as error:
        lost = error
    except KeyboardInterrupt:
        finished = False
    for key, one in awaited.items():
        judge(one, action, seen.get(key, {"id": key, "state": "open"}), lost)
    if not finished:
        running = ", ".join(key for key, one in awaited.items() if one.code == RUNNING)
        click.echo(f"\nInterrupted; still running: {running or 'nothing'}", err=True)
    return finished


def _ask_all(
    client: Api,
    names: Sequence[str],
    body: Document,
    read: Callable[[str, Document], Told],
    *,
    deadline: float | None,
) -> list[Told]:
    """Send the command to all hosts at once and read the answers in turn."""
    told: list[Told] = []
    names = tuple(dict.fromkeys(names))
    for start in range(0, len(names), _AT_ONCE_MAX):
        asked: list[tuple[str, Asked | ClientError]] = []
        for name in names[start : start + _AT_ONCE_MAX]:
            try:
                asked.append((name, client.ask("POST", host_path(name, "power"), body)))
            except ClientError as error:
                asked.append((name, error))
        told += [_heard(name, one, read, deadline) for name, one in asked]
    return told


def _heard(
    name: str,
    asked: Asked | ClientError,
    read: Callable[[str, Document], Told],
    deadline: float | None,
) -> Told:
    if isinstance(asked, ClientError):
        return Told(name, asked.exit_code, f"{name}: {asked}", problem_of(asked))
    # A time-out of zero would mean "do not block" to the socket, not "now or never".
    left_s = None if deadline is None else max(0.01, deadline - time.monotonic())
    try:
        return read(name, asked.answer(within_s=left_s))
    except TimeoutError:
        return Told(name, RUNNING, f"{name}: no answer yet; the daemon goes on")
    except ClientError as error:
        return Told(name, error.exit_code, f"{name}: {error}", problem_of(error))
