"""Tests the audit trail with calls of every RPC: the calls leave the right entries, and no other
entries.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from generic_provider import (
    Account,
    ArchiveState,
    AsyncClient,
    AuditEntry,
    Distributor,
    ErrorReason,
    PermissionDenied,
    PlatformSubscription,
    Provider,
    ProvisioningError,
    ProvisioningResponse,
    ResetRunDefinition,
    ResetRunState,
    ResponseStatus,
    Service,
    Unauthenticated,
    actions,
)
from generic_provider.v1 import provisioning_service_pb2 as provisioning
from generic_provider.v1.provisioning_service_pb2_grpc import ProvisioningServiceStub
from generic_provider.v1.subscription_service_pb2 import PerformActionRequest
from generic_provider_server.app import running
from generic_provider_server.config import Settings
from generic_provider_server.rpc.audited_calls import (
    RECORDED_EACH,
    RECORDED_IF_REFUSED,
    RECORDED_TOGETHER,
)
from generic_provider_server.store.write.next_group import MOST_IN_GROUP
from support.callers import allow
from support.calling import METHODS, Caller

Facts = dict[str, Any]
NEXT_YEAR = datetime.now(UTC) + timedelta(days=365)


@dataclass
class House:
    """A server with known callers. `tokens`: by the callers' names."""

    address: str
    tokens: dict[str, str]

    def client(self, name: str) -> AsyncClient:
        return AsyncClient(self.address, token=self.tokens[name])


@pytest.fixture
async def crm(caller: Caller, address: str) -> AsyncIterator[AsyncClient]:
    del caller  # the fixture has set the providers up
    async with AsyncClient(address, performed_by="olev") as client:
        yield client


async def trail(crm: AsyncClient, **filters: Any) -> list[AuditEntry]:
    return [entry async for entry in crm.list_audit_entries(**filters)]


async def latest(
    crm: AsyncClient, enough: Callable[[list[AuditEntry]], bool], **filters: Any
) -> list[AuditEntry]:
    """Waits at most 30 seconds until enough entries match, and returns these entries. Some entries
    are written after their call has returned.
    """
    found = list[AuditEntry]()
    with suppress(TimeoutError):
        async with asyncio.timeout(30):
            while not enough(found := await trail(crm, **filters)):
                await asyncio.sleep(0.05)
    return found


def test_it_is_decided_of_every_rpc_what_is_recorded() -> None:
    assert METHODS.keys() == RECORDED_IF_REFUSED | RECORDED_TOGETHER | RECORDED_EACH
    assert len(METHODS) == len(RECORDED_IF_REFUSED) + len(RECORDED_TOGETHER) + len(RECORDED_EACH)


async def test_every_change_leaves_one_entry_that_says_who_did_what_to_what(
    crm: AsyncClient, caller: Caller
) -> None:
    expected: list[tuple[str, Facts]] = []

    def did(method: str, **facts: Any) -> None:
        expected.append((method, {"performed_by": "olev", "done": 1, "refused": 0, **facts}))

    await _set_up(crm, did)
    await _act(crm, did)
    await _serve(crm, did)
    await _reset(crm, did)
    await _archive(crm, did)
    stream = provisioning.StreamPendingRequestsRequest(provider="P", adapter="a")
    await caller.call("StreamPendingRequests", stream)
    assert {method for method, _ in expected} == RECORDED_EACH

    found = await latest(
        crm, lambda found: {each.method for each in found} >= RECORDED_EACH | RECORDED_TOGETHER
    )
    assert {each.method for each in found} >= RECORDED_EACH | RECORDED_TOGETHER
    of_changes = [
        each for each in found[::-1] if each.method in RECORDED_EACH and each.performed_by
    ]
    of_changes += [
        each for each in found[::-1] if each.method in RECORDED_EACH and not each.performed_by
    ]
    assert len(found) - len(of_changes) == len(
        [each for each in found if each.method in RECORDED_TOGETHER]
    )
    assert not any(each.method in RECORDED_IF_REFUSED for each in found)
    for method, facts in expected:
        matching = [each for each in of_changes if each.method == method and _shows(each, facts)]
        assert len(matching) == 1, (method, facts, [e for e in of_changes if e.method == method])
        assert matching[0].peer == matching[0].caller != ""
        assert (matching[0].code, list(matching[0].roles)) == (0, [])
    assert len([e for e in of_changes if e.performed_by]) == sum(
        bool(facts["performed_by"]) for _, facts in expected
    )


def _shows(entry: AuditEntry, facts: Facts) -> bool:
    return all(getattr(entry, name) == value for name, value in facts.items())


