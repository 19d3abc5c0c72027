"""
One execution of a fence agent on one machine, from the order to what it proved.

``timeout(1)`` runs on the proxy itself, because closing a connection leaves
the remote process running: only that program ends it.  The options go to
stdin, never to argv, and what the agent says is shown without the secrets
that it may echo.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pmwatchd.core import dialect, verdict
from pmwatchd.core.masking import masked
from pmwatchd.core.metadata import Metadata, MetadataError, parse
from pmwatchd.core.model import (
    AgentResult,
    Candidate,
    FenceAction,
    FenceAgent,
    Limits,
    PowerStatus,
    ProxyResult,
    ProxySource,
    Reply,
    Try,
)
from pmwatchd.errors import ProxyError
from pmwatchd.io.agents.catalogue import Catalogue
from pmwatchd.ports import OUTPUT_LIMIT, Completed, Transport, always, announcing, told

ASK_LIMIT_S = 5.0
"""An agent describes itself in so many seconds or not: an ``off`` may be waiting for it."""

LATE_S = 1.0
"""Nobody waits for the end of an agent that does not describe itself: it harms nothing."""

_OUT_OF_TIME = (124, 137)  # what timeout(1) exits with after TERM, and after KILL


class FenceAgents:
    """
    Executes ClusterLabs fence agents; a :class:`pmwatchd.ports.Agents`.

    Args:
        agent_dir: Where ``fence_<type>`` lies, here and on every proxy.
        ssh: Runs programs on proxies.
        local: Runs programs here, for the proxy ``engine``.
        catalogue: Keeps what agents say of themselves.
    """

    def __init__(
        self,
        *,
        agent_dir: str,
        ssh: Transport,
        local: Transport,
        catalogue: Catalogue,
    ) -> None:
        self._agent_dir = agent_dir
        self._ssh = ssh
        self._local = local
        self._catalogue = catalogue

    async def execute(
        self,
        agent: FenceAgent,
        action: FenceAction,
        proxy: Candidate,
        *,
        limits: Limits,
        permitted: Callable[[], bool] = always,
    ) -> Reply:
        """
        Run the agent; return only when the execution is certainly over.

        Raises:
            ProxyError: The proxy could not run it; nothing reached the device.
            WithdrawnError: It was not *permitted* any more; nothing reached the device.
            ValueError: The agent's definition should not have been loaded.
        """
        if reason := dialect.forbidden_type(agent.type):
            raise ValueError(f"agent {agent.name!r}: {reason}")
        try:
            metadata = await self._described(agent, proxy, limits)
            program = [self._program(agent)]
            remote = proxy.source is not ProxySource.ENGINE
            switches = action is not FenceAction.STATUS
            command = announcing(program, switches=switches) if remote else told(program)
            completed = await self._transport(proxy).run(
                proxy,
                [*_limited(limits), *command],
                dialect.stdin_of(agent, action, metadata),
                over_s=limits.over_s,
                permitted=permitted,
                announces=remote,
                switches=switches,
            )
            return _reply(agent, action, proxy, completed, limit_s=limits.limit_s)
        except ProxyError as error:
            if error.result is ProxyResult.NOT_INSTALLED:
                self._catalogue.forget(proxy, agent.type)
            raise

    async def _described(
        self, agent: FenceAgent, proxy: Candidate, limits: Limits
    ) -> Metadata | None:
        """
        What the agent says of itself on *proxy*, or None where it does not.

        Raises:
            ProxyError: It is not there, or what is known of it is not enough to run it.
        """
        metadata = await self._catalogue.look_up(
            proxy, agent.type, lambda: self._ask(agent, proxy, limits)
        )
        if reason := dialect.unspeakable(agent, metadata):
            reason = f"fence_{agent.type} is not run on {proxy.name}: {reason}"
            raise ProxyError(ProxyResult.NOT_INSTALLED, reason)
        if metadata is not None:
            for option in dialect.unknown_options(agent, metadata):
                self._catalogue.tell_dropped(proxy, agent.type, option)
        return metadata

    async def _ask(self, agent: FenceAgent, proxy: Candidate, limits: Limits) -> Metadata:
        """
        Let the agent describe itself; it gets no options, so nothing reaches a device.

        Raises:
            MetadataError: It did not, or not in time.
            ProxyError: It is not there.
        """
        limits = replace(limits, limit_s=min(ASK_LIMIT_S, limits.limit_s))
        command = [*_limited(limits), self._program(agent), "-o", "metadata"]
        completed = await self._transport(proxy).run(
            proxy, command, b"", over_s=limits.limit_s + LATE_S
        )
        if completed.lost or completed.exit_code in _OUT_OF_TIME:
            raise MetadataError(f"it printed no metadata within {limits.limit_s:g} s")
        _check_started(agent, proxy, completed)
        if len(completed.stdout) >= OUTPUT_LIMIT:
            raise MetadataError(f"its metadata is larger than {OUTPUT_LIMIT // 1024} KiB")
        return parse(completed.stdout)

    def _transport(self, proxy: Candidate) -> Transport:
        return self._local if proxy.source is ProxySource.ENGINE else self._ssh

    def _program(self, agent: FenceAgent) -> str:
        return f"{self._agent_dir}/fence_{agent.type}"


def _limited(limits: Limits) -> list[str]:
    return ["timeout", "-k", f"{limits.kill_after_s:g}", f"{limits.limit_s:g}"]


def _check_started(agent: FenceAgent, proxy: Candidate, completed: Completed) -> None:
    stdout, stderr = _text(completed.stdout), _text(completed.stderr)
    if verdict.not_started(completed.exit_code, stdout, stderr):
        said = verdict.first_line(masked(stderr, _secrets(agent)))
        said = said or f"exit status {completed.exit_code}"
        reason = f"fence_{agent.type} cannot be run on {proxy.name}: {said}"
        raise ProxyError(ProxyResult.NOT_INSTALLED, reason)


def _reply(
    agent: FenceAgent,
    action: FenceAction,
    proxy: Candidate,
    completed: Completed,
    *,
    limit_s: float,
) -> Reply:
    stdout, stderr = _text(completed.stdout), _text(completed.stderr)
    if completed.lost:
        text = f"the execution on {proxy.name} was lost; what it did is unknown"
        return Reply(
            result=AgentResult.KILLED,
            tries=(Try(proxy=proxy.name, source=proxy.source, result=ProxyResult.LOST),),
            took_s=completed.took_s,
            text=text,
        )
    _check_started(agent, proxy, completed)
    result = verdict.classify(action, completed.exit_code, stdout, stderr)
    if result in (AgentResult.KILLED, AgentResult.TIMEOUT):
        # timeout(1) kills its whole process group, itself included, and repeats
        # the signal that ended the agent: only the time tells who sent it.
        in_time = completed.took_s < limit_s and completed.exit_code != _OUT_OF_TIME[0]
        result = AgentResult.KILLED if in_time else AgentResult.TIMEOUT
    power = PowerStatus.UNKNOWN
    if action is FenceAction.STATUS and result is AgentResult.OK:
        # A line that contradicts this one may be in what was dropped.
        if len(completed.stdout) >= OUTPUT_LIMIT:
            result = AgentResult.GARBAGE
        else:
            power = verdict.power_of(completed.exit_code, stdout)
    return Reply(
        result=result,
        power=power,
        tries=(Try(proxy=proxy.name, source=proxy.source, result=ProxyResult.OK),),
        exit_code=completed.exit_code,
        took_s=completed.took_s,
        text=_told(agent, result, stdout, stderr),
    )


def _told(agent: FenceAgent, result: AgentResult, stdout: str, stderr: str) -> str:
    """One line of what the agent said, without its secrets."""
    # The end of a full stream may hold half of a secret, which could not be recognised.
    stdout, stderr = (_whole_lines(text) for text in (stdout, stderr))
    if result is AgentResult.OK:
        return verdict.first_line(masked(stdout, _secrets(agent)))
    said = verdict.telling_line(masked(f"{stderr}\n{stdout}", _secrets(agent)))
    match result:
        case AgentResult.TIMEOUT:
            return f"ended by its time limit; {said or 'it said nothing'}"
        case AgentResult.KILLED:
            return f"ended by a signal; {said or 'it said nothing'}"
        case _:
            return said or "it said nothing"


def _secrets(agent: FenceAgent) -> list[str]:
    return [
        value.get_secret_value()
        for value in (agent.password, *agent.options.values())
        if value is not None and not isinstance(value, str)
    ]


def _whole_lines(text: str) -> str:
    if len(text) < OUTPUT_LIMIT // 4:  # a character takes at most four bytes
        return text
    return text.rpartition("\n")[0]


def _text(stream: bytes) -> str:
    return stream[:OUTPUT_LIMIT].decode(errors="replace")
