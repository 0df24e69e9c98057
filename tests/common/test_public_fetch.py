"""What a stranger names leads into the public internet, or nowhere."""

import ipaddress
import json
import os
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from common.fetch import public
from common.fetch.exchange import FetchError, Outgoing
from common.fetch.public import fetch_public

DATA = Path(os.environ.get("PARLEY_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
LIST = DATA / "badinput" / "lists" / "ssrf_urls_own.json"

NOT_PUBLIC = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.255",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "5f00::1",
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001::1"]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_what_belongs_to_somebodys_own_network_is_not_public(address: str) -> None:
    assert not public.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_the_public_internet_is_public(address: str) -> None:
    assert public.is_public(ipaddress.ip_address(address))


# --- Where names lead ------------------------------------------------------------------------------

Resolve = Callable[..., list[Any]]


def answering(*answers: list[str]) -> Resolve:
    """A name server that says something else each time it is asked; the last one for ever."""
    left = list(answers)

    def resolve(host: Any, port: Any, *_rest: Any, **_options: Any) -> list[Any]:
        found = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    return resolve


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    """Whatever would be sent; nothing is."""
    sent: list[httpx.Request] = []

    async def body() -> AsyncIterator[bytes]:
        yield b"hello"

    async def handle(_self: Any, request: httpx.Request) -> httpx.Response:
        sent.append(request)
        onward = request.headers.get("X-Onward")
        if onward and len(sent) < 4:
            return httpx.Response(302, headers={"Location": onward}, content=body())
        return httpx.Response(200, content=body())

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle)
    return sent


@pytest.fixture(params=[lambda url: url, lambda url: url.replace("http:", "https:", 1)])
def as_scheme(request: Any) -> Any:
    return request.param


@pytest.mark.skipif(not LIST.exists(), reason=f"no list at {LIST}; set PARLEY_DATA")
def test_no_address_of_the_list_is_called(
    connections: list[httpx.Request], monkeypatch: pytest.MonkeyPatch, as_scheme: Any
) -> None:
    asked = socket.getaddrinfo

    def numbers_alone(host: Any, port: Any, *_rest: Any) -> list[Any]:
        """Without a name server: names are ours, and numbers are read as the system reads them."""
        try:
            return asked(host, port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
        except socket.gaierror:
            return answering(["127.0.0.1"])(host, port)

    monkeypatch.setattr(socket, "getaddrinfo", numbers_alone)
    addresses = json.loads(LIST.read_text(encoding="utf-8"))
    assert len(addresses) >= 50
    for address in addresses:
        with pytest.raises(FetchError) as refused:
            fetch_public(Outgoing("GET", as_scheme(address)))
        assert refused.value.code == "address_not_allowed", address
        assert not refused.value.sent
    assert connections == []


def test_one_private_address_among_public_ones_is_one_too_many(
    connections: list[httpx.Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answering(["8.8.8.8", "10.0.0.1"]))
    with pytest.raises(FetchError):
        fetch_public(Outgoing("GET", "https://example.com/"))
    assert connections == []


def test_a_name_is_asked_once_and_its_second_answer_leads_nowhere(
    connections: list[httpx.Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answering(["8.8.8.8"], ["127.0.0.1"]))
    answer = fetch_public(Outgoing("POST", "https://example.com:8443/a?b=1", content=b"x"))
    assert (answer.status, answer.body) == (200, b"hello")
    request = connections[0]
    assert str(request.url) == "https://8.8.8.8:8443/a?b=1"
    assert request.headers["Host"] == "example.com:8443"
    assert request.extensions["sni_hostname"] == "example.com"


@pytest.mark.parametrize(
    "onward",
    [
        "https://127.0.0.1/",
        "//10.0.0.1/",
        "/inside",
        "https://inside.example.com/",
        "http://example.com/",
        "file:///etc/passwd",
    ],
)
def test_every_hop_of_a_redirect_is_looked_at(
    connections: list[httpx.Request], monkeypatch: pytest.MonkeyPatch, onward: str
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answering(["8.8.8.8"], ["10.0.0.1"]))
    request = Outgoing("GET", "https://example.com/", headers={"X-Onward": onward})
    with pytest.raises(FetchError) as refused:
        fetch_public(request, redirects=5)
    assert refused.value.code == "address_not_allowed"
    assert len(connections) == 1


def test_redirects_are_followed_so_many_times_and_no_more(
    connections: list[httpx.Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answering(["8.8.8.8"]))
    request = Outgoing("GET", "https://example.com/", headers={"X-Onward": "/next"})
    assert [fetch_public(request, redirects=n).status for n in (0, 1)] == [302, 302]
    connections.clear()
    assert fetch_public(request, redirects=3).status == 200
    assert [request.url.path for request in connections] == ["/", "/next", "/next", "/next"]


def test_a_name_that_leads_nowhere_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_arguments: Any, **_options: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(FetchError) as failed:
        fetch_public(Outgoing("GET", "https://example.com/"))
    assert (failed.value.code, failed.value.sent) == ("unreachable", False)


# --- What comes back ---------------------------------------------------------------------------


@pytest.fixture
def serve(settings: Any) -> Iterator[Callable[..., int]]:
    """Starts a server that does to each connection what it is told; gives its port."""
    settings.WEBHOOK_ALLOW_PRIVATE = True
    listeners: list[socket.socket] = []

    def start(act: Callable[[socket.socket], None], context: ssl.SSLContext | None = None) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def run() -> None:
            while True:
                try:
                    connection, _peer = listener.accept()
                except OSError:
                    return
                try:
                    if context:
                        connection = context.wrap_socket(connection, server_side=True)
                    with connection:
                        connection.recv(65_536)
                        act(connection)
                except OSError:
                    connection.close()

        threading.Thread(target=run, daemon=True).start()
        return listener.getsockname()[1]

    yield start
    for listener in listeners:
        listener.close()


def answer(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_whoever_sends_a_byte_now_and_then_holds_nobody_up(
    serve: Callable[..., int], head: bytes
) -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(head)
        for _ in range(100):
            connection.sendall(b"x" if head.endswith(b"\r\n\r\n") else b"X-A: b\r\n")
            time.sleep(0.05)

    began = time.monotonic()
    with pytest.raises(FetchError) as failed:
        fetch_public(Outgoing("GET", f"http://127.0.0.1:{serve(drip)}/", seconds=0.5))
    assert failed.value.code in ("timed_out", "broken_off")
    assert time.monotonic() - began < 3


def test_no_more_is_read_than_was_asked_for(serve: Callable[..., int]) -> None:
    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65_536)

    got = fetch_public(Outgoing("GET", f"http://127.0.0.1:{serve(flood)}/", seconds=10), most=1000)
    assert got.body == b"x" * 1000


def certificate(tmp_path: Path, name: str) -> ssl.SSLContext:
    """A server's context with a certificate for this name, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "server.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def test_the_certificate_is_of_the_name_and_not_of_the_address(
    serve: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = serve(answer, certificate(tmp_path, "hooks.example.com"))
    monkeypatch.setattr(socket, "getaddrinfo", answering(["127.0.0.1"]))
    trusting = ssl.create_default_context(cafile=tmp_path / "server.pem")
    with pytest.raises(FetchError) as failed:
        fetch_public(Outgoing("GET", f"https://hooks.example.com:{port}/", seconds=5))
    assert (failed.value.code, failed.value.sent) == ("unreachable", False)
    monkeypatch.setattr(public, "_tls", lambda: trusting)
    good = fetch_public(Outgoing("GET", f"https://hooks.example.com:{port}/", seconds=5))
    assert (good.status, good.body) == (200, b"hello")
    with pytest.raises(FetchError):
        fetch_public(Outgoing("GET", f"https://other.example.com:{port}/", seconds=5))
