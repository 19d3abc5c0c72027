"""
Fence agents: one execution on one machine, from the order to what it proved.

``timeout(1)`` runs on the proxy itself, because closing a connection leaves
the remote process running: only that program ends it.  The options go to
stdin, never to argv, and what the agent says is shown without the secrets
that it may echo.
"""

from __future__ import annotations

from collections.abc import Callable

from pmwatchd.core import dialect, verdict
from pmwatchd.core.model import (
    AgentResult,
    Candidate,
    FenceAction,
    FenceAgent,
    Fencing,
    PowerStatus,
    ProxyResult,
    ProxySource,
    Reply,
    Try,
)
from pmwatchd.errors import ProxyError
from pmwatchd.ports import OUTPUT_LIMIT, Completed, Transport


class FenceAgents:
    """
    Executes ClusterLabs fence agents; a :class:`pmwatchd.ports.Agents`.

    Args:
        agent_dir: Where ``fence_<type>`` lies, here and on every proxy.
        fencing: The rules of now; a reload changes the limits.
        ssh: Runs programs on proxies.
        local: Runs programs here, for the proxy ``engine``.
    """

    def __init__(
        self,
        *,
        agent_dir: str,
        fencing: Callable[[], Fencing],
        ssh: Transport,
        local: Transport,
    ) -> None:
        self._agent_dir = agent_dir
        self._fencing = fencing
        self._ssh = ssh
        self._local = local

    async def execute(self, agent: FenceAgent, action: FenceAction, proxy: Candidate) -> Reply:
        """
        Run the agent; return only when the execution is certainly over.

        Raises:
            ProxyError: The proxy could not run it; nothing reached the device.
            ValueError: The agent's definition should not have been loaded.
        """
        if reason := dialect.forbidden_type(agent.type):
            raise ValueError(f"agent {agent.name!r}: {reason}")
        fencing = self._fencing()
        program = f"{self._agent_dir}/fence_{agent.type}"
        limits = ["timeout", "-k", f"{fencing.kill_after_s:g}", f"{fencing.limit_s(action):g}"]
        transport = self._local if proxy.source is ProxySource.ENGINE else self._ssh
        completed = await transport.run(
            proxy,
            [*limits, program],
            dialect.stdin_of(agent, action),
            over_s=fencing.over_s(action),
        )
        return _reply(agent, action, proxy, completed, limit_s=fencing.limit_s(action))


def _reply(
    agent: FenceAgent,
    action: FenceAction,
    proxy: Candidate,
    completed: Completed,
    *,
    limit_s: float,
) -> Reply:
    stdout = completed.stdout[:OUTPUT_LIMIT].decode(errors="replace")
    stderr = completed.stderr[:OUTPUT_LIMIT].decode(errors="replace")
    if completed.lost:
        text = f"the execution on {proxy.name} was lost; what it did is unknown"
        return Reply(
            result=AgentResult.KILLED,
            tries=(Try(proxy=proxy.name, source=proxy.source, result=ProxyResult.LOST),),
            took_s=completed.took_s,
            text=text,
        )
    if verdict.not_started(completed.exit_code, stdout, stderr):
        said = verdict.first_line(verdict.masked(stderr, _secrets(agent)))
        said = said or f"exit status {completed.exit_code}"
        reason = f"fence_{agent.type} cannot be run on {proxy.name}: {said}"
        raise ProxyError(ProxyResult.NOT_INSTALLED, reason)
    result = verdict.classify(action, completed.exit_code, stdout, stderr)
    if result is AgentResult.KILLED and completed.took_s >= limit_s:
        # timeout(1) kills its whole process group, itself included.
        result = AgentResult.TIMEOUT
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
        return verdict.first_line(verdict.masked(stdout, _secrets(agent)))
    said = verdict.telling_line(verdict.masked(f"{stderr}\n{stdout}", _secrets(agent)))
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
