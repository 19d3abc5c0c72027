"""Who is at the other end of the unix socket: the kernel says it, not the client."""

from __future__ import annotations

import asyncio
import pwd
import socket
import struct

from aiohttp import web

CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid


async def caller_of(request: web.Request) -> str:
    """The user's name, ``uid N`` without one, or ``unknown`` where there is no unix socket."""
    peer = request.transport.get_extra_info("socket") if request.transport else None
    if peer is None or peer.family != socket.AF_UNIX:
        return "unknown"
    packed = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    _pid, uid, _gid = CREDENTIALS.unpack(packed)
    # users may live in a directory behind the network
    return await asyncio.to_thread(_name_of, uid)


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
