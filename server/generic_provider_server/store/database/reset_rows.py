"""Converts definitions, runs and entries of resets to rows and back. The document of a row contains
the whole value; its columns contain only values that queries need.

Also finds, in the rows of requests, the requests that a run has to repeat.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec

from ...domain.platform.request import Request
from ...domain.resets.records import DefinitionRecord, Entry, RunRecord
from ...domain.values import Instant
from .bulk import Row
from .documents import encode
from .rows import request_of_row

_definition = msgspec.json.Decoder(DefinitionRecord).decode
_run = msgspec.json.Decoder(RunRecord).decode
_entry = msgspec.json.Decoder(Entry).decode


def definition_row(record: DefinitionRecord) -> Row:
    return {
        "id": record.id,
        "provider": record.definition.provider,
        "state": int(record.state),
        "next_run_time": record.next_run_time,
        "document": encode(record),
    }


def definition_of_row(row: Any) -> DefinitionRecord:
    return _definition(bytes(row.document))


def run_row(record: RunRecord) -> Row:
    return {
        "id": record.id,
        "definition": record.definition_id,
        "provider": record.definition.provider,
        "state": int(record.state),
        "server": record.server,
        "held_since": record.held_since,
        "document": encode(record),
    }


def run_of_row(row: Any) -> RunRecord:
    return _run(bytes(row.document))


def entry_row(entry: Entry) -> Row:
    return {
        "run": entry.run,
        "subscription": entry.subscription,
        "outcome": int(entry.outcome),
        "document": encode(entry),
    }


def entry_of_row(row: Any) -> Entry:
    return _entry(bytes(row.document))


def accepted_of_rows(
    rows: Iterable[object], provider: str, since: Instant
) -> dict[str, list[Request]]:
    """Returns for each subscription, from the rows of completed requests, the requests that the
    provider's platform accepted after `since`, in the order in which they were settled.
    """
    records = [request_of_row(row) for row in rows]
    accepted: defaultdict[str, list[Request]] = defaultdict(list)
    for record in sorted(records, key=lambda each: each.settle_time or 0):
        if record.provider == provider and (record.settle_time or 0) > since:
            accepted[record.subscription].append(record.request)
    return accepted
