from __future__ import annotations

import asyncio
import ipaddress
import socket
import subprocess
import sys
import threading

import pytest
from scratch import PROJECT

from pipeline.download import rejections
from pipeline.download.addresses import AddressGuard, GuardedResolver, is_public
from pipeline.download.rejections import FetchError


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "0.0.0.0",
        "0.1.2.3",
        "192.0.0.192",
        "198.18.0.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b:1::808:808",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.215.14", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("file:///etc/passwd", rejections.SCHEME),
        ("ftp://example.org/a.jpg", rejections.SCHEME),
        ("data:image/png;base64,AAAA", rejections.SCHEME),
        ("//example.org/a.jpg", rejections.SCHEME),
        ("", rejections.SCHEME),
        ("http://", rejections.MALFORMED),
        ("http:///a.jpg", rejections.MALFORMED),
        ("http://[::1", rejections.MALFORMED),
        ("http://example.org:99999/", rejections.MALFORMED),
        ("http://example.org:0/", rejections.MALFORMED),
        ("http://a@]/", rejections.MALFORMED),
        ("http://]", rejections.MALFORMED),
        ("http://127.1/", rejections.MALFORMED),
        ("http://2130706433/", rejections.MALFORMED),
        ("http://me@example.org/", rejections.MALFORMED),
        ("http://example.org/" + "a" * 8192, rejections.MALFORMED),
        ("http://me:word@example.org/", rejections.MALFORMED),
        ("http://127.0.0.1/", rejections.PRIVATE),
        ("http://１２７.0.0.1/", rejections.PRIVATE),
        ("http://127。0。0。1/", rejections.PRIVATE),
        ("http://[::1]/", rejections.PRIVATE),
        ("http://[::ffff:10.0.0.1]/", rejections.PRIVATE),
        ("https://169.254.169.254/latest", rejections.PRIVATE),
    ],
)
def test_urls_that_are_rejected(url: str, reason: str) -> None:
    with pytest.raises(FetchError) as caught:
        AddressGuard().check_url(url)
    assert caught.value.reason == reason
    assert not caught.value.lasting


def test_a_public_url_loses_only_its_fragment() -> None:
    url = AddressGuard().check_url("https://example.org:8443/a%20b.jpg?c=d&e#f")
    assert str(url) == "https://example.org:8443/a%20b.jpg?c=d&e"


@pytest.mark.parametrize(
    ("listed", "requested"),
    [
        # A signature may cover these characters.
        ("/a%2Cb%3Dc;d?sig=x%2Fy%2Bz%3D%3D&e=%41&k=a:b@c,d", None),
        ("/a,b=c%3Bd?sig=x/y+z==&e=[1]", None),
        ("/a b/é.jpg?c=d é", "/a%20b/%C3%A9.jpg?c=d%20%C3%A9"),
        ("/100%.jpg?a=%zz", "/100%25.jpg?a=%25zz"),
        ('/<a>"|.jpg', "/%3Ca%3E%22%7C.jpg"),
        ("/a\0b\x7f?c\x01", "/a%00b%7F?c%01"),
        ("/a\r\nb?c\td", "/ab?cd"),
        # robots.txt must be applied to the path that the server serves.
        ("/public/../private/a.jpg?x=%2F", "/private/a.jpg?x=%2F"),
        ("/public/%2e%2e/private/a.jpg", "/private/a.jpg"),
        ("?a=b", "/?a=b"),
        ("/a\ud800?b\udcff", "/a?b"),
    ],
)
def test_a_url_keeps_its_quoting(listed: str, requested: str | None) -> None:
    url = AddressGuard().check_url(f"HTTP://Example.org{listed}")
    assert f"{url.scheme}://{url.raw_authority}" == "http://example.org"
    assert url.raw_path_qs == (listed if requested is None else requested)


def test_a_host_is_allowed_at_one_port_or_at_all() -> None:
    guard = AddressGuard(["127.0.0.1:8000", "Mirror.lan", "[::1]:80"])
    assert str(guard.check_url("http://127.0.0.1:8000/a")) == "http://127.0.0.1:8000/a"
    guard.check_url("http://[::1]/")
    with pytest.raises(FetchError):
        guard.check_url("http://127.0.0.1:8001/a")
    with pytest.raises(FetchError):
        guard.check_url("http://[::1]:81/")
    guard.check_addresses("mirror.lan", 5000, [ipaddress.ip_address("10.0.0.1")])
    with pytest.raises(FetchError):
        guard.check_addresses("other.lan", 5000, [ipaddress.ip_address("10.0.0.1")])


def test_one_private_address_among_public_ones_rejects_a_name() -> None:
    addresses = [ipaddress.ip_address(text) for text in ("8.8.8.8", "10.0.0.1")]
    with pytest.raises(FetchError, match=r"sly\.example is 10\.0\.0\.1"):
        AddressGuard().check_addresses("sly.example", 80, addresses)


@pytest.mark.parametrize("name", ["localhost", "0x7f.1"])
def test_names_that_resolve_to_private_addresses_are_rejected(name: str) -> None:
    resolver = GuardedResolver(AddressGuard(), 20)
    with pytest.raises((FetchError, OSError)):
        asyncio.run(resolver.resolve(name, 80))


def test_an_allowed_name_resolves_to_its_private_address() -> None:
    resolver = GuardedResolver(AddressGuard(["localhost"]), 20)
    found = asyncio.run(resolver.resolve("localhost", 8000, socket.AF_INET))
    assert {(result["host"], result["port"]) for result in found} == {("127.0.0.1", 8000)}


def test_a_slow_name_lookup_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def getaddrinfo(*_: object, **__: object) -> list[object]:
        answered.wait(60)
        return []

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    with pytest.raises(TimeoutError, match=r"no address in 0\.01 s"):
        asyncio.run(GuardedResolver(AddressGuard(), 0.01).resolve("slow.example", 80))
    answered.set()


def test_a_pending_lookup_does_not_delay_the_end_of_the_program() -> None:
    code = (
        "import asyncio, socket, time\n"
        "from pipeline.download.addresses import AddressGuard, GuardedResolver\n"
        "socket.getaddrinfo = lambda *_: time.sleep(1000)\n"
        "asyncio.run(GuardedResolver(AddressGuard(), 0.01).resolve('slow.example', 80))\n"
    )
    with pytest.raises(subprocess.CalledProcessError) as caught:
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=PROJECT,
            check=True,
            stderr=subprocess.PIPE,
            timeout=60,
        )
    assert b"no address in 0.01 s" in caught.value.stderr