async def _set_up(crm: AsyncClient, did: Callable[..., None]) -> None:
    made = await crm.get_provider("P")
    made.code, made.etag = "N", ""
    await crm.create_provider(made)
    did("CreateProvider", provider="N")
    await crm.update_provider(made)
    did("UpdateProvider", provider="N")
    await crm.set_provider_state("N", state="EFFECTIVE")
    did("SetProviderState", provider="N", detail="EFFECTIVE")


async def _act(crm: AsyncClient, did: Callable[..., None]) -> None:
    become = actions.BecomeSubscriber(
        type="DTH",
        provider="P",
        items=[("MAIN", "SMARTCARD", "C1"), ("MAIN", "DECODER", "B1")],
        services=[("MAIN", "S1")],
    )
    done = await crm.perform(become, performed_by=" mari\u202e")
    number = done.subscription.number
    facts = {"provider": "P", "subscription": number, "resource": done.action.id}
    did("PerformAction", **facts, detail="BECOME_SUBSCRIBER", performed_by=" mari\u202e")
    add = actions.AddServices(services=[("MAIN", "S2")])
    await crm.perform(add, subscription=number, validate_only=True)
    later = await crm.perform(add, subscription=number, schedule_time=NEXT_YEAR)
    did("PerformAction", subscription=number, resource=later.action.id, detail="ADD_SERVICES")
    await crm.cancel_scheduled_action(later.action.id)
    did("CancelScheduledAction", subscription=number, resource=later.action.id)
    items = [actions.request(add, subscription=number) for _ in range(2)]
    items.append(actions.request(add, subscription="x" * 99))
    await crm.batch_perform(items)
    did("BatchPerformActions", detail="ADD_SERVICES", done=1, refused=2)
    asked = [actions.request(add, subscription=number, validate_only=True) for _ in range(2)]
    await crm.batch_perform(asked)
    change = actions.ChangeSubscriber(holder=Account(name="Mari"))
    await crm.batch_perform([*asked, actions.request(change, subscription=number)])
    did("BatchPerformActions", subscription=number, detail="CHANGE_SUBSCRIBER", done=1)


async def _serve(crm: AsyncClient, did: Callable[..., None]) -> None:
    pulled = await crm.pull("P", adapter="a")
    (lease,) = pulled.subscriptions
    await crm.extend_leases([lease.lease_token])
    answers = [
        ProvisioningResponse(
            request=request, lease_token=lease.lease_token, status=ResponseStatus.ACCEPTED
        )
        for request in (lease.requests[0].number, "R9999999999")
    ]
    await crm.send_responses("P", responses=[*answers, ProvisioningResponse()])
    did("SendResponses", provider="P", done=1, refused=2, performed_by="")
    await crm.send_responses("P", responses=[ProvisioningResponse()])
    did("SendResponses", provider="P", done=0, refused=1, performed_by="")
    (lease,) = (await crm.pull("P", adapter="a")).subscriptions
    await crm.release_leases([lease.lease_token, "?"])
    did("ReleaseLeases", provider="P", done=1, refused=1, performed_by="")
    # an adapter that stops may identify its stream by the token of a lease that has ended
    await crm.release_leases([lease.lease_token], stop=True)
    did("ReleaseLeases", provider="P", done=0, refused=0, performed_by="", detail="STOP")
    first, *_ = [each async for each in crm.list_requests(state="PENDING", oldest_first=True)]
    await crm.resolve_request(first.number, status="ACCEPTED", reason="looked")
    about = {"provider": "P", "subscription": first.subscription}
    did("ResolveRequest", **about, resource=first.number, detail="ACCEPTED: looked")
    become = actions.BecomeSubscriber(type="DTH", provider="P", services=[])
    (second,) = (await crm.perform(become, subscription="S2")).requests
    did("PerformAction", subscription="S2", provider="P", detail="BECOME_SUBSCRIBER")
    await crm.cancel_request(second.number, reason="no\ttruck")
    did("CancelRequest", subscription="S2", resource=second.number, detail="no\ttruck")
    held = [PlatformSubscription(subscription=each, missing=True) for each in ("S2", "S404")]
    await crm.report_platform_state("P", held, observed_time=datetime.now(UTC))
    did("ReportPlatformState", provider="P", performed_by="", done=0, refused=2)


