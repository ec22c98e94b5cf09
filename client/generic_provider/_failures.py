"""Converts failed calls and refused items to exceptions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from generic_provider.errors import (
    Aborted,
    AlreadyExists,
    DeadlineExceeded,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    OutOfRange,
    PermissionDenied,
    ProvisioningError,
    ResourceExhausted,
    ServerUnavailable,
    Unauthenticated,
)
from generic_provider.v1.errors_pb2 import ErrorReason, FieldViolation, ItemError

OTHER_NAME = "Hostname Verification Check failed"
ADVICE = (
    "The server's certificate is not for the host in the address: use a name of the certificate; "
    "`generic-provider health --server HOST:PORT` prints its names"
)
NOT_CONNECTED = "failed to connect to all addresses"
"""gRPC writes this text too if only one side uses TLS, or if one side refuses the certificate of
the other side. The rest of gRPC's error often hides the cause, for example if the rest is about
another address of the same host.
"""
CONNECTION_ADVICE = (
    "If a server runs there, check the TLS: both sides must use it, or neither; the client needs "
    "the CA of the server's certificate, and a certificate of its own if the server wants one; "
    "`generic-provider health --server HOST:PORT` names the cause"
)
_PREFIX = "ERROR_REASON_"
_DETAILS: tuple[type[Message], ...] = (
    error_details_pb2.ErrorInfo,
    error_details_pb2.BadRequest,
    error_details_pb2.RetryInfo,
)
_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}
_BY_CODE: dict[grpc.StatusCode, type[ProvisioningError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.ABORTED: Aborted,
    grpc.StatusCode.OUT_OF_RANGE: OutOfRange,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.UNAVAILABLE: ServerUnavailable,
    grpc.StatusCode.CANCELLED: ServerUnavailable,  # sent by a server that shuts down
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.INTERNAL: Internal,
}


def class_of(reason: str, code: grpc.StatusCode) -> type[ProvisioningError]:
    """Returns the exception class of a reason. For a reason without a class of its own, returns the
    class of the status.
    """
    return _BY_REASON.get(reason) or _BY_CODE.get(code, ProvisioningError)


def error_of(error: grpc.RpcError) -> ProvisioningError:
    """Returns the exception for a failed call of grpc or grpc.aio."""
    code: grpc.StatusCode = error.code()
    message: str = error.details() or code.name
    if OTHER_NAME in message:
        message = f"{message} {ADVICE}"
    reason, metadata, violations = "", dict[str, str](), list[FieldViolation]()
    for detail in _details(error):
        match detail:
            case error_details_pb2.ErrorInfo():
                reason, metadata = detail.reason, dict(detail.metadata)
            case error_details_pb2.BadRequest():
                violations = [
                    FieldViolation(field=each.field, description=each.description)
                    for each in detail.field_violations
                ]
            case _:
                pass
    made = class_of(reason, code)(
        message, reason=reason, metadata=metadata, code=code, violations=violations
    )
    if NOT_CONNECTED in message and OTHER_NAME not in message:
        # only str() contains the advice: the commands print `message`, and find the cause
        # themselves
        made.args = (f"{message}. {CONNECTION_ADVICE}",)
    return made


def retry_delay(error: grpc.RpcError) -> float | None:
    """Returns the seconds after which the client may repeat the call; None if the server names no
    time.
    """
    for detail in _details(error):
        if isinstance(detail, error_details_pb2.RetryInfo):
            return detail.retry_delay.ToTimedelta().total_seconds()
    return None


def error_of_item(error: ItemError) -> ProvisioningError:
    """Returns the exception for a refused item of a batch.

    The batch returns the exception and never raises it.
    """
    code = _CODES.get(error.code, grpc.StatusCode.UNKNOWN)
    known = error.reason in ErrorReason.values()
    reason = ErrorReason.Name(error.reason).removeprefix(_PREFIX) if known else ""
    return class_of(reason, code)(
        error.message,
        reason=reason,
        metadata=error.metadata,
        code=code,
        violations=error.field_violations,
    )


def _details(error: grpc.RpcError) -> Iterator[Message]:
    """Yields the details of the error that have a kind in _DETAILS.

    A proxy may send details that cannot be decoded. They are left out, so that the caller gets the
    status of the call.
    """
    # grpc and grpc.aio have different types of pairs, so the type is Any
    trailing: Any = error.trailing_metadata() or ()
    for key, value in trailing:
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            with suppress(DecodeError):
                for packed in status_pb2.Status.FromString(value).details:
                    for kind in _DETAILS:
                        detail = kind()
                        if packed.Unpack(detail):
                            yield detail


def _descendants(parent: type[ProvisioningError]) -> Iterator[type[ProvisioningError]]:
    for child in parent.__subclasses__():
        yield child
        yield from _descendants(child)


def _reason_of(error_class: type[ProvisioningError]) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", error_class.__name__).upper()


_BY_REASON = {_reason_of(each): each for each in _descendants(ProvisioningError)}
