from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import grpc
import grpc_testing
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from generic_provider import (
    ActionNotFound,
    Adapter,
    AsyncClient,
    Client,
    ErrorReason,
    PerformActionResponse,
    Provider,
    ProvisioningError,
    ProvisioningResponse,
    RequestState,
    ServerUnavailable,
    Subscription,
    SubscriptionAction,
    actions,
)
from generic_provider._calls import PATHS
from generic_provider._provisioning_calls import pull
from generic_provider._subscription_calls import get_action
from generic_provider.v1 import (
    provider_service_pb2,
    provisioning_service_pb2,
    request_service_pb2,
    reset_service_pb2,
    subscription_service_pb2,
)
from generic_provider.v1.errors_pb2 import ItemError
from support.provisioning_server import provisioning_server, serving
from support.shop import shop

SERVICES = [
    service
    for file in (
        provider_service_pb2,
        provisioning_service_pb2,
        request_service_pb2,
        reset_service_pb2,
        subscription_service_pb2,
    )
    for service in file.DESCRIPTOR.services_by_name.values()
]
METHODS: dict[str, MethodDescriptor] = {
    method.name: method for service in SERVICES for method in service.methods
}
T = TypeVar("T")


class Crm:
    """A client that makes its calls in other threads, while the test plays the server."""

    def __init__(self, threads: ThreadPoolExecutor, **settings: Any) -> None:
        self.channel = grpc_testing.channel(SERVICES, grpc_testing.strict_real_time())
        self.client = Client("localhost:1", **settings)
        self.client.channel = self.channel  # in place of a channel to a server
        self._threads = threads

    def calls(self, do: Callable[[], T]) -> Future[T]:
        return self._threads.submit(do)

    def answers(
        self,
        name: str,
        response: Message | None,
        *,
        code: grpc.StatusCode = grpc.StatusCode.OK,
    ) -> Any:
        _, request, rpc = self.channel.take_unary_unary(METHODS[name])
        rpc.terminate(response, (), code, "")
        return request


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def crm(threads: ThreadPoolExecutor) -> Crm:
    return Crm(threads, performed_by="shop")


def test_an_action_is_sent_under_the_name_of_its_message(crm: Crm) -> None:
    done = crm.calls(lambda: crm.client.perform(actions.Terminate(), subscription="S1"))
    response = PerformActionResponse(subscription=Subscription(number="S1"))
    request = crm.answers("PerformAction", response)
    assert request.WhichOneof("action") == "terminate"
    assert (request.subscription, request.performed_by) == ("S1", "shop")
    assert done.result() == response


def test_an_unavailable_server_is_asked_again_with_the_same_request_id(crm: Crm) -> None:
    done = crm.calls(lambda: crm.client.perform(actions.Regret(), subscription="S1"))
    first = crm.answers("PerformAction", None, code=grpc.StatusCode.UNAVAILABLE)
    again = crm.answers("PerformAction", PerformActionResponse())
    assert first.request_id
    assert first == again
    assert done.result() == PerformActionResponse()


def test_only_unavailable_is_tried_again(crm: Crm) -> None:
    done = crm.calls(lambda: crm.client.get_provider("P"))
    crm.answers("GetProvider", None, code=grpc.StatusCode.INTERNAL)
    error = done.exception()
    assert isinstance(error, ProvisioningError)
    assert error.__suppress_context__


def test_a_server_that_stays_away_is_unavailable_at_the_deadline(
    threads: ThreadPoolExecutor,
) -> None:
    crm = Crm(threads, timeout=timedelta())
    done = crm.calls(lambda: crm.client.get_provider("P"))
    crm.answers("GetProvider", None, code=grpc.StatusCode.UNAVAILABLE)
    assert isinstance(done.exception(), ServerUnavailable)


