"""Which addresses may be connected to: the guard against server-side request forgery.

An untrusted URL could name this machine, its network or a cloud's metadata service. Two checks
together see every connection. :meth:`AddressGuard.check_url` sees every URL before it is requested,
redirects included, and checks addresses that are written in it. :class:`GuardedResolver` checks the
addresses that a name resolves to, and gives aiohttp exactly those, so that a name that resolves
differently a moment later gains nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import re
import socket
import threading
import urllib.parse
from collections.abc import Iterable
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from pipeline.download import rejections
from pipeline.download.rejections import FetchError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Special addresses that Python's ipaddress, at least in some versions, takes for public ones.
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        "168.63.129.16/32",  # Azure's host agent (learn.microsoft.com, "What is IP address ...")
        "192.0.0.0/24",  # IETF protocol assignments (RFC 6890); Oracle's metadata service
        "64:ff9b:1::/48",  # translation within a network (RFC 8215)
    )
)
MAX_URL = 8192
"""Characters of a URL; many servers and table readers take no longer ones."""
# What may stand in a path or a query besides letters and digits (RFC 3986, section 2).
_UNQUOTED = ":/?#[]@!$&'()*+,;=%"
_NO_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address


class AddressGuard:
    """Rejects URLs and addresses that must not be connected to.

    Args:
        allow_hosts: ``host`` or ``host:port`` whose addresses need not be public.
    """

    def __init__(self, allow_hosts: Iterable[str] = ()) -> None:
        self._allowed = frozenset(host.lower() for host in allow_hosts)

    def allows(self, host: str, port: int) -> bool:
        """Whether ``host`` may be connected to whatever its addresses are."""
        host = host.lower()
        named = f"[{host}]" if ":" in host else host
        return not self._allowed.isdisjoint({host, named, f"{named}:{port}"})

    def check_url(self, text: str) -> URL:
        """Return the URL with its host in normal form, without a fragment.

        Raises:
            FetchError: it is malformed or too long, neither http nor https, holds a user name or
                password, or names an address that is not public. The error is not a lasting one:
                to check again costs nothing, and ``allow_hosts`` may differ in another run.
        """
        if len(text) > MAX_URL:
            raise _rejected(rejections.MALFORMED, f"{len(text)} characters")
        try:
            url = URL(text)
            host, port = url.raw_host, url.port
        # yarl raises IndexError for some uses of brackets.
        except (ValueError, LookupError, TypeError) as error:
            raise _rejected(rejections.MALFORMED, "not a URL") from error
        if url.scheme not in {"http", "https"}:
            raise _rejected(rejections.SCHEME, url.scheme or "no scheme")
        if not host or not port:
            raise _rejected(rejections.MALFORMED, "no host")
        if url.user is not None or url.password is not None:
            raise _rejected(rejections.MALFORMED, "a user name or password in the URL")
        # aiohttp connects to a host of this form without asking a resolver, and the operating
        # system accepts more forms of addresses (127.1, 2130706433) than the standard does.
        if ":" in host or host.replace(".", "").isdigit():
            try:
                address = ipaddress.ip_address(host)
            except ValueError as error:
                raise _rejected(rejections.MALFORMED, f"{host} is no address") from error
            self.check_addresses(host, port, [address])
        return _with_original_quoting(url, URL(text, encoded=True))

    def check_addresses(self, host: str, port: int, addresses: Iterable[Address]) -> None:
        """Check the addresses of ``host``; a single one that is not public rejects the host.

        Raises:
            FetchError: an address is not public, and the host is not among ``allow_hosts``.
        """
        if self.allows(host, port):
            return
        for address in addresses:
            if not is_public(address):
                raise _rejected(
                    rejections.PRIVATE, host if host == str(address) else f"{host} is {address}"
                )


def _rejected(reason: str, detail: str) -> FetchError:
    return FetchError(reason, detail, lasting=False)


def _with_original_quoting(normal: URL, original: URL) -> URL:
    """Return ``normal`` with the quoting of ``original``: some hosts sign every character.

    Characters that no URL may hold, such as blanks, are still quoted, and a path with dot segments
    stays normalized, since robots.txt applies to that form.
    """
    path = original.raw_path if original.path == normal.path else normal.raw_path
    return URL.build(
        scheme=normal.scheme,
        authority=normal.raw_authority,
        path=_quote(path),
        query_string=_quote(original.raw_query_string),
        encoded=True,
    )


def _quote(part: str) -> str:
    # Lone surrogates are left out, as yarl does.
    quoted = urllib.parse.quote(part, safe=_UNQUOTED, errors="ignore")
    return _NO_ESCAPE.sub("%25", quoted)


def is_public(address: Address) -> bool:
    """Whether ``address`` is a host of the public internet.

    Private, shared, loopback, link-local, multicast, reserved and unspecified addresses are not,
    nor are IPv6 addresses that embed such an IPv4 address (RFC 4291, 3056, 4380, 6052).
    """
    if isinstance(address, ipaddress.IPv6Address):
        embedded = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in _NAT64:
            embedded.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        inner = [ipv4 for ipv4 in embedded if ipv4 is not None]
        if inner:
            return all(is_public(ipv4) for ipv4 in inner)
        if address.is_site_local:
            return False
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not address.is_unspecified
        and not any(address in network for network in _NOT_PUBLIC)
    )


class GuardedResolver(AbstractResolver):
    """Resolves names with the operating system and rejects those that the guard rejects.

    Args:
        guard: checks the addresses.
        timeout: seconds that the lookup of a name may take.
    """

    def __init__(self, guard: AddressGuard, timeout: float) -> None:
        self._guard = guard
        self._timeout = timeout

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Resolve ``host`` for aiohttp.

        Raises:
            OSError: the name has no address; a TimeoutError if the lookup takes too long.
            FetchError: it has an address that is not public.
        """
        try:
            found = await asyncio.wait_for(_look_up(host, port, family), self._timeout)
        # aiohttp takes only an OSError with a number for a failure of the resolver.
        except asyncio.TimeoutError as error:
            raise TimeoutError(errno.ETIMEDOUT, f"no address in {self._timeout:g} s") from error
        results: list[ResolveResult] = [
            {
                "hostname": host,
                "host": str(sockaddr[0]),
                "port": port,
                "family": family_,
                "proto": protocol,
                "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            }
            for family_, _, protocol, _, sockaddr in found
        ]
        self._guard.check_addresses(
            host, port, [ipaddress.ip_address(result["host"]) for result in results]
        )
        return results

    async def close(self) -> None:
        """Nothing is held open."""


async def _look_up(host: str, port: int, family: socket.AddressFamily) -> list[Any]:
    """Run ``socket.getaddrinfo`` in a thread of its own.

    asyncio has few threads for lookups: slow names would delay all others, and the end of the
    program. There are never more threads here than downloads under way and recent timeouts.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[Any]] = loop.create_future()

    def settle(addresses: list[Any], error: Exception | None) -> None:
        if found.done():
            return
        if error is None:
            found.set_result(addresses)
        else:
            found.set_exception(error)

    def look_up() -> None:
        addresses: list[Any] = []
        failed: Exception | None = None
        try:
            addresses = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
        except Exception as error:  # noqa: BLE001
            failed = error
        # After a timeout the loop may be closed by now.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, addresses, failed)

    threading.Thread(target=look_up, daemon=True, name=f"looks up {host}").start()
    return await found
