"""Tests which caller may make which call: every RPC with every role. Adapters call RPCs for their
own provider and for another provider.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from structlog.testing import capture_logs

from generic_provider import (
    ActionState,
    Adapter,
    AsyncClient,
    Distributor,
    PermissionDenied,
    Provider,
    ProvisioningResponse,
    ResponseCode,
    ResponseStatus,
    Service,
    Unauthenticated,
    actions,
)
from generic_provider.v1 import provisioning_service_pb2 as provisioning
from generic_provider.v1 import request_service_pb2 as requests
from generic_provider_server.app import running
from generic_provider_server.config import Settings
from generic_provider_server.domain.audit import AuditEntry
from generic_provider_server.domain.refusals import Refused
from generic_provider_server.domain.values import Instant
from generic_provider_server.rpc import access, wrong_credentials
from generic_provider_server.rpc.calls import Calls, add_service
from generic_provider_server.rpc.incoming import rpc_of
from generic_provider_server.rpc.servicers import REQUEST
from generic_provider_server.services import rereading
from generic_provider_server.services.auditing import Auditing
from support.callers import allow, forbid
from support.calling import METHODS, Caller, Refusal


def rpcs_of(service: str) -> set[str]:
    return {name for name, rpc in METHODS.items() if rpc.containing_service.name == service}


READ = ("Get", "List", "Watch", "Preview", "Download")
READS = {name for name in METHODS if name.startswith(READ)}
ALLOWED = {
    "crm": rpcs_of("SubscriptionService"),
    "adapter:P": rpcs_of("ProvisioningService"),
    "support": READS | {"ResetSubscription", "CancelScheduledAction"},
    "operator": METHODS.keys() - {"DeleteArchive"},
    "auditor": READS | {"CreateArchive", "DeleteArchive"},
}
OF_LEASES = {"ExtendLeases", "ReleaseLeases"}
"""The RPCs that check the provider of each lease token themselves, because their messages name no
provider. `test_an_adapter_neither_answers_nor_holds_requests_of_another_provider` tests the checks.
"""


@dataclass
class House:
    """A server with one caller for each role. Each caller has the name of its role."""

    address: str
    channel: grpc.aio.Channel
    file: Path
    tokens: dict[str, str]

    def caller(self, role: str) -> Caller:
        return Caller(self.channel, metadata=bearer(self.tokens[role]))

    def client(self, role: str) -> AsyncClient:
        return AsyncClient(self.address, token=self.tokens[role], timeout=timedelta(seconds=20))


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(wrong_credentials, "DELAY_SECONDS", 0.0)
    monkeypatch.setattr(rereading, "CHECK_SECONDS", 0.05)
    file = tmp_path / "callers.toml"
    tokens = {role: allow(file, role.replace(":", "-"), role) for role in (*ALLOWED, "adapter:Q")}
    database = f"sqlite:///{tmp_path / 'x.db'}"
    settings = Settings(listen="127.0.0.1:0", database=database, callers=file, max_streams=20)
    async with running(settings) as address, grpc.aio.insecure_channel(address) as channel:
        yield House(address, channel, file, tokens)


def request_for(rpc: str, provider: str) -> Any:
    """Returns a request in which at most the provider is set, so that a call that is allowed
    changes nothing. A request of WatchEvents also gets an invalid kind, so that the call ends at
    once.
    """
    kind = GetMessageClass(METHODS[rpc].input_type)
    field = METHODS[rpc].input_type.fields_by_name.get("provider")
    request: Any = kind(provider=provider) if field and not field.message_type else kind()
    if rpc == "WatchEvents":
        request.kinds.append(0)
    return request


async def test_every_role_may_make_exactly_the_calls_that_are_written(house: House) -> None:
    wrong = []
    for role, allowed in ALLOWED.items():
        caller = house.caller(role)
        for rpc in METHODS:
            for provider in "P", "Q":
                request = request_for(rpc, provider)
                another = role == "adapter:P" and getattr(request, "provider", "P") != "P"
                expected = rpc in allowed and not another
                answer = await caller.call(rpc, request)
                refused = answer.code if isinstance(answer, Refusal) else ""
                if (refused != "PERMISSION_DENIED") != expected or refused == "UNAUTHENTICATED":
                    wrong.append((role, rpc, provider, answer))
    assert wrong == []


def test_of_an_adapters_call_without_a_provider_it_is_known_where_the_provider_is_checked() -> None:
    for_adapters = {rpc for rpc in METHODS if access.Role.ADAPTER in access.ALLOWED[rpc]}
    assert {rpc for rpc in for_adapters if not rpc_of(METHODS[rpc]).names_provider} == OF_LEASES


async def test_the_role_is_judged_before_the_message_is_decoded(house: House) -> None:
    refusal = await house.caller("crm").call("GetRequest", b"\xff")

    assert (refusal.code, refusal.reason) == ("PERMISSION_DENIED", "PERMISSION_DENIED")
    assert refusal.metadata == {"caller": "crm", "rpc": "GetRequest"}
    adapters = await house.caller("crm").call("SendResponses", b"\xff")
    changes = await house.caller("crm").call("SetProviderState", b"\xff")
    assert changes.message.endswith("this needs the role operator")
    assert adapters.message.endswith("this needs one of the roles adapter:PROVIDER, operator")


async def test_without_right_credentials_every_call_is_refused_and_tells_no_secret(
    house: House,
) -> None:
    token = house.tokens["operator"]
    wrong = ((), bearer("guess"), (("authorization", token),), (("authorization", "Basic QQ=="),))
    with capture_logs() as logs:
        for metadata in wrong:
            caller = Caller(house.channel, metadata=metadata)
            for rpc in METHODS:
                refusal = await caller.call(rpc, b"\xff")
                assert (refusal.code, refusal.reason) == ("UNAUTHENTICATED", "UNAUTHENTICATED")
                assert not any(each in str(refusal) for each in ("guess", token))
    calls = [each["calls"] for each in logs if each["event"] == "credentials_refused"]
    assert calls == [1, 10, 100]
    assert not any(each in str(logs) for each in ("guess", token))


async def test_health_is_for_everybody_and_reflection_for_known_callers(house: House) -> None:
    health: Any = health_pb2_grpc.HealthStub(house.channel)
    answer = await health.Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING

    stub: Any = reflection_pb2_grpc.ServerReflectionStub
    reflection = stub(house.channel)
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    known = bearer(house.tokens["adapter:Q"])
    async for listed in reflection.ServerReflectionInfo(iter([asked]), metadata=known):
        assert len(listed.list_services_response.service) > 5
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await reflection.ServerReflectionInfo(iter([asked])).read()
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_the_watchers_of_the_health_are_bounded(house: House) -> None:
    health: Any = health_pb2_grpc.HealthStub(house.channel)

    def watching(service: str = "") -> Any:
        return health.Watch(health_pb2.HealthCheckRequest(service=service))

    watchers = [watching() for _ in range(20)]
    for each in watchers:
        assert (await each.read()).status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.aio.AioRpcError, match="20 clients watch the health") as refused:
        await watching().read()
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

    watchers[0].cancel()
    while refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await watching("x" * 10_000).read()
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def prepared(operator: AsyncClient) -> None:
    """Creates a pending request at P."""
    made = Provider(code="P", distributors=[Distributor(code="M")])
    made.services.append(Service(code="S", provider_service_id="1"))
    await operator.create_provider(made)
    await operator.set_provider_state("P", state="EFFECTIVE")
    become = actions.BecomeSubscriber(type="DTH", services=[("P", "M", "S")])
    await operator.perform(become, subscription="S1")


async def read_to_the_end(stream: Any) -> None:
    while await stream.read():
        pass


async def ask_for_ever(client: AsyncClient) -> None:
    while True:
        await anext(client.list_providers(), None)


async def test_an_adapter_neither_answers_nor_holds_requests_of_another_provider(
    house: House,
) -> None:
    async with (
        house.client("operator") as operator,
        house.client("adapter:P") as own,
        house.client("adapter:Q") as other,
    ):
        await prepared(operator)
        await operator.create_provider(Provider(code="Q"))
        (taken,) = (await own.pull("P", adapter="a")).subscriptions
        for change in (other.extend_leases, other.release_leases, operator.extend_leases):
            if change == operator.extend_leases:
                assert (await change([taken.lease_token]))[0].live
                continue
            with pytest.raises(PermissionDenied) as denied:
                await change([taken.lease_token])
            assert denied.value.metadata["provider"] == "P"
        answer = ProvisioningResponse(
            request=taken.requests[0].number,
            lease_token=taken.lease_token,
            status=ResponseStatus.ACCEPTED,
        )
        (told,) = await other.send_responses("Q", responses=[answer])
        assert told.code == ResponseCode.NOT_FOUND
        (told,) = await own.send_responses("P", responses=[answer])
        assert told.code == ResponseCode.APPLIED


async def test_an_adapter_of_the_client_library_serves_its_provider_with_its_token(
    house: House,
) -> None:
    adapter = Adapter(house.address, provider="P", name="a", token=house.tokens["adapter:P"])
    adapter.otherwise(lambda _: None)
    async with house.client("operator") as operator, house.client("crm") as crm:
        await prepared(operator)
        serving = asyncio.create_task(adapter.serve())
        (action,) = [each async for each in crm.list_actions()]
        settled = await crm.get_action(action.id, wait=timedelta(seconds=20))
        assert settled.state == ActionState.SETTLED
        adapter.stop()
        await serving


async def test_streams_and_waiting_calls_end_soon_after_their_caller_was_removed(
    house: House,
) -> None:
    async with house.client("operator") as operator, house.client("adapter:P") as adapter:
        await prepared(operator)
        stream: Any = house.channel.unary_stream(
            "/generic_provider.v1.ProvisioningService/StreamPendingRequests",
            provisioning.StreamPendingRequestsRequest.SerializeToString,
            provisioning.StreamPendingRequestsResponse.FromString,
        )(
            provisioning.StreamPendingRequestsRequest(provider="P", adapter="a"),
            metadata=bearer(house.tokens["adapter:P"]),
        )
        while not (await stream.read()).HasField("batch"):
            pass
        pulling = asyncio.create_task(adapter.pull("P", adapter="b", wait=timedelta(seconds=30)))
        watching = asyncio.ensure_future(anext(aiter(house.client("crm").watch_events())))
        staying = asyncio.create_task(operator.pull("P", adapter="c", wait=timedelta(seconds=20)))
        stub: Any = reflection_pb2_grpc.ServerReflectionStub
        reflection = stub(house.channel).ServerReflectionInfo(metadata=bearer(house.tokens["crm"]))
        await reflection.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        await reflection.read()
        # when this call is answered, the server has got the earlier calls
        await anext(operator.list_providers(), None)

        forbid(house.file, "adapter-P", "crm")

        with pytest.raises(Unauthenticated):
            await pulling
        with pytest.raises(Unauthenticated):
            await watching
        for each in stream, reflection:
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await read_to_the_end(each)
            assert ended.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert (await staying).subscriptions  # the ended stream has lost its leases


class Flood:
    """Sends messages without end, so the stream to a client that does not read is soon full.

    `begun` is set when the first message is about to be written.
    """

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    def __getattr__(self, _: str) -> Any:
        return self.DownloadArchive

    async def DownloadArchive(self, *_: object) -> AsyncIterator[requests.DownloadArchiveResponse]:  # noqa: N802
        self.begun.set()
        while True:
            yield requests.DownloadArchiveResponse(data=b"x" * 1024 * 1024)


class Unrecorded(Auditing):
    """An audit trail without a store."""

    def __init__(self) -> None:
        self.counted: list[AuditEntry] = []

    def now(self) -> Instant:
        return Instant(0)

    def count(self, entry: AuditEntry) -> None:
        self.counted.append(entry)


@pytest.mark.parametrize("reads", [False, True])
async def test_a_stream_that_its_client_does_not_read_ends_too(*, reads: bool) -> None:
    """If the client has read nothing, the server is still writing the first message."""
    flood, observed = Flood(), asyncio.Queue[str]()
    operator = access.known("operator", frozenset({"operator"}))
    judge = access.Access({access.digest_of("token"): operator}, secure=False)
    calls = Calls(Unrecorded(), access=judge, secure=False, max_streams=9)
    server = grpc.aio.server()
    add_service(
        server, REQUEST, flood, calls, lambda _method, code, _seconds: observed.put_nowait(code)
    )
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    async with grpc.aio.insecure_channel(address) as channel:
        path = "/generic_provider.v1.RequestService/DownloadArchive"
        download: Any = channel.unary_stream(path)
        stream = download(b"", metadata=bearer("token"))
        await (stream.read() if reads else flood.begun.wait())

        judge.callers = {}
        calls.judge_again()

        with pytest.raises(grpc.aio.AioRpcError) as ended:
            async with asyncio.timeout(30):
                await read_to_the_end(stream)
        assert ended.value.code() is grpc.StatusCode.UNAUTHENTICATED
    await server.stop(None)
    assert await observed.get() == "UNAUTHENTICATED"


async def test_a_role_that_is_taken_away_while_the_first_message_arrives_is_no_fault(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of callers is read again while the first message of a report is decoded."""
    judging = access.Admitted.check_provider

    def judge_first(admitted: access.Admitted, provider: str) -> None:
        crm = access.known("adapter-P", frozenset({"crm"}))
        admitted._access.callers = dict.fromkeys(admitted._access.callers, crm)  # noqa: SLF001
        with pytest.raises(Refused):
            admitted.check()
        judging(admitted, provider)

    monkeypatch.setattr(access.Admitted, "check_provider", judge_first)
    request = provisioning.ReportPlatformStateRequest(provider="P")
    with capture_logs() as logs:
        refused = await house.caller("adapter:P").call("ReportPlatformState", request)

    assert (refused.reason, logs) == ("INVALID_FIELD", [])