async def _reset(crm: AsyncClient, did: Callable[..., None]) -> None:
    await crm.reset_subscription("S2", validate_only=True)
    await crm.reset_subscription("S2", provider="P", full=True)
    did("ResetSubscription", subscription="S2", provider="P")
    made = await crm.create_reset_run_definition(ResetRunDefinition(name="n", provider="P"))
    of_definition = {"provider": "P", "resource": made.id}
    did("CreateResetRunDefinition", **of_definition)
    await crm.update_reset_run_definition(made)
    did("UpdateResetRunDefinition", **of_definition)
    await crm.set_reset_run_definition_state(made.id, state="EFFECTIVE")
    did("SetResetRunDefinitionState", **of_definition, detail="EFFECTIVE")
    for end, method in (
        (crm.cancel_reset_run, "CancelResetRun"),
        (crm.approve_reset_run, "ApproveResetRun"),
    ):
        run = (await crm.submit_reset_run_definition(made.id, hold=True)).reset_run
        did("SubmitResetRunDefinition", provider="P", resource=run.id)
        while run.state != ResetRunState.HELD:
            run = await crm.get_reset_run(run.id)
        await end(run.id, reason="x" * 300)
        did(method, provider="P", resource=run.id, detail="x" * 200)
    other = await crm.create_reset_run_definition(ResetRunDefinition(name="o", provider="Q"))
    did("CreateResetRunDefinition", provider="Q", resource=other.id)
    await crm.delete_reset_run_definition(other.id)
    did("DeleteResetRunDefinition", resource=other.id)


async def _archive(crm: AsyncClient, did: Callable[..., None]) -> None:
    made = await crm.create_archive(created_before=datetime.now(UTC) - timedelta(days=9))
    did("CreateArchive", resource=made.id)
    while made.state == ArchiveState.CREATING:
        made = await crm.get_archive(made.id)
    async for _ in crm.download_archive(made.id):
        pass
    await crm.delete_archive(made.id, checksum=made.checksum)
    did("DeleteArchive", resource=made.id)


async def test_refused_changes_are_recorded_and_other_calls_are_not(
    crm: AsyncClient, caller: Caller
) -> None:
    before = len(await trail(crm))
    refusals: list[Callable[[], Awaitable[object]]] = [
        lambda: crm.perform(actions.Terminate(), subscription="S404"),
        lambda: crm.perform(actions.Terminate(), subscription="S404", validate_only=True),
        lambda: crm.get_subscription("S404"),
        lambda: crm.pull("P404", adapter="a"),
        lambda: crm.cancel_request("R0000000404", reason="no"),
        lambda: crm.set_provider_state("x" * 999 + "\0", state="EFFECTIVE"),
    ]
    for refused in refusals:
        with pytest.raises(ProvisioningError):
            await refused()
    await caller.call("UpdateProvider", b"\xff")

    found = await latest(crm, lambda found: len(found) >= before + 5)
    assert sorted(_refusal(each) for each in found[:-before]) == [
        ("CancelRequest", "NOT_FOUND", "REQUEST_NOT_FOUND", "R0000000404"),
        ("PerformAction", "NOT_FOUND", "SUBSCRIPTION_NOT_FOUND", "S404"),
        ("PullPendingRequests", "NOT_FOUND", "PROVIDER_NOT_FOUND", "P404"),
        ("SetProviderState", "INVALID_ARGUMENT", "INVALID_FIELD", "x" * 64),
        ("UpdateProvider", "INVALID_ARGUMENT", "INVALID_FIELD", ""),
    ]
    assert all((each.done, each.refused) == (0, 1) for each in found[:-before])
    assert await trail(crm, refused=True, page_size=2) == found[:-before]


def _refusal(entry: AuditEntry) -> tuple[str, str, str, str]:
    code = next(code for code in grpc.StatusCode if code.value[0] == entry.code)
    about = entry.subscription or entry.resource or entry.provider
    return entry.method, code.name, ErrorReason.name_of(entry.reason), about


@pytest.fixture
async def house(url: str, tmp_path: Path) -> AsyncIterator[House]:
    file = tmp_path / "callers.toml"
    tokens = {
        name: allow(file, name, role)
        for name, role in (("crm", "crm"), ("mari", "operator"), ("olev", "operator"))
    }
    settings = Settings(listen="127.0.0.1:0", database=url, callers=file)
    async with running(settings) as address:
        yield House(address, {**tokens, "thief": "wrong"})