def test_a_deadline_that_passes_while_connecting_again_means_unavailable(crm: Crm) -> None:
    done = crm.calls(lambda: crm.client.get_provider("P"))
    crm.answers("GetProvider", None, code=grpc.StatusCode.UNAVAILABLE)
    crm.answers("GetProvider", None, code=grpc.StatusCode.DEADLINE_EXCEEDED)
    assert isinstance(done.exception(), ServerUnavailable)


def test_a_list_goes_over_all_pages(crm: Crm) -> None:
    found = crm.calls(lambda: list(crm.client.list_subscriptions(sync_state="OUT_OF_SYNC")))
    page = subscription_service_pb2.ListSubscriptionsResponse
    tokens = [
        crm.answers(
            "ListSubscriptions",
            page(subscriptions=[Subscription(number="S1")], next_page_token="more"),
        ).page_token,
        crm.answers("ListSubscriptions", page(next_page_token="yet more")).page_token,
        crm.answers(
            "ListSubscriptions", page(subscriptions=[Subscription(number="S2")])
        ).page_token,
    ]
    assert tokens == ["", "more", "yet more"]
    assert [each.number for each in found.result()] == ["S1", "S2"]


def test_filters_are_given_by_name_or_number(crm: Crm) -> None:
    states: list[RequestState.ValueType | str] = [RequestState.PENDING, "REJECTED"]
    crm.calls(lambda: list(crm.client.list_requests(type="ADD_UDR", states=states)))
    request = crm.answers("ListRequests", request_service_pb2.ListRequestsResponse())
    assert (list(request.types), list(request.states)) == ([10], [1, 3])
    crm.calls(lambda: list(crm.client.list_requests(states="PENDING")))
    request = crm.answers("ListRequests", request_service_pb2.ListRequestsResponse())
    assert list(request.states) == [1]
    wrong: Any
    for wrong in ("GONE", 99):
        with pytest.raises(ValueError, match=f"{wrong!r} is none of DRAFT, EFFECTIVE"):
            crm.client.list_subscriptions(state=wrong)


def test_what_a_batch_refuses_is_returned_beside_what_was_done(crm: Crm) -> None:
    asked = [actions.request(actions.Regret(), subscription=each) for each in ("S1", "S2")]
    done = crm.calls(lambda: crm.client.batch_perform(asked))
    result = subscription_service_pb2.BatchPerformActionsResponse.Result
    response = subscription_service_pb2.BatchPerformActionsResponse(
        results=[
            result(action=SubscriptionAction(id="A1")),
            result(error=ItemError(code=5, reason=ErrorReason.ACTION_NOT_FOUND, message="no")),
        ]
    )
    request = crm.answers("BatchPerformActions", response)
    assert {each.performed_by for each in request.actions} == {"shop"}
    first, second = done.result()
    assert first == SubscriptionAction(id="A1")
    assert isinstance(second, ActionNotFound)


def test_an_action_may_be_repeated_in_a_batch(crm: Crm) -> None:
    again = actions.request(actions.Regret(), subscription="S1", request_id="order")
    crm.calls(lambda: crm.client.perform(actions.Regret(), subscription="S1", request_id="order"))
    single = crm.answers("PerformAction", PerformActionResponse())
    crm.calls(lambda: crm.client.batch_perform([again]))
    response = subscription_service_pb2.BatchPerformActionsResponse()
    batch = crm.answers("BatchPerformActions", response)
    assert list(batch.actions) == [single]


def test_a_change_names_who_made_it(crm: Crm) -> None:
    crm.calls(lambda: crm.client.set_provider_state("P", state="EFFECTIVE", performed_by="ann"))
    response = provider_service_pb2.SetProviderStateResponse(provider=Provider(code="P"))
    request = crm.answers("SetProviderState", response)
    assert (request.state, request.performed_by) == (2, "ann")


def test_an_action_is_found_by_one_key(crm: Crm) -> None:
    with pytest.raises(ValueError, match="either"):
        crm.client.get_action("A1", request_id="x")
    crm.calls(lambda: crm.client.get_action(request_id="x", wait=timedelta(seconds=3)))
    request = crm.answers("GetAction", subscription_service_pb2.GetActionResponse())
    assert (request.WhichOneof("key"), request.wait.seconds) == ("request_id", 3)


