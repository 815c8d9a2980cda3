"""Which addresses may be connected to: the guard against server-side request forgery.

A URL that a stranger wrote could name this machine, its network or a cloud's metadata service. The
guard stands in two places that together see every connection: :meth:`AddressGuard.check_url` sees
every URL before it is asked for, redirects included, and judges literal addresses;
:class:`GuardedResolver` judges the addresses that a name stands for and hands aiohttp the very
addresses it judged, so a name that changes its meaning in between gains nothing.
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

from pipeline.download import rejections as reasons

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# What Python's tables of special addresses, at least some versions', take for public.
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        "168.63.129.16/32",  # Azure's host agent (learn.microsoft.com, "What is IP address ...")
        "192.0.0.0/24",  # IETF protocol assignments (RFC 6890); Oracle's metadata service
        "64:ff9b:1::/48",  # translation within a network (RFC 8215)
    )
)
MAX_URL = 8192
"""Characters of a URL; servers take no longer ones, nor do tables of many tools."""
# What may stand in a path or a query besides letters and digits (RFC 3986, section 2).
_AS_IT_IS = ":/?#[]@!$&'()*+,;=%"
_NO_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address


class RefusedError(Exception):
    """A URL that is not asked for.

    Not an OSError: aiohttp would take it for a host that cannot be reached.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason} ({detail})")
        self.reason = reason
        """One of :mod:`pipeline.download.rejections`."""
        self.detail = detail


class AddressGuard:
    """Judges URLs and addresses.

    Args:
        allow_hosts: ``host`` or ``host:port`` whose addresses may be anything.
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
            RefusedError: it is malformed or too long, neither http nor https, carries a password,
                or names an address that is not public.
        """
        if len(text) > MAX_URL:
            raise RefusedError(reasons.MALFORMED, f"{len(text)} characters")
        try:
            url = URL(text)
            host, port = url.raw_host, url.port
        # yarl's parser has been seen to stumble over brackets with an IndexError.
        except (ValueError, LookupError, TypeError) as error:
            raise RefusedError(reasons.MALFORMED, "not a URL") from error
        if url.scheme not in {"http", "https"}:
            raise RefusedError(reasons.SCHEME, url.scheme or "no scheme")
        if not host or not port:
            raise RefusedError(reasons.MALFORMED, "no host")
        if url.user is not None or url.password is not None:
            raise RefusedError(reasons.MALFORMED, "a user name or password in the URL")
        # aiohttp connects to a host of this form as it stands, past any resolver; the operating
        # system takes more of them for addresses (127.1, 2130706433) than the standard does.
        if ":" in host or host.replace(".", "").isdigit():
            try:
                address = ipaddress.ip_address(host)
            except ValueError as error:
                raise RefusedError(reasons.MALFORMED, f"{host} is no address") from error
            self.check_addresses(host, port, [address])
        return _as_listed(url, URL(text, encoded=True))

    def check_addresses(self, host: str, port: int, addresses: Iterable[Address]) -> None:
        """Judge the addresses that ``host`` stands for; one that is not public condemns all.

        Raises:
            RefusedError: an address is not public, and the host is no exception.
        """
        if self.allows(host, port):
            return
        for address in addresses:
            if not is_public(address):
                raise RefusedError(
                    reasons.PRIVATE, host if host == str(address) else f"{host} is {address}"
                )


def _as_listed(normal: URL, listed: URL) -> URL:
    """Return ``normal`` with path and query quoted as they were: some hosts sign every character.

    What no URL may hold, such as blanks, is quoted still, and a path with dots for folders stays in
    its normal form, by which robots.txt judges it.
    """
    path = listed.raw_path if listed.path == normal.path else normal.raw_path
    return URL.build(
        scheme=normal.scheme,
        authority=normal.raw_authority,
        path=_quote(path),
        query_string=_quote(listed.raw_query_string),
        encoded=True,
    )


def _quote(part: str) -> str:
    # What is no text, such as half a character, is left out, as yarl does.
    quoted = urllib.parse.quote(part, safe=_AS_IT_IS, errors="ignore")
    return _NO_ESCAPE.sub("%25", quoted)


def is_public(address: Address) -> bool:
    """Whether ``address`` is a host of the public internet.

    Private, shared, loopback, link-local, multicast, reserved and unspecified addresses are not,
    nor are IPv6 addresses that stand for an IPv4 address which is not (RFC 4291, 3056, 4380, 6052).
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
    """Resolves names with the operating system and refuses what the guard refuses.

    Args:
        guard: judges the addresses.
        timeout: seconds that a name may take.
    """

    def __init__(self, guard: AddressGuard, timeout: float) -> None:
        self._guard = guard
        self._timeout = timeout

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Resolve ``host``, as aiohttp asks for it.

        Raises:
            OSError: the name has no address; a TimeoutError, none in time.
            RefusedError: it has one that is not public.
        """
        try:
            found = await asyncio.wait_for(_look_up(host, port, family), self._timeout)
        # Without a number aiohttp would not take it for the resolver's.
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
    """``socket.getaddrinfo`` in a thread of its own.

    In asyncio's few threads names that take long would hold up all others, and whoever ends the
    program; there are no more threads than downloads under way and lookups given up lately.
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
        # The loop is closed by now, if nobody waited for the answer.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, addresses, failed)

    threading.Thread(target=look_up, daemon=True, name=f"looks up {host}").start()
    return await found
