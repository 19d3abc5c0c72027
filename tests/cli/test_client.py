"""What goes wrong between the command line and the daemon."""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pmwatchd.cli import main
from pmwatchd.cli.client import worst
from tests.cli.scripted import Run, ScriptedDaemon


def invoke(*words: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, list(words), env=env)


def answering(path: Path, answer: bytes) -> socket.socket:
    """Listen and answer whoever comes with these bytes."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        caller, _ = listener.accept()
        with caller:
            caller.recv(65536)
            caller.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    return listener


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("hosts", "--json"),
        ("show", "node1"),
        ("history",),
        ("events",),
        ("events", "--follow"),
        ("power", "status", "node1"),
        ("power", "off", "node1", "--yes"),
        ("maintenance", "end", "node1"),
        ("reload",),
    ],
)
def test_a_daemon_that_is_not_running_is_unreachable_and_the_sentence_says_what_to_do(
    place: Path, words: tuple[str, ...]
) -> None:
    said = invoke(*words, "--url", f"unix:{place}/api.sock")

    assert said.exit_code == 3
    assert f"{place}/api.sock" in said.stderr
    assert "systemctl status pmwatchd" in said.stderr


def test_a_socket_that_nobody_listens_on_any_more_is_the_same(place: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(place / "api.sock"))
    left.close()

    assert invoke("hosts", "--url", f"unix:{place}/api.sock").exit_code == 3


def test_the_url_is_taken_from_the_environment_before_the_verb_and_after_it(
    daemon: ScriptedDaemon,
) -> None:
    nowhere = "unix:/nonexistent/api.sock"

    assert invoke("hosts", env={"PMWATCHD_URL": daemon.url}).exit_code == 0
    assert invoke("--url", daemon.url, "hosts", env={"PMWATCHD_URL": nowhere}).exit_code == 0
    assert invoke("--url", nowhere, "hosts", "--url", daemon.url).exit_code == 0
    assert invoke("hosts", "--url", daemon.url.replace("unix:", "unix://")).exit_code == 0


@pytest.mark.parametrize(
    "url", ["https://fence.example.org:9783", "http://localhost", "/run/pmwatchd/api.sock", "unix:"]
)
def test_any_other_url_is_a_usage_error_that_says_what_is_possible(url: str) -> None:
    said = invoke("hosts", "--url", url)

    assert said.exit_code == 2
    assert "unix:PATH" in said.stderr


def test_something_else_on_the_socket_is_told_from_the_daemon(place: Path) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    with answering(place / "api.sock", answer):
        said = invoke("hosts", "--url", f"unix:{place}/api.sock")

    assert said.exit_code == 3
    assert "not pmwatchd" in said.stderr


def test_a_connection_that_breaks_says_that_the_command_may_have_arrived(place: Path) -> None:
    with answering(place / "api.sock", b""):
        said = invoke("power", "cancel", "node1", "--url", f"unix:{place}/api.sock")

    assert said.exit_code == 3
    assert "may still have been done" in said.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open every socket")
def test_a_socket_that_is_not_ours_to_open_is_a_refusal(daemon: ScriptedDaemon) -> None:
    daemon.socket.chmod(0)

    said = invoke("hosts", "--url", daemon.url)

    assert said.exit_code == 4
    assert "group" in said.stderr


def test_with_json_an_error_is_one_document_too(run: Run) -> None:
    said = run("show", "nodeX", "--json")

    assert said.code == 4
    assert said.document["type"] == "unknown-host"
    assert said.document["exit_code"] == 4


@pytest.mark.parametrize(
    ("codes", "gravest"),
    [
        ([], 0),
        ([0, 0], 0),
        ([0, 5], 5),
        ([5, 6], 6),
        ([6, 4, 5], 4),
        ([4, 1, 0], 1),
        ([1, 3, 4], 3),
    ],
)
def test_of_several_exit_codes_the_gravest_wins(codes: list[int], gravest: int) -> None:
    assert worst(codes) == gravest


@pytest.mark.parametrize("words", [("status",), ("power", "status", "node1")])
def test_an_error_of_the_client_itself_has_the_shape_of_the_daemons(
    place: Path, words: tuple[str, ...]
) -> None:
    result = CliRunner().invoke(main, [*words, "--json", "--url", f"unix:{place}/nobody"])

    document = json.loads(result.stdout)
    assert (document["type"], document["exit_code"]) == ("daemon-unreachable", 3)
    assert "not running" in document["detail"]
