"""
From what agents say to what is known: many readings, one power status.

Exit codes prove nothing: a missing interpreter exits 2 as well, which is what
an agent answers for *off*.  A reading counts only when the exit status and
the line on stdout agree.  Agents flatten every failure to exit status 1 and
name the reason, if at all, in a text for people; a reason is believed only
when that text names it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pmwatchd.core.model import AgentResult, FenceAction, Host, PowerStatus, Switches, Try

TEXT_LIMIT = 300

_TIMED_OUT = (124, 137)  # what timeout(1) exits with after TERM, and after KILL
_SIGNALS = range(129, 193)  # 128 + signal number

# The first that matches wins.  "Unable to connect/login" names neither a wrong
# password nor a silent device, so it stays a plain error.
_REASONS = (
    (
        AgentResult.AUTH_ERROR,
        re.compile(
            r"unable to authenticate|authentication (failed|failure|error)|failed to authenticate"
            r"|(invalid|incorrect|wrong|bad|unknown) "
            r"(user ?name|user\b|password|passphrase|credentials|login)"
            r"|(password|login|user ?name|credentials) (is |are )?(incorrect|invalid)"
            r"|(login|logon) (failed|denied)|permission denied|access denied"
            r"|unauthori[sz]ed|(?<![\w./-])401(?![\w/-])"  # a number of its own, in no path
            r"|insufficient privilege|does not have the correct privileges"
            r"|rakp 2 (hmac|message) (is invalid|indicates an error)"
            r"|incorrect (access key|region\.? or secret)",
            re.IGNORECASE,
        ),
    ),
    (
        AgentResult.UNSUPPORTED,
        re.compile(
            r"unrecogni[sz]ed action|invalid action|unsupported action"
            r"|action ['\"\w-]+ is not supported|no available api configured for action",
            re.IGNORECASE,
        ),
    ),
    (
        AgentResult.UNREACHABLE,
        re.compile(
            r"connection (timed out|refused|lost|reset|closed)|timed out after|operation timed out"
            r"|no route to host|network is unreachable|host is (down|unreachable)"
            r"|could ?n[o']t resolve|could not resolve|name or service not known"
            r"|failed to connect|unable to connect to |unable to establish|no response from"
            r"|max retries exceeded",
            re.IGNORECASE,
        ),
    ),
)
_TELLING = re.compile(
    r"\b(ERROR|CRITICAL|FATAL)\b|^(Failed|Error)\b|: error:"
    # with limits, or a line that only repeats such words would take minutes
    r"|^[\w.]{0,120}(Error|Exception\w{0,40}):"
)
_MISSING = re.compile(
    r"(^|[\s/])(timeout|env): |command not found: timeout"
    # what the shell says that was to become the program: its own name is the program's
    r"|^(?P<program>\S+): (exec: )?(line )?\d+: (exec: )?(?P=program): ",
    re.MULTILINE,
)
_LOG_PREFIX = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ?")


def power_of(exit_code: int | None, stdout: str) -> PowerStatus:
    """What an answer to ``status`` proves: the exit status and every status line agree."""
    lines = (line.strip() for line in stdout.split("\n"))
    said = {line for line in lines if line.lower().startswith("status:")}
    if exit_code == 0 and said == {"Status: ON"}:
        return PowerStatus.ON
    if exit_code == 2 and said == {"Status: OFF"}:  # noqa: PLR2004 - the agents' contract: off
        return PowerStatus.OFF
    return PowerStatus.UNKNOWN


def classify(action: FenceAction, exit_code: int | None, stdout: str, stderr: str) -> AgentResult:
    """
    How an execution ended; *exit_code* None: it was lost or ended by a signal.

    ``ok`` says that the agent reported success, never that the power is as wanted.
    """
    if exit_code is None:
        return AgentResult.KILLED
    if exit_code in _TIMED_OUT:
        return AgentResult.TIMEOUT
    if exit_code in _SIGNALS:
        return AgentResult.KILLED
    if action is FenceAction.STATUS:
        if power_of(exit_code, stdout) is not PowerStatus.UNKNOWN:
            return AgentResult.OK
    elif exit_code == 0:
        return AgentResult.OK
    if exit_code == 0:
        return AgentResult.GARBAGE
    text = f"{stderr}\n{stdout}"
    for result, pattern in _REASONS:
        if pattern.search(text):
            return result
    return AgentResult.ERROR if exit_code == 1 else AgentResult.GARBAGE


def walks_on(result: AgentResult) -> bool:
    """
    Whether the next proxy is asked after this result.

    A proxy that ran the agent may not reach the device, another may.  Not
    after a refused password, which would lock the account, and not after an
    unknown outcome, which only a status can resolve.
    """
    return result in (
        AgentResult.ERROR,
        AgentResult.UNREACHABLE,
        AgentResult.UNSUPPORTED,
        AgentResult.GARBAGE,
        AgentResult.NO_PROXY,
    )


def merge(statuses: Sequence[PowerStatus]) -> PowerStatus:
    """One status of a group: any on is on, all off is off, everything else is unknown."""
    if PowerStatus.ON in statuses:
        return PowerStatus.ON
    if statuses and all(status is PowerStatus.OFF for status in statuses):
        return PowerStatus.OFF
    return PowerStatus.UNKNOWN


def not_started(exit_code: int | None, stdout: str, stderr: str) -> bool:
    """
    Whether the agent cannot have run: its program, interpreter or ``timeout`` is missing.

    An agent that itself ends with 126 or 127 after it has said something may
    have reached its device; that is not this case.
    """
    if exit_code not in (126, 127) or stdout.strip():
        return False
    return not stderr.strip() or bool(_MISSING.search(stderr))


def first_line(text: str) -> str:
    """The first line that says anything, limited, control characters replaced."""
    for line in text.splitlines():
        if said := line.strip():
            shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in said)
            return shown if len(shown) <= TEXT_LIMIT else f"{shown[: TEXT_LIMIT - 1]}…"
    return ""


def telling_line(text: str) -> str:
    """The line that names the error, or else the first: agents print warnings before it."""
    lines = [_LOG_PREFIX.sub("", line.strip()) for line in text.splitlines()]
    return first_line("\n".join([*filter(_TELLING.search, lines), *lines]))


def given_up(tries: Sequence[Try]) -> bool:
    """Whether two proxies of different sources agree that a device cannot be reached."""
    sources = {one.source for one in tries if one.answer is AgentResult.UNREACHABLE}
    return len(sources) > 1


def of_booting(host: Host, power: Mapping[str, PowerStatus]) -> PowerStatus:
    """Judge a host that was powered on: feeds say little, where its chassis can be read."""
    agents = host.power_management.agents
    chassis = [power[agent.name] for agent in agents if agent.switches is Switches.CHASSIS]
    merged = merge([one for one in chassis if one is not PowerStatus.UNKNOWN])
    return of_groups(host, power) if merged is PowerStatus.UNKNOWN else merged


def of_groups(host: Host, power: Mapping[str, PowerStatus]) -> PowerStatus:
    """Judge a whole host as an operation would: the first group that can be read decides."""
    merged = (merge([power[agent.name] for agent in group]) for group in host.groups)
    return next((one for one in merged if one is not PowerStatus.UNKNOWN), PowerStatus.UNKNOWN)
