"""What is known from what agents say: behaviour.md sections 4 and 6."""

from __future__ import annotations

import itertools
import time

import pytest

from pmwatchd.core.model import AgentResult, FenceAction, PowerStatus, ProxyResult, ProxySource, Try
from pmwatchd.core.verdict import (
    TEXT_LIMIT,
    classify,
    first_line,
    given_up,
    merge,
    not_started,
    power_of,
    telling_line,
    walks_on,
)

ON, OFF, UNKNOWN = PowerStatus.ON, PowerStatus.OFF, PowerStatus.UNKNOWN
ERROR_LINE = "2026-11-21 09:32:49,558 ERROR: "


def test_off_is_proven_by_exit_2_and_its_line() -> None:
    assert power_of(2, "Status: OFF\n") is OFF
    assert power_of(2, "warning\r\nStatus: OFF\r\n") is OFF


def test_on_is_proven_by_exit_0_and_its_line() -> None:
    assert power_of(0, "Status: ON\n") is ON


@pytest.mark.parametrize(
    ("exit_code", "stdout"),
    [
        (2, ""),
        (2, "python3: can't open file '/usr/sbin/fence_x'"),
        (2, "Status: ON\n"),
        (0, "Status: OFF\n"),
        (0, ""),
        (0, "Status: ON\nStatus: OFF\n"),
        (2, "Status: OFF\nStatus: ON\n"),
        (2, "Status: OFF\n  status: on\n"),
        (2, "Status: OFFLINE\n"),
        (2, "Status: OFF?\n"),
        (2, "The Status: OFF\n"),
        (2, "Status:OFF\n"),
        (1, "Status: OFF\n"),
        (None, "Status: OFF\n"),
        (124, "Status: ON\n"),
    ],
)
def test_everything_else_proves_nothing(exit_code: int | None, stdout: str) -> None:
    assert power_of(exit_code, stdout) is UNKNOWN


@pytest.mark.parametrize(
    ("action", "exit_code", "stdout", "result"),
    [
        (FenceAction.STATUS, 0, "Status: ON\n", AgentResult.OK),
        (FenceAction.STATUS, 2, "Status: OFF\n", AgentResult.OK),
        (FenceAction.STATUS, 0, "", AgentResult.GARBAGE),
        (FenceAction.STATUS, 0, "Status: OFF\n", AgentResult.GARBAGE),
        (FenceAction.STATUS, 2, "", AgentResult.GARBAGE),
        (FenceAction.OFF, 0, "Success: Powered OFF\n", AgentResult.OK),
        (FenceAction.ON, 0, "Success: Already ON\n", AgentResult.OK),
        (FenceAction.OFF, 2, "Status: OFF\n", AgentResult.GARBAGE),
        (FenceAction.OFF, 1, "", AgentResult.ERROR),
        (FenceAction.OFF, 3, "", AgentResult.GARBAGE),
        (FenceAction.OFF, 255, "", AgentResult.GARBAGE),
        (FenceAction.OFF, 124, "", AgentResult.TIMEOUT),
        (FenceAction.OFF, 137, "", AgentResult.TIMEOUT),
        (FenceAction.STATUS, 124, "Status: ON\n", AgentResult.TIMEOUT),
        (FenceAction.OFF, 143, "", AgentResult.KILLED),
        (FenceAction.OFF, None, "Success: Powered OFF\n", AgentResult.KILLED),
    ],
)
def test_an_exit_status_is_classified(
    action: FenceAction, exit_code: int | None, stdout: str, result: AgentResult
) -> None:
    assert classify(action, exit_code, stdout, "") is result


@pytest.mark.parametrize(
    ("stderr", "result"),
    [
        ("Failed: Unrecognised action 'diag'", AgentResult.UNSUPPORTED),
        ("Action 'list' is not supported in this fence agent", AgentResult.UNSUPPORTED),
        ("Connection timed out", AgentResult.UNREACHABLE),
        ("Connection lost", AgentResult.UNREACHABLE),
        ("Max retries exceeded with url: /redfish/v1/Systems/1", AgentResult.UNREACHABLE),
        ("[Errno 113] No route to host", AgentResult.UNREACHABLE),
        ("Could not resolve host: bmc", AgentResult.UNREACHABLE),
        ("Invalid username", AgentResult.AUTH_ERROR),
        ("Permission denied (publickey,password).", AgentResult.AUTH_ERROR),
        ("Failed: Unauthorized: 401", AgentResult.AUTH_ERROR),
        ("HTTP error 401.", AgentResult.AUTH_ERROR),
        ("/srv/site-401/fence_x: 4: exec: no-such-python: not found", AgentResult.ERROR),
        ("RAKP 2 HMAC is invalid", AgentResult.AUTH_ERROR),
        (
            "Failed: The user does not have the correct privileges to do the requested action.",
            AgentResult.AUTH_ERROR,
        ),
        # These texts are given for a wrong password and for a silent device alike.
        ("Unable to connect/login to fencing device", AgentResult.ERROR),
        (
            "Failed: Unable to obtain correct plug status or plug is not available",
            AgentResult.ERROR,
        ),
        ("Failed: You have to set login password", AgentResult.ERROR),
        ("Parse error: Ignoring unknown option 'password=***'", AgentResult.ERROR),
        ("", AgentResult.ERROR),
    ],
)
def test_a_reason_is_believed_only_when_the_text_names_it(stderr: str, result: AgentResult) -> None:
    for action in FenceAction:
        assert classify(action, 1, "", f"{ERROR_LINE}{stderr}\n") is result