async def test_entries_name_the_proven_caller_with_its_roles_and_count_wrong_credentials(
    house: House,
) -> None:
    async with house.client("mari") as mari, house.client("crm") as crm:
        for client in mari, mari:
            await client.create_provider(Provider(code="P"), performed_by="boss", request_id="r")
        for refused in (crm.set_provider_state("P", state="EFFECTIVE"), crm.get_backlog("P")):
            with pytest.raises(PermissionDenied):
                await refused
        for _ in range(3):
            async with house.client("thief") as thief:
                with pytest.raises(Unauthenticated):
                    await thief.get_provider("P")
        found = await latest(mari, lambda found: len(found) >= 5 and len(_unproven(found)) == 3)

    shown = {
        (e.method, e.caller, *e.roles, e.performed_by, e.code, e.done, e.refused)
        for e in found
        if e.method
    }
    assert shown == {
        ("CreateProvider", "mari", "operator", "boss", 0, 1, 0),
        ("SetProviderState", "crm", "crm", "", 7, 0, 1),
        ("GetBacklog", "crm", "crm", "", 7, 0, 1),
    }
    assert {*_unproven(found)} == {"127.0.0.1"}
    assert not any("wrong" in str(entry) for entry in found)
    made = [entry.detail for entry in found if entry.method == "CreateProvider"]
    assert made == ["(repeated)", ""]


async def test_a_batch_that_needs_several_transactions_still_shows_that_an_action_is_a_repeat(
    crm: AsyncClient,
) -> None:
    await crm.batch_perform([_new(0)])
    await crm.batch_perform([_new(n) for n in range(MOST_IN_GROUP + 1)])

    newest, oldest = await trail(crm, methods=["BatchPerformActions"])
    assert (newest.detail, newest.done) == ("BECOME_SUBSCRIBER (repeated)", MOST_IN_GROUP + 1)
    assert (oldest.detail, oldest.done) == ("BECOME_SUBSCRIBER", 1)


def _new(number: int) -> PerformActionRequest:
    become = actions.BecomeSubscriber(type="DTH", draft=True)
    return actions.request(become, subscription=f"B{number}", request_id=f"b{number}")


def _unproven(found: list[AuditEntry]) -> list[str]:
    """Returns the host of each call with wrong credentials."""
    return [host for e in found if e.code == 16 for host in e.refused * [e.caller]]


async def test_addresses_are_written_as_people_write_them(tmp_path: Path) -> None:
    with suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        settings = Settings(listen="[::1]:0", database=f"sqlite:///{tmp_path / 'x.db'}")
        async with running(settings) as address, AsyncClient(address) as client:
            await client.create_provider(Provider(code="P"))
            (entry,) = await latest(client, bool)
            request = provisioning.StreamPendingRequestsRequest(provider="P", adapter="a")
            stream = ProvisioningServiceStub(client.channel).StreamPendingRequests(request)
            await stream.read()
            (adapter,) = [each async for each in client.list_adapters()]
            stream.cancel()
        for written in adapter.peer, entry.peer, entry.caller:
            assert re.fullmatch(r"\[::1\]:\d+", written)
        return
    pytest.skip("needs IPv6 on loopback")


async def test_a_proven_caller_cannot_approve_its_own_run(house: House) -> None:
    async with house.client("mari") as mari, house.client("olev") as olev:
        provider = Provider(
            code="P",
            distributors=[Distributor(code="MAIN")],
            services=[Service(code="SPORT", provider_service_id="1")],
        )
        await mari.create_provider(provider)
        await mari.set_provider_state("P", state="EFFECTIVE")
        made = await olev.create_reset_run_definition(ResetRunDefinition(name="n", provider="P"))
        run = (await mari.submit_reset_run_definition(made.id, hold=True)).reset_run
        while run.state != ResetRunState.HELD:
            run = await mari.get_reset_run(run.id)
        with pytest.raises(PermissionDenied) as refused:
            await mari.approve_reset_run(run.id, reason="mine", performed_by="somebody")
        assert refused.value.metadata == {"caller": "mari", "reset_run": run.id}
        approved = await olev.approve_reset_run(run.id, reason="looked", performed_by="root")
        assert approved.approved_by == "root"
        assert approved.message.endswith("; approved by caller olev: looked")
        found = await latest(olev, lambda found: len(found) == 2, methods=["ApproveResetRun"])
        again = await olev.approve_reset_run(run.id, reason="looked", performed_by="root")
        assert again.message == approved.message

    assert [(each.caller, each.code, each.resource) for each in found] == [
        ("olev", 0, run.id),
        ("mari", 7, run.id),
    ]


async def test_an_entry_has_the_time_at_which_its_call_began(crm: AsyncClient) -> None:
    async def after_a_while() -> AsyncIterator[PlatformSubscription]:
        await asyncio.sleep(1.5)
        yield PlatformSubscription(subscription="S1", missing=True)

    began = datetime.now(UTC)
    await crm.report_platform_state("P", after_a_while(), observed_time=began)

    (entry,) = await trail(crm, methods=["ReportPlatformState"])
    assert entry.time.ToDatetime(UTC) < began + timedelta(seconds=1)
