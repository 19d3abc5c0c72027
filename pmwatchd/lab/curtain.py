"""The lab as a program: arguments, signals, exit codes."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine

import click

from pmwatchd.lab.performance import perform, stay_open
from pmwatchd.lab.scenarios import SCENARIOS
from pmwatchd.lab.site import MAX_HOSTS, MIN_HOSTS
from pmwatchd.lab.story import JsonStory, PlainStory, Story

_USAGE = 2
_INTERRUPTED = 130


def raise_curtain(hosts: int, scenario: str | None, *, as_json: bool) -> int:
    """Run a lab to its end; the exit code."""
    if not MIN_HOSTS <= hosts <= MAX_HOSTS:
        click.echo(f"A lab has from {MIN_HOSTS} to {MAX_HOSTS} hosts.", err=True)
        return _USAGE
    if scenario is not None and scenario not in SCENARIOS:
        click.echo(f"There is no scenario {scenario}; {', '.join(SCENARIOS)} exist.", err=True)
        return _USAGE
    story: Story = JsonStory(sys.stdout) if as_json else PlainStory(sys.stdout)
    work = stay_open(hosts, story) if scenario is None else perform(scenario, hosts, story)
    try:
        return asyncio.run(_until_told(work))
    except (KeyboardInterrupt, asyncio.CancelledError):
        # Whoever opened a lab to look around ends it like this; a scenario is cut short.
        return 0 if scenario is None else _INTERRUPTED


async def _until_told(work: Coroutine[None, None, int]) -> int:
    """Take SIGTERM and SIGHUP for what Ctrl-C is, so that nothing is left behind."""
    working = asyncio.create_task(work)
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, working.cancel)
    return await working