def test_a_refused_password_is_known_before_anything_else() -> None:
    stderr = "Connection closed\nPermission denied, please try again.\n"

    assert classify(FenceAction.STATUS, 1, "", stderr) is AgentResult.AUTH_ERROR


def test_a_warning_beside_success_changes_nothing() -> None:
    stderr = "DeprecationWarning: permission denied is deprecated\n"

    assert classify(FenceAction.STATUS, 0, "Status: ON\n", stderr) is AgentResult.OK


def test_the_walk_goes_on_unless_it_is_settled_uncertain_or_an_account_could_be_locked() -> None:
    stops = {result for result in AgentResult if not walks_on(result)}

    assert stops == {
        AgentResult.WITHDRAWN,
        AgentResult.OK,
        AgentResult.AUTH_ERROR,
        AgentResult.TIMEOUT,
        AgentResult.KILLED,
    }


def test_no_reading_is_unknown() -> None:
    assert merge([]) is UNKNOWN


@pytest.mark.parametrize("size", [1, 2, 3])
def test_any_on_is_on_all_off_is_off_and_everything_else_is_unknown(size: int) -> None:
    for statuses in itertools.product(PowerStatus, repeat=size):
        expected = ON if ON in statuses else OFF if set(statuses) == {OFF} else UNKNOWN
        assert merge(statuses) is expected


@pytest.mark.parametrize(
    "stderr",
    [
        "timeout: failed to run command '/usr/sbin/fence_x': No such file or directory",
        "sh: 1: timeout: not found",
        "zsh: command not found: timeout",
        "bash: line 1: timeout: command not found",
        "/usr/bin/env: 'python3': No such file or directory",
        "/usr/sbin/fence_x: 1: exec: /usr/sbin/fence_x: not found",
        "/usr/sbin/fence_x: line 1: /usr/sbin/fence_x: No such file or directory",
        "/usr/sbin/fence_x: exec: line 0: /usr/sbin/fence_x: not found",
        "",
    ],
)
def test_a_missing_program_is_recognised(stderr: str) -> None:
    assert not_started(127, "", stderr)
    assert not_started(126, "\n", stderr)


@pytest.mark.parametrize(
    ("exit_code", "stdout", "stderr"),
    [
        (127, "Success: Powered OFF\n", ""),
        (127, "", "/usr/sbin/fence_x: line 9: logger: command not found"),
        (127, "", "/usr/sbin/fence_x: 9: exec: /usr/sbin/fence_xy: not found"),
        (1, "", "timeout: failed to run command"),
        (None, "", ""),
    ],
)
def test_an_agent_that_may_have_run_is_not_called_missing(
    exit_code: int | None, stdout: str, stderr: str
) -> None:
    assert not not_started(exit_code, stdout, stderr)


def test_a_text_becomes_one_limited_line_without_control_characters() -> None:
    assert first_line("\n \n  first\tline\x1b[31m \nsecond") == "first�line�[31m"
    assert first_line("") == ""
    assert len(first_line("x" * 1000)) == TEXT_LIMIT
    assert first_line("x" * TEXT_LIMIT) == "x" * TEXT_LIMIT


def test_the_line_that_names_the_error_is_shown_before_warnings() -> None:
    text = (
        "/usr/sbin/fence_ipmilan:5: DeprecationWarning: 'pipes' is deprecated\n"
        "  from pipes import quote\n"
        f"{ERROR_LINE}Connection timed out\n\n"
    )

    assert telling_line(text) == "ERROR: Connection timed out"
    assert (
        telling_line("Traceback (most recent call last):\nx.y.OddError: why") == "x.y.OddError: why"
    )
    assert telling_line("nothing special\n") == "nothing special"


@pytest.mark.parametrize("word", ["Exception", "Exception.", "Error", "a.", "action x", "status: "])
@pytest.mark.parametrize("end", ["", "\n", ":"])
def test_whatever_an_agent_prints_is_read_in_no_time(word: str, end: str) -> None:
    text = (word * 65_536)[:65_536] + end
    began_at = time.process_time()
    classify(FenceAction.OFF, 1, text, text)
    not_started(127, "", text)
    telling_line(f"{text}\n{text}")

    assert time.process_time() - began_at < 0.5


@pytest.mark.parametrize(
    ("tries", "given"),
    [
        ([], False),
        ([(ProxySource.CLUSTER, AgentResult.UNREACHABLE)], False),
        ([(ProxySource.CLUSTER, AgentResult.UNREACHABLE)] * 2, False),
        (
            [(ProxySource.CLUSTER, AgentResult.UNREACHABLE), (ProxySource.DC, AgentResult.ERROR)],
            False,
        ),
        (
            [
                (ProxySource.CLUSTER, AgentResult.UNREACHABLE),
                (ProxySource.DC, AgentResult.UNREACHABLE),
            ],
            True,
        ),
    ],
)
def test_two_sources_that_cannot_reach_a_device_are_enough(
    tries: list[tuple[ProxySource, AgentResult]],
    given: bool,  # noqa: FBT001
) -> None:
    made = [
        Try(proxy="n", source=source, result=ProxyResult.OK, answer=answer)
        for source, answer in tries
    ]

    assert given_up(made) is given
