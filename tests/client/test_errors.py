from __future__ import annotations

import pickle

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from generic_provider import (
    ActionNotAllowed,
    Draining,
    FailedPrecondition,
    InvalidField,
    NotFound,
    ProvisioningError,
    ServerUnavailable,
    SubscriptionNotFound,
)
from generic_provider._failures import (
    CONNECTION_ADVICE,
    NOT_CONNECTED,
    class_of,
    error_of,
    error_of_item,
    retry_delay,
)
from generic_provider.v1.errors_pb2 import ErrorReason, FieldViolation, ItemError

OF_ACTIONS = 120  # from this number on, reasons are only for actions, not for calls
REASONS = [
    name.removeprefix("ERROR_REASON_")
    for name, number in ErrorReason.items()
    if 0 < number < OF_ACTIONS
]

_DAMAGED = status_pb2.Status(
    details=[any_pb2.Any(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\xff")]
)


@pytest.mark.parametrize("reason", REASONS)
def test_each_reason_has_a_class(reason: str) -> None:
    found = class_of(reason, grpc.StatusCode.UNKNOWN)
    assert found.__name__ == reason.title().replace("_", "")


def failed(
    code: grpc.StatusCode,
    *reasons: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest,
    details: str = "no",
) -> grpc.RpcError:
    status = status_pb2.Status(message=details)
    for each in reasons:
        status.details.add().Pack(each)
    trailing = grpc.aio.Metadata(("grpc-status-details-bin", status.SerializeToString()))
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, details=details)


def test_a_refusal_tells_reason_metadata_and_violations() -> None:
    error = error_of(
        failed(
            grpc.StatusCode.INVALID_ARGUMENT,
            error_details_pb2.ErrorInfo(reason="INVALID_FIELD", metadata={"a": "b"}),
            error_details_pb2.BadRequest(
                field_violations=[{"field": "add_services.services", "description": "empty"}]
            ),
        )
    )
    assert type(error) is InvalidField
    assert (error.reason, error.metadata, str(error)) == ("INVALID_FIELD", {"a": "b"}, "no")
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.violations == (FieldViolation(field="add_services.services", description="empty"),)


def test_a_reason_of_a_newer_server_has_the_class_of_its_status() -> None:
    newer = error_details_pb2.ErrorInfo(reason="MOON_NOT_FOUND")
    error = error_of(failed(grpc.StatusCode.NOT_FOUND, newer))
    assert type(error) is NotFound
    assert error.reason == "MOON_NOT_FOUND"


def test_a_status_without_details_has_its_class() -> None:
    for code in grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED:
        assert type(error_of(failed(code))) is ServerUnavailable
    assert type(error_of(failed(grpc.StatusCode.UNKNOWN))) is ProvisioningError
    assert issubclass(Draining, ServerUnavailable)


@pytest.mark.parametrize("status", [b"\xff", _DAMAGED.SerializeToString()])
def test_details_that_cannot_be_decoded_are_left_out(status: bytes) -> None:
    trailing = grpc.aio.Metadata(("grpc-status-details-bin", status))
    for code in grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED:
        damaged = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, details="no")
        assert (error_of(damaged).code, error_of(damaged).reason) == (code, "")
        assert retry_delay(damaged) is None


def test_a_connection_that_fails_is_told_with_advice_only_for_people() -> None:
    refused = f"{NOT_CONNECTED}; last error: UNKNOWN: ipv6:[::1]:50051: Connection refused"
    error = error_of(failed(grpc.StatusCode.UNAVAILABLE, details=refused))
    assert error.message == refused
    assert str(error) == f"{refused}. {CONNECTION_ADVICE}"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - written by this test


def test_an_item_of_a_batch_has_the_class_that_its_own_call_would_have() -> None:
    item = ItemError(
        code=grpc.StatusCode.NOT_FOUND.value[0],
        reason=ErrorReason.ERROR_REASON_SUBSCRIPTION_NOT_FOUND,
        message="no S1",
        metadata={"subscription": "S1"},
    )
    error = error_of_item(item)
    assert type(error) is SubscriptionNotFound
    assert error.metadata == {"subscription": "S1"}
    assert error.code is grpc.StatusCode.NOT_FOUND


def test_errors_pass_between_processes() -> None:
    error = ActionNotAllowed("no", reason="ACTION_NOT_ALLOWED", metadata={"state": "DRAFT"})
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - written by this test
    assert isinstance(copy, FailedPrecondition)
    assert vars(copy) == vars(error)