@pytest.mark.parametrize(
    ("wait", "held"),
    [(None, 0), (timedelta(seconds=3), 3), (timedelta.max, 30), (timedelta.min, 0)],
)
def test_the_longest_wait_is_the_server_s(crm: Crm, wait: timedelta | None, held: int) -> None:
    waiting = timedelta(seconds=held)
    assert get_action(crm.client, "A1", wait=wait).wait == waiting
    assert pull(crm.client, "P", adapter="a", wait=wait).wait == waiting


def test_a_call_may_wait_with_the_longest_timeout(threads: ThreadPoolExecutor) -> None:
    crm = Crm(threads, timeout=timedelta.max)
    done = crm.calls(lambda: crm.client.get_action("A1", wait=timedelta(seconds=3)))
    crm.answers("GetAction", subscription_service_pb2.GetActionResponse())
    assert done.result() == SubscriptionAction()


def test_two_threads_that_open_the_channel_get_the_same() -> None:
    with Client("localhost:1") as client:
        # From Python 3.12 on, several threads may call the function of a cached_property at the
        # same time.
        opened = [vars(Client)["channel"].func(client) for _ in range(2)]
        assert opened == [client.channel, client.channel]


def test_both_clients_have_every_call_but_that_of_the_adapter() -> None:
    ours = {name for name, each in vars(Client).items() if hasattr(each, "__wrapped__")}
    assert ours == {
        name for name, each in vars(AsyncClient).items() if hasattr(each, "__wrapped__")
    }
    ours_too = [each for each in METHODS.values() if each.name != "StreamPendingRequests"]
    assert len(ours | {Client.report_platform_state.__name__}) == len(ours_too)
    assert inspect.iscoroutinefunction(AsyncClient.report_platform_state)
    assert {each.output_type.full_name for each in ours_too} <= set(PATHS)


def test_methods_tell_their_arguments() -> None:
    assert str(inspect.signature(Client("x:1").get_provider)).startswith("(provider: ")


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_help_shows_how_methods_are_called_and_what_they_return(
    client: type[Client | AsyncClient],
) -> None:
    several = "AsyncIterator" if client is AsyncClient else "Iterator"
    shown = {
        name: inspect.signature(each)
        for name, each in vars(client).items()
        if hasattr(each, "__wrapped__")
    }

    assert {next(iter(each.parameters)) for each in shown.values()} == {"self"}
    returned = {name: str(each.return_annotation) for name, each in shown.items()}
    assert returned["get_action"] == "v1.SubscriptionAction"
    assert returned["list_requests"] == f"{several}[ProvisioningRequest]"
    assert returned["watch_events"] == f"{several}[v1.Event]"
    assert returned["download_archive"] == f"{several}[bytes]"
    assert returned["delete_reset_run_definition"] == "None"
    assert returned["extend_leases"] == "list[v1.LeaseResult]"
    assert not [name for name, each in returned.items() if not each or "Response," in each]


def test_an_object_in_place_of_its_number_is_named_by_its_type() -> None:
    with Client("localhost:1") as client, pytest.raises(TypeError) as wrong:
        client.perform(actions.Activate(), subscription=Subscription(number="S1"))  # type: ignore[arg-type]
    assert str(wrong.value) == "subscription must be a text, not a message Subscription"


async def test_the_async_client_has_its_calls_awaited() -> None:
    async with provisioning_server() as server, AsyncClient(server.address) as client:
        leases = await client.extend_leases(["T1", "T2"])
        assert [each.lease_token for each in leases] == ["T1", "T2"]
        server.losing = 1
        answer = ProvisioningResponse(request="R1")
        (result,) = await client.send_responses("P", responses=[answer])
        assert result.request == "R1"
        assert server.batches == [["R1"], ["R1"]]


