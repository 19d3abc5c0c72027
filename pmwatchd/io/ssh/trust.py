"""Whom we believe to be a proxy, and the key by which it believes us."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import asyncssh

from pmwatchd.core.model import ProxyResult, Secret
from pmwatchd.errors import ProxyError

Wrong = Callable[[ProxyResult, str], ProxyError]
"""Names the proxy in what went wrong."""


def known_hosts(path: Path, wrong: Wrong) -> asyncssh.SSHKnownHosts:
    """
    Read the file anew for each connection; an empty one would mean the caller's own.

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
