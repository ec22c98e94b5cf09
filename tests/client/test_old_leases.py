"""Tests rule 13 of docs/adapters.md: the duration of a lease is counted from the time at which the
server sent its message.
"""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import cast

import pytest

from generic_provider._lanes import HeldLease
from generic_provider._streams import Stream
from generic_provider.v1.provisioning_service_pb2 import (
    StreamPendingRequestsResponse,
    SubscriptionRequests,
)
from support.bundled_adapter import Platform, make
from support.provisioning_server import Server, serving


async def test_a_lease_that_is_more_than_half_over_is_released_and_another_stream_opened(
    server: Server,
) -> None:
    adapter, platform = make(server), Platform()
    adapter.otherwise(platform.do)
    platform.finish.set()
    async with serving(adapter):
        (await server.stream()).give("S1", "T1", "R1", late=20)
        released = await server.released.get()
        assert (list(released.lease_tokens), released.stop) == (["T1"], True)
        (await server.stream()).give("S1", "T2", "R1", late=10)
        assert await server.answers(1) == [("R1", "T2")]
    assert platform.begun.qsize() == 1


async def test_what_was_not_begun_in_the_time_of_its_lease_is_released(server: Server) -> None:
    adapter, platform = make(server), Platform()
    adapter.otherwise(platform.do)
    server.most_seconds = 0  # as if max_lease_time were used up
    async with serving(adapter):
        (await server.stream()).give("S1", "T1", "R1", "R2", seconds=0.2)
        await platform.begun.get()
        await asyncio.sleep(0.2)
        platform.finish.set()
        assert await server.answers(1) == [("R1", "T1")]
        released = await server.released.get()
        assert (list(released.lease_tokens), released.stop) == (["T1"], False)
    assert platform.begun.empty()


async def test_while_the_stream_is_silent_nothing_is_begun_and_leases_are_released(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generic_provider._streams.SILENT_SECONDS", 0.2)
    adapter, platform = make(server), Platform()
    adapter.otherwise(platform.do)
    async with serving(adapter):
        stream = await server.stream()
        stream.give("S1", "T1", "R1", "R2")
        await platform.begun.get()
        await asyncio.sleep(0.25)
        platform.finish.set()
        assert list((await server.released.get()).lease_tokens) == ["T1"]
        assert platform.begun.empty()
        stream.beat()
        stream.give("S1", "T2", "R2")
        assert await platform.begun.get() == "R2"


async def test_what_a_stream_gave_that_has_ended_is_released_elsewhere(server: Server) -> None:
    adapter, platform = make(server), Platform()
    adapter.otherwise(platform.do)
    async with serving(adapter):
        stream = await server.stream()
        stream.give("S1", "T1", "R1", "R2")
        await platform.begun.get()
        stream.cut()
        await server.stream()
        platform.finish.set()
        assert await server.answers(1) == [("R1", "T1")]
        assert list((await server.released.get()).lease_tokens) == ["T1"]
    assert platform.begun.empty()


def test_the_clock_of_the_server_is_never_taken_for_earlier_than_it_is() -> None:
    stream = Stream()
    opened = time.monotonic()
    message = StreamPendingRequestsResponse()
    message.sent_time.FromSeconds(1_000)
    assert stream.set_clock(message) == 1_000
    assert 1_000 <= stream.time() <= 1_001 + time.monotonic() - opened
    message.sent_time.FromSeconds(1_010)
    stream.set_clock(message)
    assert stream.time() >= 1_010
    message.sent_time.FromSeconds(1_005)
    stream.set_clock(message)
    assert stream.time() >= 1_010


class OpenStream:
    def time(self) -> float:
        return time.monotonic()

    def silent(self) -> bool:
        return False


def test_an_extension_that_arrives_after_the_end_of_a_lease_does_not_revive_it() -> None:
    given = SubscriptionRequests(subscription="S1", lease_token="T1")
    given.lease_duration.FromSeconds(30)
    lease = HeldLease(given, source=cast(Stream, OpenStream()), sent=time.monotonic())
    asked = time.monotonic()
    lease.extend(timedelta(seconds=60), since=asked)
    assert lease.live()
    lease.end(given_back=False)
    lease.extend(timedelta(seconds=60), since=asked)

    assert not lease.live()
    assert not lease.running()
