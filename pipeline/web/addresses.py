"""Which addresses may be connected to: the guard against server-side request forgery.

A URL that a stranger wrote could name this machine, its network or a cloud's metadata service. The
guard stands in two places that together see every connection: :meth:`AddressGuard.check_url` sees
every URL before it is asked for, redirects included, and judges literal addresses;
:class:`GuardedResolver` judges the addresses that a name stands for and hands aiohttp the very
addresses it judged, so a name that changes its meaning in between gains nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from pipeline.sources import reasons

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
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address


class RefusedError(Exception):
    """A URL that is not asked for.

    Not an OSError: aiohttp would take it for a host that cannot be reached.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason} ({detail})")
        self.reason = reason
        """One of :mod:`pipeline.sources.reasons`."""
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

    def check_url(self, text: str | URL) -> URL:
        """Return the URL in its normal form, without a fragment.

        Raises:
            RefusedError: it is malformed, neither http nor https, carries a password, or names an
                address that is not public.
        """
        try:
            url = URL(text).with_fragment(None)
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
        return url

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
    """Resolves names with the operating system and refuses what the guard refuses."""

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Resolve ``host``, as aiohttp asks for it.

        Raises:
            OSError: the name has no address.
            RefusedError: it has one that is not public.
        """
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, family=family, type=socket.SOCK_STREAM
        )
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
