"""Encodes refusals: maps each reason to a status, and creates the details for clients."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterable, Mapping
from typing import NoReturn

import grpc
import structlog
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from ..domain.refusals import InvalidField, Reason, Refused
from .access import Context
from .checks import NAME

DOMAIN = "generic_provider"
MOST_VIOLATIONS = 10
MOST_BYTES = 3_500
"""The greatest size of a status in bytes. A larger status keeps only its first detail, because gRPC
drops metadata of more than about 8 KiB, and the metadata contain the status and its message.
"""

RETRY_SECONDS: Mapping[Reason, int] = {Reason.TOO_MANY_STREAMS: 5, Reason.TOO_MANY_CALLS: 1}

_GROUPS: Mapping[grpc.StatusCode, Iterable[Reason]] = {
    grpc.StatusCode.INVALID_ARGUMENT: [Reason.INVALID_FIELD],
    grpc.StatusCode.NOT_FOUND: [
        Reason.PROVIDER_NOT_FOUND,
        Reason.DISTRIBUTOR_NOT_FOUND,
        Reason.SERVICE_NOT_FOUND,
        Reason.SUBSCRIPTION_NOT_FOUND,
        Reason.ITEM_NOT_FOUND,
        Reason.USAGE_NOT_FOUND,
        Reason.ACTION_NOT_FOUND,
        Reason.REQUEST_NOT_FOUND,
        Reason.RESET_RUN_DEFINITION_NOT_FOUND,
        Reason.RESET_RUN_NOT_FOUND,
        Reason.ARCHIVE_NOT_FOUND,
    ],
    grpc.StatusCode.ALREADY_EXISTS: [
        Reason.PROVIDER_EXISTS,
        Reason.SUBSCRIPTION_EXISTS,
        Reason.REQUEST_ID_REUSED,
    ],
    grpc.StatusCode.FAILED_PRECONDITION: [
        Reason.ACTION_NOT_ALLOWED,
        Reason.ACTION_NOT_SCHEDULED,
        Reason.REQUIRED_DISTRIBUTOR_MISSING,
        Reason.REQUIRED_SERVICE_MISSING,
        Reason.SERVICE_NOT_AVAILABLE,
        Reason.SERVICE_LIMIT_EXCEEDED,
        Reason.GOODS_TYPE_NOT_MAPPED,
        Reason.DISTRIBUTOR_OCCUPIED,
        Reason.ITEM_IN_USE,
        Reason.PROVIDER_NOT_EFFECTIVE,
        Reason.PROVIDER_INCOMPLETE,
        Reason.PROVIDER_IN_USE,
        Reason.REQUEST_NOT_PENDING,
        Reason.REQUEST_LEASED,
        Reason.REQUEST_NOT_FIRST,
        Reason.REPORT_INCOMPLETE,
        Reason.TOO_MANY_UNSETTLED,
        Reason.RUN_NOT_EDITABLE,
        Reason.RUN_NOT_EFFECTIVE,
        Reason.RUN_IN_PROGRESS,
        Reason.RUN_NOT_HELD,
        Reason.CHECKSUM_MISMATCH,
        Reason.ARCHIVE_FOLDER_NOT_WRITABLE,
    ],
    grpc.StatusCode.ABORTED: [Reason.ETAG_MISMATCH, Reason.REVISION_MISMATCH],
    grpc.StatusCode.OUT_OF_RANGE: [Reason.CURSOR_TOO_OLD, Reason.CURSOR_UNKNOWN],
    grpc.StatusCode.RESOURCE_EXHAUSTED: [Reason.TOO_MANY_STREAMS, Reason.TOO_MANY_CALLS],
    grpc.StatusCode.UNAUTHENTICATED: [Reason.UNAUTHENTICATED],
    grpc.StatusCode.PERMISSION_DENIED: [Reason.PERMISSION_DENIED],
    grpc.StatusCode.UNAVAILABLE: [Reason.DRAINING, Reason.STORE_UNAVAILABLE],
    grpc.StatusCode.INTERNAL: [Reason.INTERNAL],
}
STATUS: Mapping[Reason, grpc.StatusCode] = {
    reason: status for status, reasons in _GROUPS.items() for reason in reasons
}
"""The gRPC status for each reason of a refused call. Reasons that are not in the table occur only
as errors of actions.
"""

log = structlog.get_logger()


def shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def violations_of(refused: Refused) -> list[tuple[str, str]]:
    """Returns, for each violation, a pair of the field and the text: at most ten pairs, then one
    pair with the number of the other violations. Returns an empty list if no field was wrong.
    """
    if not isinstance(refused, InvalidField):
        return []
    shown = [(shortened(f, 100), shortened(w, 120)) for f, w in refused.violations]
    left = len(shown) - MOST_VIOLATIONS
    return shown[:MOST_VIOLATIONS] + ([("…", f"and {left} more")] if left > 0 else [])


def details_of(refused: Refused) -> Status:
    """Returns the google.rpc.Status of a refusal. The texts in the status are shortened, so that
    gRPC can send the status.
    """
    code = STATUS[refused.reason].value[0]
    status = Status(code=code, message=shortened(refused.message, 300))
    info = ErrorInfo(reason=refused.reason.value, domain=DOMAIN, metadata=metadata_of(refused))
    _add(status, info)
    violations = violations_of(refused)
    if violations:
        bad = BadRequest()
        for field, wrong in violations:
            bad.field_violations.add(field=field, description=wrong)
        _add(status, bad)
    if refused.reason in RETRY_SECONDS:
        retry = RetryInfo()
        retry.retry_delay.seconds = RETRY_SECONDS[refused.reason]
        _add(status, retry)
    if status.ByteSize() > MOST_BYTES:
        del status.details[1:]
    return status


def metadata_of(refused: Refused) -> dict[str, str]:
    return {key: shortened(value, NAME) for key, value in list(refused.metadata.items())[:8]}


def _add(status: Status, detail: ErrorInfo | BadRequest | RetryInfo) -> None:
    packed = AnyMessage()
    packed.Pack(detail)
    status.details.append(packed)


def internal(name: str) -> Refused:
    """Logs the current exception with a new id. Returns a refusal that tells the client only this
    id.
    """
    error = secrets.token_hex(4)
    log.error("call_failed", rpc=name, error=error, exc_info=sys.exception())
    return Refused(
        Reason.INTERNAL,
        f"the service has a fault; report this id to the operator: {error}",
        error=error,
    )


async def refuse(context: Context, refused: Refused) -> NoReturn:
    status = details_of(refused)
    code = next(c for c in grpc.StatusCode if c.value[0] == status.code)
    details = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(code, status.message, trailing_metadata=details)
