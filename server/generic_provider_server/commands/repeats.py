"""Recognises repeated calls, so that each makes something only once for its request_id."""

from __future__ import annotations

from ..domain.refusals import Reason, Refused
from ..store.write.transaction import Transaction


def created_before(transaction: Transaction, request_id: str, digest: bytes) -> str:
    """What an earlier call with the same id created.

    Raises Refused if its contents were different.
    """
    known = transaction.request_ids.get(request_id)
    if known is None:
        return ""
    created, former = known
    if former != digest:
        raise Refused(
            Reason.REQUEST_ID_REUSED,
            f"request_id {request_id!r} was used before, for a call with other contents",
            request_id=request_id,
        )
    return created
