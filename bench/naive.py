"""Runs a service as a team would write it in a week: `python -m bench.naive DATABASE`.

This service serves the calls of a full cycle, with Peewee's models and one transaction for each
call. An action is stored durably, with its request and the services of its subscription; an adapter
gets the requests in the order of their creation, and answers them. This service has no rollback, no
leases, no order among the requests of one subscription, no events, and no second process.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass
from peewee import (
    AutoField,
    BigIntegerField,
    DatabaseProxy,
    IntegerField,
    Model,
    TextField,
)
from playhouse.db_url import connect

from generic_provider.v1 import provisioning_service_pb2 as provisioning
from generic_provider.v1 import resources_pb2 as pb
from generic_provider.v1 import subscription_service_pb2 as subscriptions

from .processes import START

PENDING, SENT, COMPLETED = range(3)
MOST_SENT = 500
POLL_SECONDS = 0.02
SERVICE = ("MAIN", "NEWS")
database = DatabaseProxy()


class Stored(Model):
    class Meta:
        database = database


class Subscription(Stored):
    number = TextField(primary_key=True)
    services = TextField(default="[]")
    revision = IntegerField(default=0)


class Action(Stored):
    id = AutoField()
    subscription = TextField(index=True)
    performed = TextField()
    create_time = BigIntegerField()
    settle_time = BigIntegerField(null=True)


class Request(Stored):
    id = AutoField()
    action = IntegerField()
    subscription = TextField(index=True)
    type = IntegerField()
    document = TextField()
    state = IntegerField(default=PENDING, index=True)
    create_time = BigIntegerField()
    settle_time = BigIntegerField(null=True)


class Crm:
    async def BatchPerformActions(  # noqa: N802 - the contract names it
        self, request: subscriptions.BatchPerformActionsRequest, _: Any
    ) -> subscriptions.BatchPerformActionsResponse:
        response = subscriptions.BatchPerformActionsResponse()
        with database.atomic():
            for each in request.actions:
                response.results.add().action.id = str(_perform(each))
        return response


def _perform(asked: subscriptions.PerformActionRequest) -> int:
    found: Any = Subscription.get_or_none(number=asked.subscription)
    subscription = found or Subscription.create(number=asked.subscription)
    services = set(json.loads(subscription.services))
    name = "/".join(SERVICE)
    adds = asked.WhichOneof("action") == "add_services"
    subscription.services = json.dumps(sorted(services | {name} if adds else services - {name}))
    subscription.revision += 1
    subscription.save()
    now = time.time_ns() // 1_000
    action = Action.create(subscription=asked.subscription, performed=str(asked), create_time=now)
    kind = pb.REQUEST_TYPE_ACTIVATE_SERVICE if adds else pb.REQUEST_TYPE_DEACTIVATE_SERVICE
    Request.create(
        action=action.id,
        subscription=asked.subscription,
        type=kind,
        document=json.dumps({"distributor": SERVICE[0], "service": SERVICE[1]}),
        create_time=now,
    )
    return int(action.id)


class Adapters:
    async def StreamPendingRequests(  # noqa: N802
        self, _: provisioning.StreamPendingRequestsRequest, __: Any
    ) -> AsyncIterator[provisioning.StreamPendingRequestsResponse]:
        heartbeat = provisioning.StreamPendingRequestsResponse.Heartbeat()
        yield provisioning.StreamPendingRequestsResponse(heartbeat=heartbeat)
        while True:
            response = provisioning.StreamPendingRequestsResponse()
            with database.atomic():
                waiting = Request.select().where(Request.state == PENDING).order_by(Request.id)
                found = list(waiting.limit(MOST_SENT))
                for each in found:
                    _show(each, response.batch.subscriptions.add())
                _update(Request, [each.id for each in found], state=SENT)
            if found:
                yield response
            await asyncio.sleep(0 if found else POLL_SECONDS)

    async def SendResponses(  # noqa: N802
        self, request: provisioning.SendResponsesRequest, _: Any
    ) -> provisioning.SendResponsesResponse:
        response = provisioning.SendResponsesResponse()
        now = time.time_ns() // 1_000
        with database.atomic():
            numbers = [int(answer.request) for answer in request.responses]
            requests: Any = Request.select().where(Request.id.in_(numbers))
            _update(Action, [each.action for each in requests], settle_time=now)
            _update(Request, numbers, state=COMPLETED, settle_time=now)
        for answer in request.responses:
            response.results.add(request=answer.request, code=provisioning.RESPONSE_CODE_APPLIED)
        return response


def _update(table: Any, numbers: list[int], **changes: int) -> None:
    table.update(**changes).where(table.id.in_(numbers)).execute()


def _show(each: Any, message: provisioning.SubscriptionRequests) -> None:
    asked = json.loads(each.document)
    message.subscription = each.subscription
    message.lease_token = f"token of {each.id}"
    shown = message.requests.add(number=str(each.id), type=each.type)
    shown.service.distributor, shown.service.service = asked["distributor"], asked["service"]


def _add(server: grpc.aio.Server, service: ServiceDescriptor, servicer: object) -> None:
    """Registers those methods of the service that the servicer defines."""
    handlers = {}
    for method in service.methods:
        if behaviour := getattr(servicer, method.name, None):
            make = (
                grpc.unary_stream_rpc_method_handler
                if method.server_streaming
                else grpc.unary_unary_rpc_method_handler
            )
            decode = GetMessageClass(method.input_type).FromString
            encode = GetMessageClass(method.output_type).SerializeToString
            handlers[method.name] = make(behaviour, decode, encode)
    generic = grpc.method_handlers_generic_handler(service.full_name, handlers)
    server.add_generic_rpc_handlers((generic,))


async def main(url: str) -> None:
    pragmas = {"pragmas": {"journal_mode": "wal", "synchronous": "full"}}
    database.initialize(connect(url, **(pragmas if url.startswith("sqlite") else {})))
    database.create_tables([Subscription, Action, Request])
    server = grpc.aio.server()
    _add(server, subscriptions.DESCRIPTOR.services_by_name["SubscriptionService"], Crm())
    _add(server, provisioning.DESCRIPTOR.services_by_name["ProvisioningService"], Adapters())
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"{START}127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
