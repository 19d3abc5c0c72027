"""The command line as a process of its own: signals, terminals, completion, what it imports."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import pytest

from pmwatchd.core.events import PowerRequested
from pmwatchd.core.model import Outcome
from pmwatchd.core.orders import Accepted
from pmwatchd.core.views import KeeperView, SiteView
from tests.cli.scripted import ScriptedDaemon
from tests.kit.waiting import eventually

CTRL_C, CTRL_D = "\x03", "\x04"
PMWATCHD = [sys.executable, "-m", "pmwatchd"]


@contextmanager
def started(*words: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*PMWATCHD, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def sequence(process: subprocess.Popen[str]) -> int:
    """Wait for the next record."""
    assert process.stdout is not None
    return int(json.loads(process.stdout.readline())["sequence"])


def on_a_terminal(*words: str, typed: str) -> tuple[int, str]:
    """Run a command on a terminal, type an answer, and return its code and what was shown."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*PMWATCHD, *words], stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while not any(ask in shown for ask in (b"[y/N]", b"name:")) and (
            part := os.read(ours, 4096)
        ):
            shown += part
        if typed == CTRL_C:  # the terminal is not the controlling one, so it sends no signal
            _interrupt(process)
        else:
            os.write(ours, typed.encode())
        while part := _read(ours):
            shown += part
        return process.wait(timeout=20), shown.decode()
    finally:
        os.close(ours)
        process.kill()
        process.wait()


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    """
    Press Ctrl-C as a person does: again, when nothing happens.

    Python sees a signal that falls between its last look and the read of the
    answer only when the next one interrupts that read.
    """
    for _ in range(20):
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=1)
            return


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # a terminal ends with an error once nobody has it open
        return b""


def test_events_are_followed_without_losing_or_repeating_any(daemon: ScriptedDaemon) -> None:
    daemon.tell(1, "watch.grace_began", host="node1")
    daemon.tell(2, "watch.grace_began", host="node2")

    with started(
        "events", "--follow", "--since", "2h", "--host", "node1", "--json", "--url", daemon.url
    ) as following:
        assert sequence(following) == 1
        daemon.tell(3, "watch.answered", host="node2")
        daemon.tell(4, "watch.answered", host="node1")
        assert sequence(following) == 4

        following.send_signal(signal.SIGINT)
        assert following.wait(timeout=10) == 130


def test_events_are_followed_across_a_restart_of_the_daemon(daemon: ScriptedDaemon) -> None:
    with started("events", "--follow", "--json", "--url", daemon.url) as following:
        eventually(lambda: daemon.followers() == 1, within_s=10, what="somebody follows")
        daemon.tell(1, "watch.grace_began", host="node1")
        assert sequence(following) == 1

        daemon.stop()
        again = ScriptedDaemon(daemon.socket, daemon.script)
        again.script.rows.append(
            {"sequence": 2, "at": daemon.script.wall_of(0), "event": "daemon.started", "host": None}
        )
        again.start()
        try:
            assert sequence(following) == 2
        finally:
            again.stop()


def test_ctrl_c_leaves_the_operation_running_and_says_so_with_its_id(
    daemon: ScriptedDaemon,
) -> None:
    daemon.script.outcomes["node1"] = None
    words = ["power", "off", "node1", "--yes", "--url", daemon.url]

    with started(*words) as waiting:
        eventually(lambda: daemon.script.looked > 1, within_s=10, what="the client waits")
        waiting.send_signal(signal.SIGINT)
        out, err = waiting.communicate(timeout=10)

    assert waiting.returncode == 130
    assert "op_node1" in err
    assert "still runs" in out
    assert [type(event) for event in daemon.script.asked] == [PowerRequested]


def test_on_a_terminal_switching_power_asks_first_and_says_what_will_happen(
    daemon: ScriptedDaemon,
) -> None:
    words = ["power", "off", "node1", "--url", daemon.url]

    code, shown = on_a_terminal(*words, typed="n\n")

    assert code == 1
    for word in ("node1", "10.0.0.1", "up", "power is cut", "Nothing was done"):
        assert word in shown
    assert daemon.script.asked == []


def test_on_a_terminal_a_yes_goes_ahead_and_the_steps_are_shown(daemon: ScriptedDaemon) -> None:
    daemon.script.outcomes["node1"] = Outcome.DONE
    daemon.tell(
        7,
        "fence.agent_executed",
        host="node1",
        operation="op_node1",
        agent="bmc",
        proxy="node2",
        action="off",
        result="ok",
    )

    code, shown = on_a_terminal("power", "restart", "node1", "--url", daemon.url, typed="y\n")

    assert code == 0
    assert "bmc: off ok, by node2" in shown
    assert "proven off and on again" in shown


