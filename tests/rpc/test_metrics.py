"""Tests the metrics of a server: their names and labels, and the events at which each metric
changes.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import grpc.aio
import pytest

from generic_provider import (
    ActionNotAllowed,
    AsyncClient,
    Distributor,
    Provider,
    ProvisioningResponse,
    ResetRunDefinition,
    ResponseStatus,
    Service,
    SubscriptionNotFound,
    Unauthenticated,
    actions,
)
from generic_provider.v1 import provisioning_service_pb2 as api
from generic_provider.v1.provisioning_service_pb2_grpc import ProvisioningServiceStub
from generic_provider_server.app import running
from generic_provider_server.config import Settings
from generic_provider_server.metrics import showing
from generic_provider_server.metrics.figures import Figures, families
from generic_provider_server.metrics.showing import shown
from support.callers import allow
from support.scraping import Scrape, free_port, scrape

SECONDS = 20
LONG = timedelta(hours=1)
CONTRACT: Mapping[str, tuple[str, str]] = {
    "generic_provider_pending_requests": ("gauge", "provider waiting_for"),
    "generic_provider_oldest_pending_age_seconds": ("gauge", "provider"),
    "generic_provider_next_expiry_seconds": ("gauge", "provider"),
    "generic_provider_out_of_sync_subscriptions": ("gauge", "provider"),
    "generic_provider_provider_effective": ("gauge", "provider"),
    "generic_provider_adapters": ("gauge", "provider"),
    "generic_provider_unsettled_actions": ("gauge", ""),
    "generic_provider_due_work_lag_seconds": ("gauge", "duty"),
    "generic_provider_actions_total": ("counter", "kind outcome"),
    "generic_provider_requests_created_total": ("counter", "provider type origin"),
    "generic_provider_requests_settled_total": ("counter", "provider type state origin"),
    "generic_provider_answers_total": ("counter", "provider code"),
    "generic_provider_rollbacks_total": ("counter", "provider extent"),
    "generic_provider_leases_lost_total": ("counter", "provider cause"),
    "generic_provider_handover_seconds": ("histogram", "provider"),
    "generic_provider_settle_seconds": ("histogram", "provider"),
    "generic_provider_stream_credit_used_ratio": ("gauge", "provider"),
    "generic_provider_commit_seconds": ("histogram", ""),
    "generic_provider_group_commands": ("histogram", ""),
    "generic_provider_rpc_seconds": ("histogram", "method code"),
    "generic_provider_event_watchers": ("gauge", ""),
    "generic_provider_event_watcher_lag_events": ("gauge", ""),
    "generic_provider_reset_runs": ("gauge", "state"),
    "generic_provider_refused_credentials_total": ("counter", ""),
    "generic_provider_store_reachable": ("gauge", ""),
    "generic_provider_build_info": ("gauge", "version"),
    "process_cpu_seconds_total": ("counter", ""),
    "process_resident_memory_bytes": ("gauge", ""),
    "process_virtual_memory_bytes": ("gauge", ""),
    "process_open_fds": ("gauge", ""),
    "process_max_fds": ("gauge", ""),
    "process_start_time_seconds": ("gauge", ""),
}


@dataclass(frozen=True)
class Metered:
    """A server with metrics, and an adapter that the test plays."""

    address: str
    metrics: str
    crm: AsyncClient
    token: str

    async def scrape(self) -> Scrape:
        return await asyncio.to_thread(scrape, self.metrics)

    async def becomes(self, expected: Mapping[str, float]) -> None:
        """Waits until the metrics have these values."""
        deadline = time.monotonic() + SECONDS
        while True:
            found = await self.scrape()
            actual = {text: found.value(*_parsed(text)) for text in expected}
            if actual == expected:
                return
            assert time.monotonic() < deadline, (actual, expected)
            await asyncio.sleep(0.02)

    async def answer(self, *statuses: ResponseStatus.ValueType) -> None:
        """Pulls requests, and answers them in order with these statuses."""
        taken = await self.crm.pull("P", adapter="hand", wait=timedelta(seconds=SECONDS))
        pairs = [(each.lease_token, r) for each in taken.subscriptions for r in each.requests]
        for (token, request), status in zip(pairs, statuses, strict=True):
            answer = ProvisioningResponse(
                request=request.number, lease_token=token, status=status, error_code="E42"
            )
            if status == ResponseStatus.RETRY_LATER:
                answer.retry_delay.FromTimedelta(LONG)
            await self.crm.send_responses("P", responses=[answer])


def _parsed(text: str) -> tuple[str, dict[str, str]]:
    """Returns the name and the labels in `name{label=value,…}`, without quotes."""
    name, _, labels = text.rstrip("}").partition("{")
    return name, dict(each.split("=") for each in labels.split(",") if each)


@pytest.fixture
async def metered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Metered]:
    monkeypatch.setattr("generic_provider_server.metrics.recording.READ_SECONDS", 0.02)
    monkeypatch.setattr("generic_provider_server.metrics.recording.SHARE", 1)
    settings = Settings(
        listen="127.0.0.1:0",
        database=f"sqlite:///{tmp_path / 'x.db'}",
        metrics=f"127.0.0.1:{free_port()}",
        callers=tmp_path / "callers.toml",
    )
    token = allow(tmp_path / "callers.toml", "everybody", "operator")
    provider = Provider(
        code="P",
        distributors=[Distributor(code="MAIN")],
        services=[Service(code=code, provider_service_id=code) for code in ("NEWS", "SPORT")],
    )
    async with running(settings) as address, AsyncClient(address, token=token) as crm:
        await crm.create_provider(provider)
        await crm.set_provider_state("P", state="EFFECTIVE")
        yield Metered(address, settings.metrics, crm, token)


async def subscribed(metered: Metered) -> None:
    become = actions.BecomeSubscriber(type="DTH", provider="P")
    for number in ("S1", "S2", "S3"):
        await metered.crm.perform(become, subscription=number)


async def broken_stream(metered: Metered) -> None:
    async with grpc.aio.insecure_channel(metered.address) as channel:
        stub = ProvisioningServiceStub(channel)
        request = api.StreamPendingRequestsRequest(provider="P", adapter="a", max_in_flight=4)
        proof = (("authorization", f"Bearer {metered.token}"),)
        stream = stub.StreamPendingRequests(request, metadata=proof)
        async for message in stream:
            if message.HasField("batch"):
                break
        expected = {
            "adapters{provider=P}": 1.0,
            "stream_credit_used_ratio{provider=P}": 0.75,
            "pending_requests{provider=P,waiting_for=ANSWER}": 3.0,
            "handover_seconds_count{provider=P}": 3.0,
        }
        await metered.becomes(expected)
        stream.cancel()


async def answered(metered: Metered) -> None:
    status = ResponseStatus
    await metered.answer(status.ACCEPTED, status.REJECTED, status.RETRY_LATER)


async def added(metered: Metered) -> None:
    both = actions.AddServices(services=[("MAIN", "NEWS"), ("MAIN", "SPORT")])
    await metered.crm.perform(both, subscription="S1")
    stop = actions.StopServices(services=[("MAIN", "NEWS")])
    await metered.crm.perform(stop, subscription="S1")


async def partly_rejected(metered: Metered) -> None:
    await metered.answer(ResponseStatus.ACCEPTED, ResponseStatus.REJECTED)
    await metered.answer(ResponseStatus.ACCEPTED)


async def refused(metered: Metered) -> None:
    wrong = ProvisioningResponse(request="R0000009999", status=ResponseStatus.ACCEPTED)
    await metered.crm.send_responses("P", responses=[wrong])
    with pytest.raises(ActionNotAllowed):
        await metered.crm.perform(actions.EndResting(), subscription="S1")
    with pytest.raises(SubscriptionNotFound):
        await metered.crm.get_subscription("NOBODY")
    async with AsyncClient(metered.address, token="guessed") as stranger:
        with pytest.raises(Unauthenticated):
            await stranger.get_subscription("S1")


async def watched(metered: Metered) -> None:
    async def watch() -> None:
        async for _ in metered.crm.watch_events():
            pass

    watching = asyncio.create_task(watch())
    await metered.becomes({"event_watchers": 1, "event_watcher_lag_events": 0})
    watching.cancel()


async def reset(metered: Metered) -> None:
    definition = await metered.crm.create_reset_run_definition(
        ResetRunDefinition(provider="P", name="all")
    )
    await metered.crm.submit_reset_run_definition(definition.id)


async def out_of_sync(metered: Metered) -> None:
    await metered.crm.set_provider_state("P", state="NOT_EFFECTIVE")
    start = actions.StartServices(services=[("MAIN", "NEWS")])
    await metered.crm.perform(start, subscription="S1")


BECOME, ADD = "BECOME_SUBSCRIBER", "ADD_SERVICES"
Step = Callable[[Metered], Awaitable[None]]
STEPS: tuple[tuple[Step, Mapping[str, float]], ...] = (
    (
        subscribed,
        {
            "pending_requests{provider=P,waiting_for=ADAPTER}": 3,
            "unsettled_actions": 3,
            f"actions_total{{kind={BECOME},outcome=EXECUTED}}": 3,
            f"actions_total{{kind={BECOME},outcome=REJECTED}}": 0,
            f"requests_created_total{{provider=P,type={BECOME},origin=ACTION}}": 3,
            f"requests_settled_total{{provider=P,type={BECOME},state=EXPIRED}}": 0,
            "rpc_seconds_count{method=PerformAction,code=OK}": 3,
            "rpc_seconds_count{method=PerformAction,code=UNAVAILABLE}": 0,
            "provider_effective{provider=P}": 1,
            "store_reachable": 1,
            "refused_credentials_total": 0,
        },
    ),
    (
        broken_stream,
        {
            "leases_lost_total{provider=P,cause=STREAM_BROKE}": 3,
            "rpc_seconds_count{method=StreamPendingRequests,code=CANCELLED}": 1,
            "adapters{provider=P}": 0,
        },
    ),
    (
        answered,
        {
            "answers_total{provider=P,code=APPLIED}": 3,
            f"requests_settled_total{{provider=P,type={BECOME},state=COMPLETED,origin=ACTION}}": 1,
            f"requests_settled_total{{provider=P,type={BECOME},state=REJECTED,origin=ACTION}}": 1,
            "rollbacks_total{provider=P,extent=ACTION}": 1,
            f"actions_total{{kind={BECOME},outcome=SETTLED}}": 1,
            f"actions_total{{kind={BECOME},outcome=REJECTED}}": 1,
            "pending_requests{provider=P,waiting_for=RETRY}": 1,
            "settle_seconds_count{provider=P}": 2,
        },
    ),
    (
        added,
        {
            "pending_requests{provider=P,waiting_for=ADAPTER}": 2,
            "pending_requests{provider=P,waiting_for=EARLIER_REQUEST}": 1,
        },
    ),
    (
        partly_rejected,
        {
            "rollbacks_total{provider=P,extent=PART}": 1,
            f"actions_total{{kind={ADD},outcome=PARTLY_REJECTED}}": 1,
            "handover_seconds_count{provider=P}": 6,
        },
    ),
    (
        refused,
        {
            "actions_total{kind=END_RESTING,outcome=REFUSED}": 1,
            "answers_total{provider=P,code=NOT_FOUND}": 1,
            "rpc_seconds_count{method=GetSubscription,code=NOT_FOUND}": 1,
            "rpc_seconds_count{method=GetSubscription,code=UNAUTHENTICATED}": 1,
            "refused_credentials_total": 1,
        },
    ),
    (watched, {"event_watchers": 0}),
    (reset, {"reset_runs{state=COMPLETED}": 1}),
    (
        out_of_sync,
        {
            "provider_effective{provider=P}": 0,
            "out_of_sync_subscriptions{provider=P}": 1,
            "pending_requests{provider=P,waiting_for=PROVIDER}": 1,
        },
    ),
)


async def test_each_metric_moves_when_its_thing_happens_and_has_the_labels_of_the_contract(
    metered: Metered,
) -> None:
    for step, expected in STEPS:
        await step(metered)
        await metered.becomes(expected)
    found = await metered.scrape()

    assert {name: (kind, sorted(labels)) for name, kind, labels in found.labels()} == {
        name: (kind, sorted(labels.split())) for name, (kind, labels) in CONTRACT.items()
    }
    window = timedelta(days=7).total_seconds()
    assert 0 < found.value("oldest_pending_age_seconds", provider="P") < SECONDS
    assert window - SECONDS < found.value("next_expiry_seconds", provider="P") < window
    assert found.value("commit_seconds_count") == found.value("group_commands_count") > 0
    duties = {s.labels["duty"] for f in found.families for s in f.samples if "duty" in s.labels}
    assert duties == {"leases", "retries", "expiry", "ends", "scheduled", "resets"}


@pytest.mark.timeout(30)
def test_slow_clients_of_the_metrics_are_bounded_in_number_and_in_time(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(showing, "CONNECTION_SECONDS", 0.3)
    place = "127.0.0.1", free_port()
    with ExitStack() as stack:
        stack.enter_context(shown(place, lambda: [Figures()]))
        capfd.readouterr()
        before = threading.active_count()
        slow = [stack.enter_context(socket.create_connection(place)) for _ in range(60)]
        threads = [before]
        while max(threads) == before or threads[-1] > before:
            for each in slow:
                with suppress(OSError):
                    each.sendall(b"G")
            time.sleep(0.01)
            threads.append(threading.active_count())
        assert max(threads) - before <= showing.MOST_CONNECTIONS
        assert scrape(f"{place[0]}:{place[1]}").families
    assert capfd.readouterr().err == ""


def test_several_processes_together_add_up_counters_and_not_the_gauges_of_the_database() -> None:
    processes = [Figures(), Figures(), Figures()]
    for n, process in enumerate(processes[:2], 1):
        process.add(("answers_total", "P", "APPLIED"), n)
        process.observe(("commit_seconds",), 0.002, n)
        process.gauges["unsettled_actions",] = 7
        process.gauges["event_watchers",] = 2
        process.gauges["store_reachable",] = n % 2
        process.gauges["process_open_fds",] = 10
    processes[2].keep(processes[1])
    found = Scrape(tuple(families(processes)))

    assert found.value("answers_total", provider="P") == 1 + 2 + 2
    assert found.value("commit_seconds_count") == 6
    assert found.value("commit_seconds_sum") == pytest.approx(1.002 + 2 * 2.002)
    assert found.value("commit_seconds_bucket", le="1.0") == 4
    assert found.value("unsettled_actions") == 7
    assert found.value("event_watchers") == 4
    assert found.value("store_reachable") == 0


def test_the_metrics_need_no_name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getfqdn", lambda _: pytest.fail("asked for the host's name"))
    port = free_port()

    with shown(("127.0.0.1", port), lambda: [Figures()]):
        scrape(f"127.0.0.1:{port}")
