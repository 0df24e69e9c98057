"""The `public` policy: what a stranger names, and nothing but the public internet.

A name is resolved once, every address that it leads to is looked at, and the connection goes to one of
those that were looked at, so that no second answer of a name server can lead elsewhere. Each hop of a
redirect is a new request in that.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
from dataclasses import replace
from functools import cache

import httpx
from django.conf import settings

from common.fetch.exchange import MAX_BODY, FetchError, Incoming, Outgoing, translated

# What `is_global` of some versions of Python lets through, or what leads to an IPv4 address within.
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        "100.64.0.0/10",  # carriers' own
        "168.63.129.16/32",  # Azure's machines ask here
        "192.0.0.0/24",
        "192.88.99.0/24",
        "2001::/23",  # Teredo among them
        "2002::/16",  # 6to4
        "3fff::/20",
    )
)
_GLOBAL_IPV6 = ipaddress.ip_network("2000::/3")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: Address) -> bool:
    """Whether it belongs to the public internet, and to nothing of ours or of the provider's."""
    if address.version == 6 and address not in _GLOBAL_IPV6:
        return False
    is_special = any(address in network for network in _NOT_PUBLIC)
    return address.is_global and not address.is_multicast and not is_special


def fetch_public(request: Outgoing, *, most: int = MAX_BODY, redirects: int = 0) -> Incoming:
    """Send a request under the `public` policy; the answer's first `most` bytes. Raises FetchError.

    A redirect is followed `redirects` times, by GET and without a body, and is an answer like another
    beyond that. Blocks, and is not for code that runs in an event loop.
    """
    return asyncio.run(_fetch_public(request, most, redirects))


async def _fetch_public(request: Outgoing, most: int, redirects: int) -> Incoming:
    # One deadline over names, connections, headers and body: whoever sends a byte now and then
    # holds nobody up.
    try:
        async with asyncio.timeout(request.seconds):
            while True:
                answer = await _hop(request, most)
                onward = answer.headers.get("location")
                if not redirects or onward is None or answer.status not in _REDIRECTS:
                    return answer
                redirects -= 1
                request = replace(
                    request, method="GET", url=_joined(request.url, onward), json=None, content=None
                )
    except TimeoutError as error:
        raise FetchError("timed_out", "no whole answer in time", sent=True) from error


_REDIRECTS = frozenset({301, 302, 303, 307, 308})


async def _hop(request: Outgoing, most: int) -> Incoming:
    url = public_url(request.url)
    address = await _address_of(url)
    # Straight to the address that was looked at; the name goes along for the host and the certificate.
    async with httpx.AsyncClient(
        verify=_tls(), trust_env=False, follow_redirects=False, timeout=request.seconds
    ) as client:
        with translated():
            async with client.stream(
                request.method,
                url.copy_with(host=str(address)),
                json=request.json,
                content=request.content,
                headers={
                    "Accept-Encoding": "identity",
                    **request.headers,
                    "Host": url.netloc.decode("ascii"),
                },
                extensions={"sni_hostname": url.raw_host.decode("ascii")},
            ) as response:
                body = bytearray()
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) >= most:
                        break
                return Incoming(response.status_code, response.headers, bytes(body[:most]))


def public_url(text: str) -> httpx.URL:
    """The address, if it may be called at all; where its name leads is asked at each call.

    Raises FetchError `address_not_allowed`.
    """
    schemes = ("http", "https") if settings.WEBHOOK_ALLOW_PRIVATE else ("https",)
    try:
        url = httpx.URL(text)
        host = url.raw_host.decode("ascii")
    except (httpx.InvalidURL, ValueError, TypeError):
        raise _not_allowed("no address") from None
    if url.scheme not in schemes or url.userinfo or not 0 < _port_of(url) < 65_536:
        raise _not_allowed("no plain address of a permitted kind")
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        if not _HOST.fullmatch(host):
            raise _not_allowed("no name of a host") from None
        return url
    _require_public([literal])
    return url


_HOST = re.compile(r"[a-zA-Z0-9_.-]{1,253}")


def _port_of(url: httpx.URL) -> int:
    return (443 if url.scheme == "https" else 80) if url.port is None else url.port


def _require_public(addresses: list[Address]) -> None:
    if not settings.WEBHOOK_ALLOW_PRIVATE and not all(map(is_public, addresses)):
        raise _not_allowed("an address that is not public")


def _joined(url: str, onward: str) -> str:
    try:
        return str(httpx.URL(url).join(onward))
    except (httpx.InvalidURL, ValueError):
        raise _not_allowed("a redirect to no address") from None


async def _address_of(url: httpx.URL) -> Address:
    """The first address of the name, if every one of them is public."""
    host = url.raw_host.decode("ascii")
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, _port_of(url), type=socket.SOCK_STREAM)
        addresses = [ipaddress.ip_address(entry[4][0]) for entry in found]
    except (OSError, UnicodeError, ValueError) as error:
        raise FetchError("unreachable", f"{host}: {error}", sent=False) from error
    if not addresses:
        raise FetchError("unreachable", f"{host} has no address", sent=False)
    _require_public(addresses)
    return addresses[0]


def _not_allowed(detail: str) -> FetchError:
    return FetchError("address_not_allowed", detail, sent=False)


@cache
def _tls() -> ssl.SSLContext:
    """Read once: the list of authorities is long."""
    return httpx.create_ssl_context(trust_env=False)
