"""The http probe, with and without TLS."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pmwatchd.core.model import Probe, ProbeResult, ProbeType
from pmwatchd.io.heartbeat.http import port_of, request
from tests.io.heartbeat.scene import accepting, host, refusing, running, saying


def http(port: int | None, *, tls: bool = False, address: str = "127.0.0.1") -> Probe:
    return Probe(type=ProbeType.HTTP, address=address, port=port, tls=tls, path="/health?a=b c")


@asynccontextmanager
async def http_server(
    answer: bytes | None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Yield its port and the requests it got; without an *answer* it stays mute."""
    requests: list[bytes] = []
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        if answer is not None:
            writer.write(answer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1], requests
    finally:
        for writer in writers:
            writer.transport.abort()
        server.close()
        await server.wait_closed()


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's side of TLS, with a certificate that nobody trusts and that has expired."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "someone-else.example.org")])
    long_ago = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(long_ago)
        .not_valid_after(long_ago + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file: Path = tmp_path_factory.mktemp("tls") / "server.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@pytest.mark.parametrize("status", [b"200 OK", b"401 Unauthorized", b"503 Service Unavailable"])
async def test_any_http_answer_is_alive(status: bytes) -> None:
    async with (
        http_server(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n") as (port, requests),
        running() as scene,
    ):
        assert await scene.scheduler.probe(host(http(port))) is ProbeResult.ALIVE
        assert requests[0].startswith(b"GET /health?a=b%20c HTTP/1.1\r\nHost: 127.0.0.1:")


async def test_something_that_is_no_http_is_alive() -> None:
    async with saying(b"220 mail.example.org ESMTP\r\n") as port, running() as scene:
        assert await scene.scheduler.probe(host(http(port))) is ProbeResult.ALIVE


async def test_a_refused_connection_is_alive() -> None:
    async with running() as scene:
        assert await scene.scheduler.probe(host(http(refusing()))) is ProbeResult.ALIVE


@pytest.mark.parametrize("with_tls", [False, True])
async def test_an_accepted_connection_that_stays_mute_is_silent(
    with_tls: bool,  # noqa: FBT001 - a parameter of pytest
) -> None:
    with accepting() as port:
        async with running() as scene:
            result = await scene.scheduler.probe(host(http(port, tls=with_tls), timeout_s=0.2))

    assert result is ProbeResult.SILENT


async def test_an_answer_over_tls_is_alive_whatever_the_certificate(tls: ssl.SSLContext) -> None:
    async with (
        http_server(b"HTTP/1.1 500 Oops\r\n\r\n", tls) as (port, requests),
        running() as scene,
    ):
        result = await scene.scheduler.probe(host(http(port, tls=True, address="localhost")))

        assert result is ProbeResult.ALIVE
        assert len(requests) == 1


async def test_a_handshake_without_an_answer_is_silent(tls: ssl.SSLContext) -> None:
    async with http_server(None, tls) as (port, requests), running() as scene:
        result = await scene.scheduler.probe(host(http(port, tls=True), timeout_s=1.0))

        assert result is ProbeResult.SILENT
        assert len(requests) == 1  # the handshake came to its end and the request arrived


async def test_something_that_is_no_tls_is_alive() -> None:
    async with saying(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port, running() as scene:
        assert await scene.scheduler.probe(host(http(port, tls=True))) is ProbeResult.ALIVE


def test_the_port_is_that_of_the_scheme_unless_configured() -> None:
    assert port_of(http(None)) == 80
    assert port_of(http(None, tls=True)) == 443
    assert port_of(http(8443, tls=True)) == 8443


def test_a_path_cannot_smuggle_a_header_in() -> None:
    probe = Probe(type=ProbeType.HTTP, address="::1", path="/a\r\nX-Evil: 1", port=80)

    assert request(probe).splitlines()[:2] == [
        b"GET /a%0D%0AX-Evil:%201 HTTP/1.1",
        b"Host: [::1]:80",
    ]