@pytest.mark.parametrize("answer", [CTRL_C, CTRL_D])
def test_leaving_the_question_does_nothing(daemon: ScriptedDaemon, answer: str) -> None:
    code, shown = on_a_terminal("power", "off", "node1", "--url", daemon.url, typed=answer)

    assert code == 130
    assert "Nothing was done" in shown
    assert daemon.script.asked == []


def completions(words: str, **environment: str) -> list[str]:
    said = subprocess.run(
        PMWATCHD,
        env=os.environ
        | {
            "_PMWATCHD_COMPLETE": "bash_complete",
            "COMP_WORDS": f"pmwatchd {words}",
            "COMP_CWORD": str(len(words.split(" "))),
        }
        | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.stderr == ""
    return [line.partition(",")[2] for line in said.stdout.splitlines() if line]


def test_the_shell_completes_verbs_and_the_names_of_hosts(daemon: ScriptedDaemon) -> None:
    assert completions("ma") == ["maintenance"]
    assert completions("power re") == ["restart"]
    assert completions("power off no", PMWATCHD_URL=daemon.url) == ["node1", "node2"]
    assert completions(f"show --url {daemon.url} node2") == ["node2"]
    assert completions("explain no", PMWATCHD_URL=daemon.url) == ["node1", "node2"]


def test_without_a_daemon_no_names_are_completed(tmp_path: Path) -> None:
    assert completions("power off no", PMWATCHD_URL=f"unix:{tmp_path}/none") == []


def test_a_client_command_imports_none_of_the_daemons_libraries() -> None:
    heavy = ("aiohttp", "asyncssh", "pydantic", "prometheus_client", "structlog", "asyncio")
    program = (
        "import sys; from pmwatchd.cli import main\n"
        "try: main(['hosts', '--url', 'unix:/nonexistent'])\n"
        f"except SystemExit: print([name for name in {heavy!r} if name in sys.modules])"
    )

    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert said.stdout == "[]\n"


def test_the_version_is_shown() -> None:
    said = subprocess.run([*PMWATCHD, "--version"], capture_output=True, text=True, check=True)

    assert said.stdout == f"pmwatchd {version('pmwatchd')}\n"


def test_verbs_that_are_not_built_yet_do_not_exist() -> None:
    said = subprocess.run([*PMWATCHD, "plan", "node1"], capture_output=True, check=False)

    assert said.returncode == 2


def test_a_pipe_that_is_closed_ends_the_command_quietly(daemon: ScriptedDaemon) -> None:
    with started("events", "--follow", "--json", "--url", daemon.url) as following:
        eventually(lambda: daemon.followers() == 1, within_s=10, what="somebody follows")
        assert following.stdout is not None
        assert following.stderr is not None
        following.stdout.close()
        daemon.tell(1, "watch.grace_began", host="node1")
        daemon.tell(2, "watch.answered", host="node1")

        assert following.stderr.read() == ""
        following.stdout = None
        assert following.wait(timeout=10) == 1


@pytest.mark.parametrize(("typed", "code"), [("node1\n", 0), ("node2\n", 1)])
def test_a_persons_word_for_an_off_wants_the_name_typed(
    daemon: ScriptedDaemon, typed: str, code: int
) -> None:
    daemon.script.answers["node1"] = Accepted(operation="op_9")
    words = ("confirm-off", "node1", "--reason", "cable is out", "--url", daemon.url)
    ended, shown = on_a_terminal(*words, typed=typed)

    assert (ended, "type its name" in shown) == (code, True)
    assert len(daemon.script.asked) == (code == 0)


@pytest.mark.parametrize(("typed", "code", "events"), [("y\n", 0, 1), ("n\n", 1, 0)])
def test_on_a_terminal_resume_asks_first_and_shows_who_paused_and_why(
    daemon: ScriptedDaemon, typed: str, code: int, events: int
) -> None:
    paused = KeeperView(by="ann", reason="switch upgrade", until_at=1800.0)
    daemon.script.said = SiteView(paused=paused)

    ended, shown = on_a_terminal("resume", "--url", daemon.url, typed=typed)

    assert ended == code
    assert "by ann: switch upgrade" in shown
    assert "Continue?" in shown
    assert len(daemon.script.asked) == events
