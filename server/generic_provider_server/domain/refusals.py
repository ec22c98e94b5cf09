"""Defines refusals. A refusal has a reason for programs, a sentence for people, and ids in
`metadata`.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    INVALID_FIELD = "INVALID_FIELD"
    PROVIDER_NOT_FOUND = "PROVIDER_NOT_FOUND"
    DISTRIBUTOR_NOT_FOUND = "DISTRIBUTOR_NOT_FOUND"
    SERVICE_NOT_FOUND = "SERVICE_NOT_FOUND"
    SUBSCRIPTION_NOT_FOUND = "SUBSCRIPTION_NOT_FOUND"
    ITEM_NOT_FOUND = "ITEM_NOT_FOUND"
    USAGE_NOT_FOUND = "USAGE_NOT_FOUND"
    ACTION_NOT_FOUND = "ACTION_NOT_FOUND"
    REQUEST_NOT_FOUND = "REQUEST_NOT_FOUND"
    RESET_RUN_DEFINITION_NOT_FOUND = "RESET_RUN_DEFINITION_NOT_FOUND"
    RESET_RUN_NOT_FOUND = "RESET_RUN_NOT_FOUND"
    ARCHIVE_NOT_FOUND = "ARCHIVE_NOT_FOUND"
    PROVIDER_EXISTS = "PROVIDER_EXISTS"
    SUBSCRIPTION_EXISTS = "SUBSCRIPTION_EXISTS"
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    ACTION_NOT_ALLOWED = "ACTION_NOT_ALLOWED"
    ACTION_NOT_SCHEDULED = "ACTION_NOT_SCHEDULED"
    REQUIRED_DISTRIBUTOR_MISSING = "REQUIRED_DISTRIBUTOR_MISSING"
    REQUIRED_SERVICE_MISSING = "REQUIRED_SERVICE_MISSING"
    SERVICE_NOT_AVAILABLE = "SERVICE_NOT_AVAILABLE"
    SERVICE_LIMIT_EXCEEDED = "SERVICE_LIMIT_EXCEEDED"
    GOODS_TYPE_NOT_MAPPED = "GOODS_TYPE_NOT_MAPPED"
    DISTRIBUTOR_OCCUPIED = "DISTRIBUTOR_OCCUPIED"
    ITEM_IN_USE = "ITEM_IN_USE"
    PROVIDER_NOT_EFFECTIVE = "PROVIDER_NOT_EFFECTIVE"
    PROVIDER_INCOMPLETE = "PROVIDER_INCOMPLETE"
    PROVIDER_IN_USE = "PROVIDER_IN_USE"
    REQUEST_NOT_PENDING = "REQUEST_NOT_PENDING"
    REQUEST_LEASED = "REQUEST_LEASED"
    REQUEST_NOT_FIRST = "REQUEST_NOT_FIRST"
    REPORT_INCOMPLETE = "REPORT_INCOMPLETE"
    TOO_MANY_UNSETTLED = "TOO_MANY_UNSETTLED"
    RUN_NOT_EDITABLE = "RUN_NOT_EDITABLE"
    RUN_NOT_EFFECTIVE = "RUN_NOT_EFFECTIVE"
    RUN_IN_PROGRESS = "RUN_IN_PROGRESS"
    RUN_NOT_HELD = "RUN_NOT_HELD"
    CHECKSUM_MISMATCH = "CHECKSUM_MISMATCH"
    ARCHIVE_FOLDER_NOT_WRITABLE = "ARCHIVE_FOLDER_NOT_WRITABLE"
    ETAG_MISMATCH = "ETAG_MISMATCH"
    REVISION_MISMATCH = "REVISION_MISMATCH"
    CURSOR_TOO_OLD = "CURSOR_TOO_OLD"
    CURSOR_UNKNOWN = "CURSOR_UNKNOWN"
    TOO_MANY_STREAMS = "TOO_MANY_STREAMS"
    TOO_MANY_CALLS = "TOO_MANY_CALLS"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    DRAINING = "DRAINING"
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"
    INTERNAL = "INTERNAL"
    REJECTED_BY_PLATFORM = "REJECTED_BY_PLATFORM"
    DEPENDS_ON_REJECTED = "DEPENDS_ON_REJECTED"
    CHANGED_BY_ROLLBACK = "CHANGED_BY_ROLLBACK"
    CANCELLED_BY_OPERATOR = "CANCELLED_BY_OPERATOR"
    DELIVERY_ATTEMPTS_EXHAUSTED = "DELIVERY_ATTEMPTS_EXHAUSTED"


class Refused(Exception):
    """An expected refusal.

    The refused call has changed nothing, except perhaps if the reason is STORE_UNAVAILABLE.
    `metadata` contains the ids of the objects that caused the refusal, for example of a
    subscription.
    """

    def __init__(self, reason: Reason, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata = metadata


def not_effective(provider: str) -> Refused:
    text = f"provider {provider} is not effective, so it gets no requests"
    return Refused(Reason.PROVIDER_NOT_EFFECTIVE, text, provider=provider)


def not_found(reason: Reason, name: str) -> Refused:
    """Returns the refusal for an object that does not exist.

    `reason` says whether the object is a subscription, a request or something else.
    """
    kind = reason.removesuffix("_NOT_FOUND").lower()
    return Refused(reason, f"there is no {kind.replace('_', ' ')} {name!r}", **{kind: name})


class InvalidField(Refused):
    """Refuses a call because of wrong contents of its fields.

    `violations` contains a pair for each error: the field, and what is wrong.
    """

    def __init__(self, *violations: tuple[str, str]) -> None:
        first, wrong = violations[0]
        super().__init__(Reason.INVALID_FIELD, f"{first}: {wrong}", field=first)
        self.violations = violations


def unavailable(what: str) -> Refused:
    return Refused(Reason.STORE_UNAVAILABLE, f"the store cannot be {what} just now; try again")
