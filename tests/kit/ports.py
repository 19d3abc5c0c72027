"""Ports that nobody else has, given by the kernel."""

from __future__ import annotations

import socket


def free_port(address: str, kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Return a port that is free at *address* now; the one who takes it must take it soon."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port
