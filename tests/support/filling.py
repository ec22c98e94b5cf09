"""Puts a large state into a database within seconds: the rows that the service has written for two
subscriptions are copied in SQL under other numbers.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import grpc
from google.protobuf.duration_pb2 import Duration

from generic_provider import Client, Distributor, Provider, ProviderExists, Service, actions
from generic_provider.v1 import provisioning_service_pb2 as api
from generic_provider.v1.provisioning_service_pb2_grpc import ProvisioningServiceStub
from generic_provider.v1.subscription_service_pb2 import PerformActionRequest
from generic_provider.v1.subscription_service_pb2_grpc import SubscriptionServiceStub

from .copying import BLOCK, MARK, Copies, Copying, copy, copying, rows

START = "serving on "
PROVIDER = "BENCH"
NEWS = [("MAIN", "NEWS")]
BEHIND = 100
"""In a blocked subscription, this many requests wait behind the first request."""
DELAY = Duration(seconds=86_400)


def number(n: int) -> str:
    return f"B{n:07}"


def provider() -> Provider:
    services = [
        Service(code="SPORT", provider_service_id="1"),
        Service(code="NEWS", provider_service_id="2"),
    ]
    return Provider(code=PROVIDER, distributors=[Distributor(code="MAIN")], services=services)


def existing(subscription: str) -> PerformActionRequest:
    """Returns an action that makes a subscriber with an account that already holds SPORT, so that
    no request is created.
    """
    account = actions.ExistingAccount(
        provider=PROVIDER, account_number=subscription, holds_everything=True
    )
    become = actions.BecomeSubscriber(
        type="DTH", provider=PROVIDER, services=[("MAIN", "SPORT")], existing=[account]
    )
    return actions.request(become, subscription=subscription)


def change(n: int, subscription: str) -> PerformActionRequest:
    """Returns the n-th change of a subscription. If n is even, the change adds NEWS, otherwise it
    removes NEWS.
    """
    kind = actions.RemoveServices if n % 2 else actions.AddServices
    return actions.request(kind(services=NEWS), subscription=subscription)


def fill(url: str, *, subscriptions: int, settled: int, blocked: int, drifted: int = 0) -> None:
    """Fills a migrated database that contains no subscriptions and that no server uses at the time.

    The first subscriptions, from `number(0)`, are linked, and the settled requests are distributed
    over them. In each of the next `blocked / BEHIND` subscriptions, BEHIND requests wait behind a
    request whose retry is due in a day. The last `drifted` subscriptions are out of sync.
    """
    stuck = blocked // BEHIND
    linked = subscriptions - stuck - drifted
    if blocked % BEHIND or settled % 2 or linked < 1:
        raise ValueError("these numbers of requests cannot be spread evenly")
    with closing(copying(url)) as database:
        _count_on(database, after=MARK * BLOCK)
        with _serving(url) as address:
            _make_linked(address, changes=2 * -(-settled // (2 * linked)))
            uses = _uses(database)
            if stuck:
                _make_stuck(address, number(linked))
            uses_of_both = _uses(database)
            if drifted:
                _make_drifted(address, number(linked + stuck))
        uses_of_all = _uses(database)
        with database.bulk():
            for table, key in _tables_of_subscriptions(database):
                _copy_linked(database, table, key=key, linked=linked, settled=settled)
                _copy_stuck(database, table, key=key, first=linked, count=stuck)
                _copy_stuck(database, table, key=key, first=linked + stuck, count=drifted)
            for thing, every in uses_of_all.items():
                one, both = uses.get(thing, 0), uses_of_both.get(thing, 0)
                counted = one * linked + (both - one) * stuck + (every - both) * drifted
                _set_uses(database, thing, uses=counted)
            _count_on(database, after=(MARK + subscriptions + 1) * BLOCK)


def _copy_linked(database: Copying, table: str, *, key: str, linked: int, settled: int) -> None:
    """Copies the linked subscriptions. The last pair of changes, which add and remove NEWS, is
    copied only until there are `settled` requests.
    """
    for n, row in enumerate(rows(database, table, key=key, of=number(0))):
        pair = {"action": (n + 1) // 2 - 1, "request": n // 2}.get(table, -1)
        count = linked if pair < 0 else min(linked, settled // 2 - pair * linked)
        copies = Copies(number=number(0), target="k", start=1, stop=count - 1)
        copy(database, table, row, copies)


def _copy_stuck(database: Copying, table: str, *, key: str, first: int, count: int) -> None:
    copies = Copies(number=number(first), target=f"k + {first}", start=1, stop=count - 1)
    for row in rows(database, table, key=key, of=number(first)):
        copy(database, table, row, copies)


def _tables_of_subscriptions(database: Copying) -> list[tuple[str, str]]:
    """Returns the tables with rows of subscriptions, each with its column for the subscription. The
    audit trail is left out, because its keys are not consecutive numbers.
    """
    columns = database.run(database.columns).fetchall()
    return [("subscription", "number")] + [
        (table, column)
        for table, column in columns
        if column == "subscription" and table != "audit"
    ]


def _count_on(database: Copying, *, after: int) -> None:
    database.run("UPDATE counter SET value = ? WHERE name IN ('action', 'request')", (after,))


def _uses(database: Copying) -> dict[tuple[str, str], int]:
    found = database.run("SELECT provider, thing, uses FROM provider_use").fetchall()
    return {(code, thing): uses for code, thing, uses in found}


def _set_uses(database: Copying, thing: tuple[str, str], *, uses: int) -> None:
    change = "UPDATE provider_use SET uses = ? WHERE provider = ? AND thing = ?"
    database.run(change, (uses, *thing))


@contextmanager
def _serving(url: str) -> Iterator[str]:
    """Runs a server while the `with` block runs, and yields its address."""
    command = [sys.executable, "-m", "generic_provider_server", "serve"]
    command += ["--listen", "127.0.0.1:0", "--database", url, "--log-level", "error"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stdout or ():
                if line.startswith(START):
                    yield line.removeprefix(START).strip()
                    return
            raise RuntimeError("the server did not start")
        finally:
            process.terminate()


def _make_linked(address: str, *, changes: int) -> None:
    with Client(address) as client:
        with suppress(ProviderExists):
            client.create_provider(provider())
        client.set_provider_state(PROVIDER, state="EFFECTIVE")
    _perform(address, [existing(number(0)), *[change(n, number(0)) for n in range(changes)]])
    _answer(address, count=changes, status=api.RESPONSE_STATUS_ACCEPTED)


def _make_stuck(address: str, subscription: str) -> None:
    waiting = [change(n, subscription) for n in range(BEHIND + 1)]
    _perform(address, [existing(subscription), *waiting])
    _answer(address, count=1, status=api.RESPONSE_STATUS_RETRY_LATER)


def _make_drifted(address: str, subscription: str) -> None:
    """Adds a service while the provider is NOT_EFFECTIVE, so the platform lacks the service."""
    with Client(address) as client:
        client.set_provider_state(PROVIDER, state="NOT_EFFECTIVE")
        _perform(address, [existing(subscription), change(0, subscription)])
        client.set_provider_state(PROVIDER, state="EFFECTIVE")


def _perform(address: str, requests: list[PerformActionRequest]) -> None:
    with grpc.insecure_channel(address) as channel:
        perform = SubscriptionServiceStub(channel).PerformAction
        for request in requests:
            request.ClearField("request_id")
            perform(request)


def _answer(address: str, *, count: int, status: api.ResponseStatus.ValueType) -> None:
    """Answers this many requests with the status, as an adapter."""
    wanted = api.StreamPendingRequestsRequest(provider=PROVIDER, adapter="filling", max_in_flight=1)
    with grpc.insecure_channel(address) as channel:
        stub = ProvisioningServiceStub(channel)
        stream = stub.StreamPendingRequests(wanted)
        while count:
            answers = [
                api.ProvisioningResponse(
                    request=request.number,
                    lease_token=each.lease_token,
                    status=status,
                    retry_delay=DELAY if status == api.RESPONSE_STATUS_RETRY_LATER else None,
                )
                for each in next(stream).batch.subscriptions
                for request in each.requests
            ]
            if answers:
                stub.SendResponses(api.SendResponsesRequest(provider=PROVIDER, responses=answers))
                count -= len(answers)
