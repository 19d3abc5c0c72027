"""The unix socket and the listeners for metrics."""

from __future__ import annotations

import asyncio
import grp
import os
import pwd
import socket
import stat
from pathlib import Path

import pytest
from aiohttp import ClientSession, UnixConnector

from pmwatchd.api.server import serve, split_address
from pmwatchd.errors import CapabilityError
from tests.api.room import Room
from tests.observe.fleet import up


def own_group() -> str:
    return grp.getgrgid(os.getegid()).gr_name


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_the_socket_is_for_its_owner_and_its_group(tmp_path: Path) -> None:
    path, room = tmp_path / "api.sock", Room()
    async with serve(room.app, socket_path=path, socket_group=own_group()):
        assert mode(path) == 0o660
        assert path.stat().st_gid == os.getegid()

    assert not path.exists()
    assert room.told == []


async def test_without_the_group_the_socket_is_for_its_owner_alone_and_that_is_told(
    tmp_path: Path,
) -> None:
    path, room = tmp_path / "api.sock", Room()
    async with serve(room.app, socket_path=path, socket_group="no-such-group-here"):
        assert mode(path) == 0o600

    assert [record.event for record in room.told] == ["api.socket_restricted"]
    assert "no-such-group-here" in str(room.told[0].fields["reason"])


async def test_the_kernel_names_the_caller(tmp_path: Path) -> None:
    path, room = tmp_path / "api.sock", Room()
    room.desk.views = [up("node1")]
    async with (
        serve(room.app, socket_path=path, socket_group=own_group()),
        ClientSession(connector=UnixConnector(str(path))) as client,
        client.delete("http://localhost/api/v1/hosts/node1/maintenance") as answer,
    ):
        assert answer.status == 200

    user = pwd.getpwuid(os.geteuid()).pw_name
    assert room.desk.asked[0].by == user
    assert room.told[0].fields["by"] == user


async def test_a_socket_that_a_killed_daemon_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    async with (
        serve(Room().app, socket_path=path, socket_group=own_group()),
        ClientSession(connector=UnixConnector(str(path))) as client,
        client.get("http://localhost/readyz") as answer,
    ):
        assert answer.status == 200


async def test_a_socket_that_answers_is_left_to_its_daemon(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    async with serve(Room().app, socket_path=path, socket_group=own_group()):
        with pytest.raises(CapabilityError, match="another daemon answers"):
            async with serve(Room().app, socket_path=path):
                pass

        assert path.exists()


async def test_a_file_in_the_place_of_the_socket_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    path.write_text("precious")
    with pytest.raises(CapabilityError, match="is no socket"):
        async with serve(Room().app, socket_path=path):
            pass

    assert path.read_text() == "precious"


async def test_a_missing_folder_is_said_clearly(tmp_path: Path) -> None:
    with pytest.raises(CapabilityError, match="does not exist"):
        async with serve(Room().app, socket_path=tmp_path / "run" / "api.sock"):
            pass


async def test_a_path_that_is_too_long_is_said_clearly(tmp_path: Path) -> None:
    with pytest.raises(CapabilityError, match="108"):
        async with serve(Room().app, socket_path=tmp_path / ("x" * 200)):
            pass


async def test_over_tcp_there_are_metrics_and_health_and_nothing_else(tmp_path: Path) -> None:
    path, room = tmp_path / "api.sock", Room()
    async with (
        serve(room.app, socket_path=path, metrics_listen=["127.0.0.1:0"]) as listening,
        ClientSession() as client,
    ):
        ((host, port),) = listening.tcp
        for place, status in (
            ("/metrics", 200),
            ("/healthz", 200),
            ("/readyz", 200),
            ("/api/v1/hosts", 404),
            ("/api/v1/status", 404),
        ):
            async with client.get(f"http://{host}:{port}{place}") as answer:
                assert answer.status == status, place


async def test_a_client_that_speaks_no_http_fills_no_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, room = tmp_path / "api.sock", Room()
    async with serve(room.app, socket_path=path, metrics_listen=["127.0.0.1:0"]) as listening:
        reader, writer = await asyncio.open_connection(*listening.tcp[0])
        writer.write(b"\x16\x03\x01 hello\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        await writer.wait_closed()

    assert b" 400 " in answer
    assert caplog.records == []


async def test_an_address_that_is_taken_is_said_clearly_and_nothing_is_left(
    tmp_path: Path,
) -> None:
    path = tmp_path / "api.sock"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(CapabilityError, match=r"metrics\.listen: 127"):
            async with serve(Room().app, socket_path=path, metrics_listen=[address]):
                pass

    assert not path.exists()


async def test_a_listener_of_events_does_not_delay_the_stop(tmp_path: Path) -> None:
    path, room = tmp_path / "api.sock", Room()
    async with ClientSession(connector=UnixConnector(str(path))) as client:
        async with serve(room.app, socket_path=path, socket_group=own_group()):
            answer = await client.get("http://localhost/api/v1/events")
            assert await answer.content.readline() == b": begun\n"

        assert await answer.content.read() == b"\n"
    assert len(room.stream) == 0


def test_an_address_is_a_host_and_a_port() -> None:
    assert split_address("127.0.0.1:9784") == ("127.0.0.1", 9784)
    assert split_address("[::1]:9784") == ("::1", 9784)


@pytest.mark.parametrize(
    "text", ["", "9784", ":9784", "127.0.0.1", "::1:9784", "[::1]", "h:port", "h:70000"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(CapabilityError, match=r"metrics\.listen"):
        split_address(text)