async def test_an_async_list_raises_what_its_page_raised() -> None:
    async with provisioning_server() as server, AsyncClient(server.address) as client:
        with pytest.raises(ProvisioningError) as refusal:
            async for _ in client.list_providers():
                pass
    assert refusal.value.code is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    "address",
    [
        *(
            "localhost",
            "localhost:",
            "localhost:http",
            "localhost:50051 ",
            "http://localhost:50051",
        ),
        *(
            "",
            "::1",
            "[::1]",
            "crm.example",
            "dns:localhost",
            "ipv4:127.0.0.1",
            "unix:",
            None,
            50051,
        ),
    ],
)
def test_an_address_that_is_none_is_refused_at_once(address: Any) -> None:
    for kind in (Client, AsyncClient, partial(Adapter, provider="P", name="a")):
        with pytest.raises(ValueError, match="is HOST:PORT, like localhost:50051, not"):
            kind(address)


def test_settings_of_another_type_are_refused_at_once(crm: Crm) -> None:
    wrong: Any = 30
    for refused in (
        lambda: Client("localhost:1", timeout=wrong),
        lambda: Client("localhost:1", tls=wrong),
        lambda: Adapter("localhost:1", provider="P", name="a", lease_duration=wrong),
        lambda: crm.client.get_action("A1", wait=wrong),
        lambda: crm.client.extend_leases("T1"),
        lambda: crm.client.release_leases("T1"),
        lambda: crm.client.list_audit_entries(methods="PerformAction"),
    ):
        with pytest.raises(
            TypeError, match=r"timeout|tls|lease_duration|wait|lease_tokens|methods"
        ):
            refused()


def test_a_token_that_cannot_be_sent_is_refused_and_not_shown() -> None:
    wrong: Any
    for kind in (Client, AsyncClient, partial(Adapter, provider="P", name="a")):
        for wrong in ("secret\n", "sécret", b"secret"):
            with pytest.raises((TypeError, ValueError), match=r"^token ") as refused:
                kind("localhost:1", token=wrong)
            assert "cret" not in str(refused.value)


async def test_no_proxy_leads_to_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("grpc_proxy", "http://127.0.0.1:9")
    async with shop(tmp_path) as crm, AsyncClient(crm.address) as client:
        assert [each.code async for each in client.list_providers()] == ["P"]
        adapter = Adapter(crm.address, provider="P", name="a")
        adapter.otherwise(lambda _: None)
        async with serving(adapter):
            await crm.subscribe(["S1"])
            assert (await crm.tried())["S1"].state == RequestState.COMPLETED


def test_tls_is_used_unless_the_address_is_local() -> None:
    def encrypted(address: str, *, tls: bool | None = None) -> bool:
        return Client(address, tls=tls)._target.credentials() is not None  # noqa: SLF001

    assert encrypted("crm.example:50051")
    assert not encrypted("crm.example:50051", tls=False)
    assert not encrypted("localhost:50051")
    assert not encrypted("unix:/run/provider.sock")
    assert encrypted("localhost:50051", tls=True)
    for local in ("[::1]:1", "dns:///LOCALHOST:1", "ipv4:127.0.0.1:1,127.0.0.2:2", "ipv6:[::1]:1"):
        assert not encrypted(local)
    for far in (
        "127.example.com:1",
        "dns://127.0.0.1/crm.example:1",
        "ipv4:127.0.0.1:1,10.0.0.1:1",
    ):
        assert encrypted(far)


INTERRUPTED = """
import socket
import grpc._channel
from generic_provider import Client

def interrupt(state):  # gRPC calls this function after a call of the channel has begun
    raise KeyboardInterrupt

grpc._channel._run_channel_spin_thread = interrupt
with socket.create_server(("127.0.0.1", 0)) as silent:
    with Client(f"127.0.0.1:{silent.getsockname()[1]}") as client:
        list(client.watch_events())
"""


def test_ctrl_c_while_a_call_begins_does_not_keep_the_client_open() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False, timeout=30
    )

    assert ended.stderr.rstrip().endswith("KeyboardInterrupt")
