"""
The ``http`` probe: one request, and any answer is a sign of life.

With TLS no certificate is judged, because the question is whether somebody
is there.  A handshake alone is no answer, since it may be that of a part in
front of a server that hangs; an alert or bytes that are no TLS are one.
"""

from __future__ import annotations

import functools
import ipaddress
import ssl
import urllib.parse

from pmwatchd.core.model import Probe

HTTP_PORT = 80
HTTPS_PORT = 443
# Characters of a path and a query that are sent as they are.
_PLAIN = "/?&=%:@!$'()*+,;~-._"


def port_of(probe: Probe) -> int:
    """The port of an ``http`` probe; that of its scheme unless configured."""
    return probe.port or (HTTPS_PORT if probe.tls else HTTP_PORT)


def request(probe: Probe) -> bytes:
    """The one request; GET, because there are servers that leave a HEAD unanswered."""
    host = f"[{probe.address}]" if ":" in probe.address else probe.address
    path = urllib.parse.quote(probe.path, safe=_PLAIN)
    return (
        f"GET {path} HTTP/1.1\r\n"
        f"Host: {host}:{port_of(probe)}\r\n"
        "User-Agent: pmwatchd\r\n"
        "Accept: */*\r\n"
        "Connection: close\r\n"
        "\r\n"
    ).encode("ascii", errors="replace")


class Plain:
    """HTTP over TCP."""

    def __init__(self, probe: Probe) -> None:
        self._request = request(probe)

    def opening(self) -> bytes:
        """The request."""
        return self._request

    def heard(self, data: bytes) -> bytes | None:  # noqa: ARG002 - the Talk protocol gives it
        """Whatever it is, somebody said it."""
        return None


class Secured:
    """HTTP over TLS over TCP."""

    def __init__(self, probe: Probe) -> None:
        self._request = request(probe)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = _context().wrap_bio(
            self._incoming, self._outgoing, server_hostname=_server_name(probe.address)
        )
        self._asked = False

    def opening(self) -> bytes:
        """The first message of the handshake."""
        self._goes_on()
        return self._outgoing.read()

    def heard(self, data: bytes) -> bytes | None:
        """Go on with the handshake, then ask, then wait for the first bytes of the answer."""
        self._incoming.write(data)
        try:
            answered = self._goes_on()
        except ssl.SSLError:  # an alert, or something that is no TLS: somebody is there
            return None
        return None if answered else self._outgoing.read()

    def _goes_on(self) -> bool:
        try:
            if not self._asked:
                self._tls.do_handshake()
                self._tls.write(self._request)
                self._asked = True
            self._tls.read(1)
        except ssl.SSLWantReadError:
            return False
        return True


def _server_name(address: str) -> str | None:
    """The name to ask for; an address is none, and no certificate is judged anyway."""
    try:
        ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return None


@functools.cache
def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
