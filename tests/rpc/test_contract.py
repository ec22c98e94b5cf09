"""Tests that the enums, services and errors of the server agree with the contract."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import pytest
from grpc_health.v1 import health_pb2

from generic_provider.v1 import errors_pb2, resources_pb2
from generic_provider.v1 import provisioning_service_pb2 as provisioning
from generic_provider.v1 import request_service_pb2 as requests
from generic_provider.v1 import reset_service_pb2 as resets
from generic_provider.v1 import subscription_service_pb2 as subscriptions
from generic_provider_server.domain import actions, archive, values, verdicts
from generic_provider_server.domain.refusals import Reason
from generic_provider_server.domain.resets import records as reset_records
from generic_provider_server.domain.subscription import differences, records, request_records
from generic_provider_server.rpc.access import ALLOWED
from generic_provider_server.rpc.decode_actions import READ
from generic_provider_server.rpc.errors import STATUS
from generic_provider_server.rpc.servicers import SERVICES
from support.calling import Caller

ENUMS: list[tuple[type[IntEnum], Any]] = [
    (values.ProviderState, resources_pb2.ProviderState),
    (values.ServiceKind, resources_pb2.ServiceKind),
    (values.RequestMethod, resources_pb2.RequestMethod),
    (values.State, resources_pb2.ServiceState),
    (values.SyncState, resources_pb2.SyncState),
    (values.RequestType, resources_pb2.RequestType),
    (values.RequestState, resources_pb2.RequestState),
    (values.RequestOrigin, resources_pb2.RequestOrigin),
    (values.Priority, subscriptions.Priority),
    (request_records.WaitingFor, resources_pb2.WaitingFor),
    (records.ActionState, subscriptions.ActionState),
    (records.ActionOrigin, subscriptions.ActionOrigin),
    (actions.ActionKind, subscriptions.ActionKind),
    (differences.DifferenceKind, resources_pb2.DifferenceKind),
    (reset_records.DefinitionState, resets.ResetRunDefinitionState),
    (reset_records.RunState, resets.ResetRunState),
    (reset_records.EntryOutcome, resets.EntryOutcome),
    (verdicts.ResponseStatus, provisioning.ResponseStatus),
    (verdicts.ResponseCode, provisioning.ResponseCode),
    (archive.ArchiveState, requests.ArchiveState),
]
OF_ACTIONS_ONLY = {
    Reason.REJECTED_BY_PLATFORM,
    Reason.DEPENDS_ON_REJECTED,
    Reason.CHANGED_BY_ROLLBACK,
    Reason.CANCELLED_BY_OPERATOR,
    Reason.DELIVERY_ATTEMPTS_EXHAUSTED,
}


@pytest.mark.parametrize(("ours", "theirs"), ENUMS, ids=[ours.__name__ for ours, _ in ENUMS])
def test_an_enums_names_and_numbers_are_the_contracts(ours: type[IntEnum], theirs: Any) -> None:
    names = dict(theirs.items())
    prefix = next(name for name, number in names.items() if not number)[: -len("UNSPECIFIED")]

    assert {f"{prefix}{each.name}": each.value for each in ours} == {
        name: number for name, number in names.items() if number
    }


def test_a_subscriptions_states_are_those_of_services_but_for_the_last_two() -> None:
    subscription = dict(resources_pb2.SubscriptionState.items())
    for name, number in subscription.items():
        if number:
            assert values.State(number).name == name.removeprefix("SUBSCRIPTION_STATE_")


def test_every_reason_is_in_the_contract_and_has_a_status() -> None:
    known = {name.removeprefix("ERROR_REASON_") for name in dict(errors_pb2.ErrorReason.items())}

    assert {each.value for each in Reason} == known - {"UNSPECIFIED"}
    assert set(Reason) - STATUS.keys() == OF_ACTIONS_ONLY


def test_every_action_of_the_contract_is_one_of_the_domain() -> None:
    fields = subscriptions.PerformActionRequest.DESCRIPTOR.oneofs_by_name["action"].fields

    assert [each.name.upper() for each in fields] == [kind.name for kind in actions.ActionKind]


def test_every_action_of_the_contract_is_decoded() -> None:
    fields = subscriptions.PerformActionRequest.DESCRIPTOR.oneofs_by_name["action"].fields

    assert {*READ, "become_subscriber"} == {each.name for each in fields}


def test_every_rpc_has_its_roles_in_the_one_table() -> None:
    names = [method.name for service in SERVICES for method in service.methods]

    assert sorted([*names, "ServerReflectionInfo"]) == sorted(ALLOWED)


async def test_health_and_reflection_know_every_service(caller: Caller) -> None:
    check = caller.channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    for service in ("", *[each.full_name for each in SERVICES]):
        answer = await check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
