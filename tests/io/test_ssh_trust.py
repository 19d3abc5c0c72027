"""Our key and the keys of proxies are read beside the loop, and again when they change."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from pmwatchd.core.model import ProxyResult
from pmwatchd.errors import ProxyError
from pmwatchd.io.ssh import SshOptions
from pmwatchd.io.ssh.trust import Trust
from tests.kit.parts import needs
from tests.kit.proxy import Proxy, make_key
from tests.kit.ssh import Build, candidate

pytestmark = needs("sshd", "ssh-keygen")


async def test_a_file_that_is_slow_to_read_does_not_hold_the_loop(
    proxy: Proxy, transport_with: Build, tmp_path: Path
) -> None:
    slow = tmp_path / "slow_hosts"
    os.mkfifo(slow)
    goes_on, waited = threading.Event(), []

    def write() -> None:
        waited.append(goes_on.wait(timeout=5.0))
        slow.write_text(proxy.known_hosts())

    writer = threading.Thread(target=write)
    writer.start()
    transport = transport_with(known_hosts=slow)
    running = asyncio.create_task(transport.run(candidate(proxy), ["true"], b"", over_s=9.0))
    # Only after the task has begun to read.
    asyncio.get_running_loop().call_later(0.2, goes_on.set)

    completed = await running

    writer.join()
    assert completed.exit_code == 0
    assert waited == [True]


async def test_what_did_not_change_is_read_once_and_every_connection_has_pairs_of_its_own(
    ssh_options: SshOptions,
) -> None:
    trust = Trust(ssh_options.private_key, ssh_options.known_hosts)

    first_hosts, [first] = await trust.read(ProxyError)
    second_hosts, [second] = await trust.read(ProxyError)

    assert first_hosts is second_hosts
    assert first is not second
    assert first.public_data == second.public_data


@pytest.mark.parametrize("which", ["known_hosts", "private_key"])
async def test_a_file_that_is_replaced_counts_from_the_next_connection_on(
    proxy: Proxy, ssh_options: SshOptions, transport_with: Build, tmp_path: Path, which: str
) -> None:
    make_key(tmp_path / "stranger")
    file = tmp_path / which
    if which == "known_hosts":
        wrong, right = "192.0.2.1 ssh-ed25519 AAAA\n", proxy.known_hosts()
    else:
        key = ssh_options.private_key
        assert isinstance(key, Path)
        wrong, right = (path.read_text() for path in (tmp_path / "stranger", key))
    file.write_text(wrong)
    options = {"forget_s": 0.0, which: file}
    transport = transport_with(**options)
    with pytest.raises(ProxyError) as caught:
        await transport.run(candidate(proxy), ["true"], b"", over_s=9.0)
    file.write_text(right)

    completed = await transport.run(candidate(proxy), ["true"], b"", over_s=9.0)

    assert caught.value.result in (ProxyResult.HOST_KEY, ProxyResult.AUTH_ERROR)
    assert completed.exit_code == 0


async def test_files_that_cannot_be_read_in_time_are_no_connection(
    proxy: Proxy, transport_with: Build, tmp_path: Path
) -> None:
    mute = tmp_path / "mute_hosts"
    os.mkfifo(mute)
    transport = transport_with(known_hosts=mute, connect_timeout_s=0.3)
    with pytest.raises(ProxyError) as caught:
        await transport.run(candidate(proxy), ["true"], b"", over_s=9.0)
    mute.write_text("")  # the thread that reads it may end

    assert caught.value.result is ProxyResult.UNREACHABLE
