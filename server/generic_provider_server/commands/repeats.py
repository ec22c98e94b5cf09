"""Recognises repeated calls, so that calls with the same `request_id` make a change only once."""

from __future__ import annotations

from ..domain.refusals import Reason, Refused
from ..store.write.transaction import Transaction


def created_before(transaction: Transaction, request_id: str, digest: bytes) -> str:
    """Returns the id of the object that an earlier call with the same `request_id` created, or an
    empty text if there was no such call.

    Raises Refused if the earlier call had other contents.
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
    transaction.repeated = True
    return created
