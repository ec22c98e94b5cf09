"""Tests that the client opens a broken stream again, however long the stream was open before."""

from __future__ import annotations

from datetime import timedelta

import grpc
import pytest

from generic_provider import Client, ServerUnavailable
from generic_provider._reset_calls import watch_reset_run
from generic_provider._watched import Watched
from generic_provider.v1.reset_service_pb2 import WatchResetRunResponse

TIMEOUT = timedelta(seconds=30)


class HandTime:
    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> HandTime:
    time = HandTime()
    monkeypatch.setattr("generic_provider._connection.time", time)
    return time


class Unavailable(grpc.RpcError):
    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE

    def details(self) -> str:
        return "the server is stopping"

    def trailing_metadata(self) -> tuple[()]:
        return ()


def test_the_time_for_further_attempts_begins_when_the_stream_breaks(time: HandTime) -> None:
    watched = Watched(watch_reset_run(Client("localhost:1"), "U1"), TIMEOUT)
    with watched.opened(bool):
        assert list(watched.read(WatchResetRunResponse()))
        time.now += 3_600  # an hour in which the run waits for an approval
        raise Unavailable
    assert watched.more
    time.now += 29
    with watched.opened(bool):
        raise Unavailable
    assert watched.more
    time.now += 2
    with pytest.raises(ServerUnavailable), watched.opened(bool):
        raise Unavailable


def test_a_stream_that_has_begun_again_gets_the_whole_time_again(time: HandTime) -> None:
    watched = Watched(watch_reset_run(Client("localhost:1"), "U1"), TIMEOUT)
    for _ in range(3):
        with watched.opened(bool):
            assert list(watched.read(WatchResetRunResponse()))
            raise Unavailable
        assert watched.more
        time.now += 20
