"""
Whom we believe to be a proxy, and the key by which it believes us.

Reading an RSA key takes a quarter of a second, so it is done in a thread, and
again only when a file has changed.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from pmwatchd.core.model import ProxyResult, Secret
from pmwatchd.errors import ProxyError

Wrong = Callable[[ProxyResult, str], ProxyError]
"""Names the proxy in what went wrong."""

Stamp = tuple[tuple[int, int, int] | None, ...]
"""What changes with a file; None where there is none."""


@dataclass(frozen=True, slots=True)
class _Read:
    stamp: Stamp
    hosts: asyncssh.SSHKnownHosts
    keys: Sequence[asyncssh.SSHKeyPair]


class Trust:
    """
    Our key and the keys of proxies, as their files are now.

    Args:
        key: Ours, in a file or as it is.
        hosts: The file of those that we believe.
    """

    def __init__(self, key: Path | Secret, hosts: Path) -> None:
        self._key = key
        self._hosts = hosts
        self._known: _Read | None = None
        self._reading = asyncio.Lock()

    async def read(self, wrong: Wrong) -> tuple[asyncssh.SSHKnownHosts, list[asyncssh.SSHKeyPair]]:
        """
        Return both for one connection.

        Raises:
            ProxyError: One of them cannot be used.
        """
        async with self._reading:  # who comes meanwhile finds it read
            self._known = known = await asyncio.to_thread(self._fresh, self._known, wrong)
        # A connection notes in a pair how it signs with it there.
        return known.hosts, [copy.copy(pair) for pair in known.keys]

    def _fresh(self, known: _Read | None, wrong: Wrong) -> _Read:
        files = [self._hosts]
        if isinstance(self._key, Path):
            files += [Path(f"{self._key}{ending}") for ending in ("", "-cert.pub", ".pub")]
        stamp = tuple(_stamp(file) for file in files)  # first: what changes meanwhile is read again
        if known is not None and known.stamp == stamp:
            return known
        return _Read(stamp, known_hosts(self._hosts, wrong), key_pairs(self._key, wrong))


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def known_hosts(path: Path, wrong: Wrong) -> asyncssh.SSHKnownHosts:
    """
    Read the file; an empty one would mean the caller's own.

    Raises:
        ProxyError: It cannot be read, is malformed or names nobody.
    """
    try:
        text = path.read_text()
        lines = (line.strip() for line in text.splitlines())
        entries = [line for line in lines if line and not line.startswith("#")]
        found = asyncssh.import_known_hosts(text)
    except OSError as error:
        reason = f"{path} cannot be read: {error.strerror}"
        raise wrong(ProxyResult.HOST_KEY, reason) from error
    except ValueError as error:
        raise wrong(ProxyResult.HOST_KEY, f"{path} is malformed: {error}") from error
    if not entries:
        raise wrong(ProxyResult.HOST_KEY, f"{path} names no host key")
    return found


def key_pairs(key: Path | Secret, wrong: Wrong) -> Sequence[asyncssh.SSHKeyPair]:
    """
    Return our key, from a file or as it is.

    Raises:
        ProxyError: It cannot be read, is malformed or has a passphrase.
    """
    try:
        if isinstance(key, Path):
            return asyncssh.load_keypairs(str(key))
        return asyncssh.load_keypairs(asyncssh.import_private_key(key.get_secret_value()))
    except OSError as error:
        reason = f"our private key {key} cannot be read: {error.strerror}"
        raise wrong(ProxyResult.AUTH_ERROR, reason) from error
    except ValueError as error:
        reason = "our private key or its certificate is malformed, or it has a passphrase"
        raise wrong(ProxyResult.AUTH_ERROR, reason) from error