def _by_a_fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


async def test_a_role_that_was_taken_away_ends_the_stream_and_a_faulty_file_changes_nothing(
    house: House,
) -> None:
    async with house.client("support") as support:
        await anext(support.list_providers(), None)
        good = house.file.read_text()
        with capture_logs() as logs:
            token = house.tokens["crm"]
            for text in (
                "[",
                good.replace("support", "boss"),
                "[a]\nroles=[]\ntokens=['secret']",
                f"[a]\nroles=['{token}']",
                f"[a]\nroles=[]\n{token}=1",
                f"[{token}]\nroles=1",
                f"{token}=1\n{token}=1",
                "a=" + 20_000 * "[",
                "",
                "# no callers",
            ):
                house.file.write_text(text)
                seen = len(logs)
                while len(logs) == seen:
                    await asyncio.sleep(0.01)
                await anext(support.list_providers(), None)
            for replace in (_by_a_fifo, Path.unlink, Path.mkdir, Path.rmdir):
                replace(house.file)
                seen = len(logs)
                while len(logs) == seen:
                    await asyncio.sleep(0.01)
                await anext(support.list_providers(), None)
        assert {each["event"] for each in logs} == {"not_read_again"}
        assert "'boss' is not a role" in logs[1]["error"]
        assert "secret" not in str(logs)
        assert token not in str(logs)
        said = [each["error"].rpartition(": ")[2] for each in logs[-6:]]
        irregular, gone = "is no regular file", "No such file or directory"
        nobody = "names no caller, so every call would be refused; add one with `caller add`"
        assert said == [nobody] * 2 + [irregular, gone] * 2

        house.file.write_text(good.replace('roles = ["support"]', 'roles = ["crm"]'))
        with pytest.raises(PermissionDenied):
            await ask_for_ever(support)


