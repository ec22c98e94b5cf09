"""Tests connections that are lost after the database has committed, so that the server does not
know of the commit.
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from generic_provider_server.commands.claim import Handed
from generic_provider_server.commands.providers import CreateProvider
from generic_provider_server.domain.refusals import Reason, Refused
from generic_provider_server.domain.subscription.request_records import WaitingFor
from generic_provider_server.services.delivery import Delivery
from generic_provider_server.services.streams import Cut
from support.bench import Bench, stream_at
from support.examples import SATELLITE, viewer
from support.losing import losing_commits


async def test_a_commit_in_doubt_also_ends_streams_that_came_since_the_store_was_lost(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = Delivery(bench.store)
    await bench.become(viewer("S1"))
    stream = stream_at(bench.store.server, credit=2)
    with losing_commits(monkeypatch):
        with pytest.raises(Refused):
            await bench.become(viewer("S2"))
        delivery.streams[stream.id] = stream
        with pytest.raises(Refused):
            await bench.claim("SAT", stream=stream.id)

    assert (await bench.request(1)).waiting_for is WaitingFor.ANSWER, "the lease was given"
    assert stream.stopping
    assert stream.events.get_nowait() == Cut()


async def test_what_a_lost_commit_made_ready_is_found_by_the_next_claim(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases = list[Handed]()
    for number in ("S1", "S2"):
        await bench.become(viewer(number))
    for _ in range(2):
        leases += await bench.claim("SAT", credit=1)
    with losing_commits(monkeypatch), pytest.raises(Refused):
        await bench.release(leases[0].lane.lease)
    again = await bench.claim("SAT")

    assert [handed.lane.subscription for handed in again] == ["S1"]


async def test_a_provider_that_a_lost_commit_stopped_gets_no_requests(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with losing_commits(monkeypatch), pytest.raises(Refused):
        await bench.stop_provider("SAT")
    done = await bench.become(viewer("S1"))

    assert done.left_out == ("SAT",)
    assert not await bench.requests()


async def test_a_provider_that_a_lost_commit_created_is_known(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = CreateProvider(provider=replace(SATELLITE, code="NEW"), digest=b"")
    with losing_commits(monkeypatch), pytest.raises(Refused):
        await bench.store.do(create)
    with pytest.raises(Refused) as again:
        await bench.store.do(create)

    assert again.value.reason is Reason.PROVIDER_EXISTS
    assert "NEW" in bench.store.providers
