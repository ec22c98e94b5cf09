"""Tests `generic_provider.testing`: it runs routines without a server, and has a fake platform."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from generic_provider import (
    Account,
    ActionState,
    Adapter,
    Client,
    InstalledItem,
    PlatformDown,
    PlatformTarget,
    ProvisionedService,
    ProvisioningRequest,
    Reject,
    RequestType,
    ResponseStatus,
    RetryLater,
    Work,
    actions,
    testing,
)
from support.command_line import run
from support.processes import Server
from support.provisioning_server import serving
from support.shop import shop

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/adapters.md").read_text(encoding="utf-8")
ROWS = [line.split("|") for line in PAGE.split("## What requests carry")[1].splitlines()]
DOCUMENTED = {
    name: set(re.findall(r"`(\w+)`", row[2]))
    for row in ROWS
    if len(row) == 5
    for name in re.findall(r"`(\w+)`", row[1])
}
FILM = ProvisionedService(service="FILM", provider_service_id="1003", distributor="MAIN")


def adapter() -> Adapter:
    made = Adapter("localhost:1", provider="P", name="a")

    @made.on(RequestType.BECOME_SUBSCRIBER)
    async def become(request: ProvisioningRequest) -> str:
        await asyncio.sleep(0)
        return f"A-{request.account.name}"

    @made.on(RequestType.ACTIVATE_SERVICE)
    def activate(request: ProvisioningRequest) -> None:
        if request.service.service == "FILM":
            raise Reject("E42", "not on this card")

    @made.target
    def put(work: Work) -> None:
        if work.target.items:
            raise PlatformDown(5)

    return made


def test_a_routine_is_run_without_a_server() -> None:
    become = testing.request("BECOME_SUBSCRIBER", account=Account(name="Mari"))
    taken = testing.run(adapter(), become)
    assert (taken.request, taken.status) == (become.number, ResponseStatus.ACCEPTED)
    assert taken.account_number == "A-Mari"
    refused = testing.run(adapter(), testing.request("ACTIVATE_SERVICE", service=FILM))
    assert (refused.status, refused.error_code) == (ResponseStatus.REJECTED, "E42")
    unknown = testing.run(adapter(), testing.request(RequestType.ADD_UDR))
    assert (unknown.status, unknown.error_code) == (ResponseStatus.RETRY_LATER, "UNKNOWN_TYPE")


async def test_a_single_routine_is_run_on_the_loop_of_the_test() -> None:
    async def later(_: ProvisioningRequest) -> None:
        raise RetryLater(timedelta(seconds=5))

    answer = await testing.run_async(later, testing.request("UPDATE_ADDRESS"))
    assert (answer.status, answer.retry_delay.seconds) == (ResponseStatus.RETRY_LATER, 5)


def test_a_target_routine_gets_its_target_and_a_platform_that_is_down_is_told() -> None:
    request = testing.request("ADD_INSTALLED_ITEM")
    assert testing.run(adapter(), request).status == ResponseStatus.ACCEPTED
    with pytest.raises(PlatformDown) as down:
        testing.run(adapter(), request, target=PlatformTarget(items=[InstalledItem()]))
    assert down.value.retry_after == timedelta(seconds=5)


def test_an_exception_of_a_routine_shows_its_text() -> None:
    made = Adapter("localhost:1", provider="P", name="a")

    @made.otherwise
    def down(_: ProvisioningRequest) -> None:
        raise PlatformDown(60, text="no answer from 7071")

    with pytest.raises(PlatformDown, match="no answer from 7071"):
        testing.run(made, testing.request("ACTIVATE_SERVICE"))
    assert str(PlatformDown(60)) == "60"
    assert str(RetryLater(5, code="BUSY", text="no free slot")) == "BUSY no free slot"
    assert str(RetryLater("no free slot")) == "no free slot"


@pytest.mark.parametrize("type_", RequestType.values())
def test_what_is_made_up_is_what_requests_of_the_type_carry(type_: RequestType.ValueType) -> None:
    request = testing.request(type_)
    parts = {"account", "address", "service", "services"}
    parts |= {"installed_item", "installed_items", "usage"}
    carried = {each.name for each, _ in request.ListFields()} & parts
    assert carried == DOCUMENTED[RequestType.name_of(type_)]
    assert testing.request(type_).number > request.number


def test_a_made_up_usage_record_names_its_service_as_from_a_server() -> None:
    used = testing.request("ADD_UDR", service=FILM)
    named = (used.usage.provider, used.usage.distributor, used.usage.service)
    assert named == (used.provider, FILM.distributor, FILM.service)
    assert testing.request("CANCEL_UDR").usage.service == "SPORT"


def test_a_made_up_request_has_its_times_and_its_items_have_a_provider() -> None:
    request = testing.request("ACTIVATE_SERVICE")
    assert request.create_time == request.schedule_time != Timestamp()
    assert request.delivery_attempts == 1
    assert [each.provider for each in request.service.items] == [request.provider]


async def test_the_traceback_of_a_fault_does_not_grow_with_each_failure() -> None:
    platform = testing.FakePlatform()
    platform.fail(ConnectionError("the platform is away"))
    lines = []
    for _ in range(3):
        with pytest.raises(ConnectionError) as failed:
            await platform.do(testing.request("ACTIVATE_SERVICE"))
        lines.append(len(failed.traceback))
    assert lines == [lines[0]] * 3


def test_a_type_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="'ACTIVATE' is none of"):
        testing.request("ACTIVATE")
    with pytest.raises(ValueError, match="'ACTIVATE' is none of"):
        testing.FakePlatform().fail(RetryLater(), type="ACTIVATE")


def test_a_fake_platform_serves_a_crm(tmp_path: Path) -> None:
    platform = testing.FakePlatform()
    platform.fail(RetryLater(0), type="BECOME_SUBSCRIBER", times=2)
    platform.fail(Reject("E42", "not on this card"), type="ACTIVATE_SERVICE", service="FILM")
    card, box = ("MAIN", "SMARTCARD", "001"), ("MAIN", "DECODER", "B1")
    with Server(tmp_path) as server, Client(server.address) as crm:
        file = str(ROOT / "docs/aluxsat.toml")
        assert run("provider", "apply", file, "--effective", server=server).exit_code == 0
        with platform.serving(server.address, provider="ALUXSAT"):
            family = actions.BecomeSubscriber(
                type="DTH", provider="ALUXSAT", items=[card, box], services=[("MAIN", "SPORT")]
            )
            number = crm.perform(family).subscription.number
            for action, state in (
                (actions.AddServices(services=[("MAIN", "NEWS")]), ActionState.SETTLED),
                (actions.AddServices(services=[("MAIN", "FILM")]), ActionState.REJECTED),
                (actions.RemoveServices(services=[("MAIN", "SPORT")]), ActionState.SETTLED),
                (
                    actions.SwapItem(
                        old_serial_number="001", new_item=("MAIN", "SMARTCARD", "002")
                    ),
                    ActionState.SETTLED,
                ),
                (actions.ChangeSubscriber(holder=Account(name="Mari")), ActionState.SETTLED),
            ):
                done = crm.perform(action, subscription=number).action
                assert crm.get_action(done.id, wait=timedelta(seconds=30)).state == state

    held = platform.subscribers[number]
    assert held.services == {("MAIN", "1002")}
    assert held.items == {("MAIN", "002"), ("MAIN", "B1")}
    assert (held.account_number, held.account.name) == (f"A-{number}", "Mari")
    assert [each.type for each in platform.requests][:2] == [
        RequestType.BECOME_SUBSCRIBER,
        RequestType.ACTIVATE_SERVICE,
    ]


async def test_a_fake_platform_serves_on_the_loop_of_the_test(tmp_path: Path) -> None:
    platform = testing.FakePlatform()
    async with shop(tmp_path) as crm, serving(platform.adapter(crm.address, provider="P")):
        await crm.subscribe(["S1"])
        await crm.tried()
    assert platform.subscribers["S1"].services == {("MAIN", "1")}


def test_a_request_that_comes_again_is_not_done_again() -> None:
    platform = testing.FakePlatform()
    become = testing.request("BECOME_SUBSCRIBER")
    first, again = testing.run(platform.do, become), testing.run(platform.do, become)
    assert first == again
    assert len(platform.requests) == 1


@pytest.mark.parametrize(
    "type_", ["DEACTIVATE_SERVICE", "DEACTIVATE_SUBSCRIBER", "REMOVE_INSTALLED_ITEM", "CANCEL_UDR"]
)
def test_a_fake_platform_accepts_a_removal_from_an_unknown_subscriber(type_: str) -> None:
    platform = testing.FakePlatform()
    answer = testing.run(platform.do, testing.request(type_))
    assert answer.status == ResponseStatus.ACCEPTED
    assert not platform.subscribers


def test_a_fake_platform_removes_what_is_named_without_a_viewing_point() -> None:
    platform = testing.FakePlatform()
    become = testing.request("BECOME_SUBSCRIBER")
    testing.run(platform.do, become)
    service, card = become.services[0], become.installed_items[0]
    service.distributor = card.distributor = ""
    testing.run(platform.do, testing.request("DEACTIVATE_SERVICE", service=service))
    testing.run(platform.do, testing.request("REMOVE_INSTALLED_ITEM", installed_item=card))
    (held,) = platform.subscribers.values()
    assert (held.services, held.items) == (set(), set())


def test_a_server_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generic_provider._fake_platform._CONNECT_SECONDS", 0.2)
    with (
        pytest.raises(TimeoutError, match=r"no server at 127.0.0.1:1 that knows provider P"),
        testing.FakePlatform().serving("127.0.0.1:1", provider="P"),
    ):
        pass