async def test_many_wrong_credentials_are_slowed_down_in_bounded_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wrong_credentials, "DELAY_SECONDS", 60.0)
    judge = wrong_credentials.WrongCredentials()
    hosts = ["10.0.0.1"] * 10_000 + [f"10.1.{n >> 8}.{n & 255}" for n in range(10_000)]
    with capture_logs() as logs:
        tasks = [asyncio.create_task(judge.slow_down(host, size=0)) for host in hosts]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    waiting = [each for each in tasks if not each.done()]

    assert len(waiting) == wrong_credentials.MOST_WAITING == 100
    assert len(judge.refused) == wrong_credentials.MOST_HOSTS
    assert [each["calls"] for each in logs] == [1, 10, 100, 1_000, 10_000, *[1] * 15]
    for each in waiting:
        each.cancel()


async def test_after_many_hosts_with_wrong_credentials_one_line_has_their_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wrong_credentials, "PERIOD_SECONDS", 0.2)
    judge = wrong_credentials.WrongCredentials()
    with capture_logs() as logs:
        for minute in 1, 2:
            for n in range(1_000):
                await judge.slow_down(f"[2001:db8:{minute}::{n:x}]", size=0)
            while len(logs) < minute * (wrong_credentials.MOST_LINES + 1):
                await asyncio.sleep(0.01)

    once = [*["credentials_refused"] * wrong_credentials.MOST_LINES, "credentials_refused_often"]
    assert [each["event"] for each in logs] == once * 2
    assert (logs[-1]["calls"], logs[-1]["lines_left_out"]) == (1_000, 980)


async def test_a_refused_call_with_a_large_message_does_not_wait(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If refused calls with large messages waited for their delay, these messages would fill the
    memory of the server.
    """
    monkeypatch.setattr(wrong_credentials, "DELAY_SECONDS", 60.0)
    guessing = Caller(house.channel, metadata=bearer("guess"))
    large = b"x" * (wrong_credentials.MOST_HELD + 1)
    for rpc in ["ListProviders", "WatchEvents"] * 8:
        assert (await guessing.call(rpc, large)).code == "UNAUTHENTICATED"


async def test_right_credentials_are_not_slowed_down_by_wrong_ones_from_the_same_host(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wrong_credentials, "DELAY_SECONDS", 60.0)
    guessing = Caller(house.channel, metadata=bearer("guess"))
    guesses = [asyncio.create_task(guessing.call("ListProviders", b"")) for _ in range(50)]
    answered = asyncio.as_completed(guesses)
    for _ in range(wrong_credentials.FREE):
        await next(answered)

    assert not isinstance(await house.caller("operator").call("ListProviders", b""), Refusal)
    assert [each.done() for each in guesses].count(True) == wrong_credentials.FREE
    for each in guesses:
        each.cancel()
