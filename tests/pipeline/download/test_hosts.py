from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from pipeline.download import rejections
from pipeline.download.hosts import MAX_PAUSE, MAX_TIMEOUTS, HostQueue, retry_after
from pipeline.download.rejections import FetchError


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


async def is_given_up(hosts: HostQueue, host: str) -> bool:
    try:
        async with hosts.turn(host):
            return False
    except FetchError as error:
        assert (error.reason, error.detail, error.lasting) == (rejections.GIVEN_UP, host, False)
        return True


def test_turns_are_limited_by_host_and_in_all() -> None:
    async def most_at_once(hosts: HostQueue, names: list[str]) -> int:
        now = most = 0

        async def request(host: str) -> None:
            nonlocal now, most
            async with hosts.turn(host):
                now += 1
                most = max(most, now)
                await asyncio.sleep(0)
                now -= 1

        await asyncio.gather(*(request(host) for host in names))
        return most

    async def work() -> None:
        assert await most_at_once(HostQueue(8, 3), ["a"] * 12) == 3
        assert await most_at_once(HostQueue(8, 3), ["a", "b"] * 6) == 6
        assert await most_at_once(HostQueue(2, 8), ["a", "b"] * 6) == 2

    run(work())


def test_a_line_at_one_host_leaves_workers_for_others() -> None:
    async def work() -> None:
        hosts = HostQueue(3, 2)
        end = asyncio.Event()

        async def wait() -> None:
            async with hosts.turn("slow"):
                await end.wait()

        waiting = [asyncio.create_task(wait()) for _ in range(20)]
        await asyncio.sleep(0)
        for _ in range(4):
            assert not await is_given_up(hosts, "fast")
        assert not any(task.done() for task in waiting)
        end.set()
        await asyncio.gather(*waiting)

    run(work())


def test_timeouts_in_a_row_give_a_host_up() -> None:
    async def work() -> None:
        hosts = HostQueue(8, 2)
        for _ in range(MAX_TIMEOUTS - 1):
            hosts.timed_out("a")
        hosts.answered("a")
        for _ in range(MAX_TIMEOUTS):
            assert not await is_given_up(hosts, "a")
            hosts.timed_out("a")
        assert await is_given_up(hosts, "a")
        assert not await is_given_up(hosts, "b")

    run(work())


def test_pauses_that_add_up_to_too_much_give_a_host_up() -> None:
    async def work() -> None:
        hosts = HostQueue(8, 2)
        hosts.pause("long", MAX_PAUSE + 1)
        assert await is_given_up(hosts, "long")
        hosts.pause("short", 0)
        assert not await is_given_up(hosts, "short")
        hosts.served("short")
        hosts.pause("short", 0)
        assert not await is_given_up(hosts, "short")

    run(work())


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float | None) -> None:
    assert retry_after(header) == seconds
