"""What an execution is told as: each proxy, and what the agent said there."""

from __future__ import annotations

from pmwatchd.core import tell
from pmwatchd.core.events import AgentReplied
from pmwatchd.core.model import (
    AgentResult,
    FenceAction,
    PowerStatus,
    ProxyResult,
    ProxySource,
    Reply,
    Try,
)
from tests.core.scene import agent, host

NODE = host("node7", agent())


def tried(proxy: str, result: ProxyResult, answer: AgentResult | None, reason: str = "") -> Try:
    return Try(proxy=proxy, source=ProxySource.CLUSTER, result=result, answer=answer, reason=reason)


def told(*tries: Try, result: AgentResult, name: str = "bmc") -> list[tuple[str, object, object]]:
    reply = Reply(result=result, power=PowerStatus.ON, tries=tries)
    event = AgentReplied("node7", "op_1_1", 1, name, FenceAction.STATUS, reply)
    records = tell.reply(NODE, "op_1_1", event)
    return [(one.event, one.fields.get("proxy"), one.fields.get("result")) for one in records]


def test_every_proxy_of_a_walk_is_told_with_what_became_of_it() -> None:
    walked = told(
        tried("n1", ProxyResult.UNREACHABLE, None, "refused"),
        tried("n2", ProxyResult.OK, AgentResult.ERROR, "no such plug"),
        tried("n3", ProxyResult.OK, AgentResult.OK),
        result=AgentResult.OK,
    )

    assert walked == [
        ("fence.proxy_failed", "n1", "unreachable"),
        ("fence.agent_executed", "n2", "error"),
        ("fence.agent_executed", "n3", "ok"),
    ]


def test_a_lost_execution_is_told_as_the_proxys_failure_and_as_what_it_came_to() -> None:
    lost = told(tried("n1", ProxyResult.LOST, AgentResult.KILLED), result=AgentResult.KILLED)

    assert lost == [("fence.proxy_failed", "n1", "lost"), ("fence.agent_executed", "n1", "killed")]


def test_an_execution_before_a_withdrawal_is_told_as_well() -> None:
    withdrawn = told(
        tried("n1", ProxyResult.OK, AgentResult.ERROR, "no such plug"),
        result=AgentResult.WITHDRAWN,
    )

    assert withdrawn == [
        ("fence.agent_executed", "n1", "error"),
        ("fence.agent_executed", None, "withdrawn"),
    ]


def test_when_nobody_could_run_it_all_who_were_tried_are_named() -> None:
    nobody = told(
        tried("n1", ProxyResult.UNREACHABLE, None, "refused"),
        tried("n2", ProxyResult.HOST_KEY, None, "changed"),
        result=AgentResult.NO_PROXY,
    )

    assert nobody == [
        ("fence.proxy_failed", "n1", "unreachable"),
        ("fence.proxy_failed", "n2", "host_key"),
        ("fence.no_proxy", None, None),
    ]


def test_an_agent_that_the_definition_lacks_has_no_group() -> None:
    reply = Reply(result=AgentResult.OK, tries=(tried("n1", ProxyResult.OK, AgentResult.OK),))
    event = AgentReplied("node7", "op_1_1", 1, "old", FenceAction.OFF, reply)

    assert tell.reply(NODE, "op_1_1", event)[0].fields["group"] is None
