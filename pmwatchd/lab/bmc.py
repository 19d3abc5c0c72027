"""
Power switches on the network: a BMC with one switch, or a PDU with an outlet per plug.

A line protocol over TCP, one command per line::

    login USER PASSWORD      -> ok | denied
    status [PLUG]            -> on | off
    off [PLUG], on [PLUG]    -> ok          (accepted; the switch follows later)

Everything else, and every command before a login, is answered with ``error REASON``.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Mapping

from pmwatchd.lab.iron import Switch

_LATENCY_S = 0.03  # what the little processor of a BMC takes to answer


class PowerDevice:
    """
    A BMC or a PDU; ``switches`` are reached by plug, a BMC's only one by ``""``.

    Args:
        place: Turns the address of a caller into the name of its machine.
    """

    def __init__(
        self,
        name: str,
        address: str,
        switches: Mapping[str, Switch],
        *,
        user: str,
        password: str,
        place: Callable[[str], str],
    ) -> None:
        self.name = name
        self.address = address
        self.port = 0
        self._switches = switches
        self._login = f"{user} {password}"
        self._user = user
        self._place = place
        self._server: asyncio.Server | None = None
        self._callers: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        """Listen; on the same port as before after a :meth:`close`."""
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, self.address, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Die: nobody can connect, and whoever was connected is cut off."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for caller in self._callers:
            caller.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._callers.add(writer)
        by = f"{self._user}@{self._place(writer.get_extra_info('peername')[0])}"
        known = False
        try:
            while line := await reader.readline():
                words = line.decode(errors="replace").split()
                await asyncio.sleep(_LATENCY_S)
                if words[:1] == ["login"]:
                    known = hmac.compare_digest(" ".join(words[1:]).encode(), self._login.encode())
                    reply = "ok" if known else "denied"
                else:
                    reply = self._obey(words, by) if known else "error log in first"
                writer.write(f"{reply}\n".encode())
                await writer.drain()
        except (ConnectionError, ValueError):
            return  # the caller is gone, or its line is longer than any command
        finally:
            self._callers.discard(writer)
            writer.close()

    def _obey(self, words: list[str], by: str) -> str:
        match words:
            case [("status" | "off" | "on") as action, *plugs] if len(plugs) <= 1:
                switch = self._switches.get("".join(plugs))
                if switch is None:
                    return "error no such plug"
                switch.command(action, by)
                if action != "status":
                    return "ok"
                return "on" if switch.is_on else "off"
        return "error unknown command"
