"""Does the work of the full cycles that the measurement P2 makes, in plain Python:
`python -m bench.floor FILE SECONDS`.

One thread decodes the same messages, reads and writes the same rows and documents in durable
batches of 100, and encodes the same messages for the CRM and the adapter. The program knows only
one change: the service NEWS is added or removed. The program has no network, no event loop and no
other callers, and checks only lease tokens. So the program measures the least processor time that a
cycle needs. The program prints the microseconds of processor time for a cycle, without the time in
which it plays the CRM and the adapter.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from collections import defaultdict
from hashlib import blake2b
from itertools import islice
from typing import Any

from msgspec import json

from generic_provider.v1 import provisioning_service_pb2 as api
from generic_provider.v1 import subscription_service_pb2 as crm
from generic_provider_server.domain.lease import Lease, lease_of
from support.filling import PROVIDER

from . import floor_statements as sql
from .floor_messages import KEY, accepted, show, tell
from .processes import say
from .setting import BATCH, changes

STREAM, LEASED_FOR = "3202f6d6.2a511192c9eb", 30_000_000
PRAGMAS = ("journal_mode = wal", "synchronous = full", "wal_autocheckpoint = 8000")
HELD = {"distributor": "MAIN", "provider_service_id": "2", "service": "NEWS"}
NAMED = {"provider": PROVIDER, "distributor": "MAIN", "service": "NEWS"}
REQUESTED = {"provider": PROVIDER, "distributor": "MAIN", "provider_service_id": "2"}
EVENT: tuple[Any, ...] = ([PROVIDER], "", 0, 0, [], [])


class Floor:
    def __init__(self, path: str) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        for pragma in PRAGMAS:
            self._database.execute(f"PRAGMA {pragma}")
        self._leased: dict[str, tuple[dict[str, Any], int, int]] = {}

    def perform(self, message: bytes) -> tuple[bytes, bytes]:
        """Performs a batch of actions. Returns the messages to the CRM and to the adapter."""
        asked, now = crm.BatchPerformActionsRequest.FromString(message).actions, _now()
        told, shown = crm.BatchPerformActionsResponse(), api.StreamPendingRequestsResponse()
        found, first = self._read(asked)
        rows, events, uses = defaultdict[str, list[Any]](list), list[Any](), 0
        for number, each in enumerate(asked, first):
            name, request_id = each.subscription, each.request_id
            adds, (revision, document) = each.HasField("add_services"), found[name]
            self._leased[name] = document, revision + 1, now
            unit, action, request = _change(document, adds=adds, number=number, now=now)
            each.request_id, uses = "", uses + (1 if adds else -1)
            asked_bytes = each.SerializeToString(deterministic=True)
            digest = blake2b(asked_bytes, digest_size=16, person=b"PerformAction").digest()
            rows[sql.PUT].append((now, revision + 1, json.encode(document), name))
            rows[sql.ADD_ID].append((request_id, str(number), digest))
            start = (number, name, 12 if adds else 15, request_id, now, now)
            rows[sql.ADD_ACTION].append((*start, asked_bytes, json.encode(action)))
            start_of_request = (number, name, unit, request["type"], number, now, now)
            rows[sql.ADD_REQUEST].append((*start_of_request, json.encode(request)))
            until = now + LEASED_FOR
            rows[sql.ADD_LANE].append((name, now, number, unit, now, unit, now, until))
            events += [(1, number, name, *EVENT), (3, number, name, *EVENT), (6, 2, name, *EVENT)]
            tell(told.results.add().action, name, number, adds=adds, now=now)
            lease = Lease(PROVIDER, name, handover=1, unit=unit, first=0, last=0, stream=STREAM)
            show(shown.batch.subscriptions.add(), lease, number, kind=request["type"], now=now)
        rows[sql.USE] = [(uses, "s:NEWS"), (uses, "d:MAIN/s:NEWS")]
        self._write(rows, events, method="BatchPerformActions", now=now)
        return told.SerializeToString(), shown.SerializeToString()

    def settle(self, message: bytes) -> bytes:
        """Settles a batch of accepted requests. Returns the message to the adapter."""
        answers, now = api.SendResponsesRequest.FromString(message).responses, _now()
        told, rows = api.SendResponsesResponse(), defaultdict[str, list[Any]](list)
        events = list[Any]()
        self._database.execute("BEGIN IMMEDIATE")
        for each in answers:
            lease, number = lease_of(each.lease_token, KEY), int(each.request[1:])
            name = lease.subscription if lease else ""
            document, revision, sent = self._leased.pop(name)
            _confirm(document, now=now)
            rows[sql.PUT].append((now, revision + 1, json.encode(document), name))
            rows[sql.END_LANE].append((name,))
            rows[sql.SETTLE_REQUEST].append((sent, now, number))
            rows[sql.SETTLE_ACTION].append((now, number))
            events += [(4, number, name, *EVENT), (2, number, name, *EVENT), (6, 1, name, *EVENT)]
            told.results.add(request=each.request, code=api.RESPONSE_CODE_APPLIED, state=2)
        self._write(rows, events, method="SendResponses", now=now)
        return told.SerializeToString()

    def _read(self, asked: Any) -> tuple[dict[str, tuple[int, dict[str, Any]]], int]:
        """Returns the revision and the document of each subscription, and the number that the first
        action and its request get.
        """
        read = self._database.execute
        read("BEGIN IMMEDIATE")
        names = [each.subscription for each in asked]
        read(sql.LANES, names).fetchall()
        read(sql.REPEATS, [each.request_id for each in asked]).fetchall()
        (_,), ((last,),) = (read(sql.COUNT, (BATCH, n)).fetchall() for n in ("request", "action"))
        found = {name: (revision, json.decode(x)) for name, revision, x in read(sql.READ, names)}
        return found, last - BATCH + 1

    def _write(self, rows: dict[str, Any], events: list[Any], *, method: str, now: int) -> None:
        for statement, each in rows.items():
            self._database.executemany(statement, each)
        ((number,),) = self._database.execute(sql.COUNT, (1, "event")).fetchall()
        self._database.execute(sql.ADD_AUDIT, (now, number, method, BATCH))
        self._database.execute(sql.ADD_EVENT, (number, now, json.encode(events)))
        self._database.execute("COMMIT")


def _change(document: dict[str, Any], *, adds: bool, number: int, now: int) -> tuple[int, Any, Any]:
    """Changes the aggregate. Returns the unit, the action, and the request for the platform."""
    unit, old, (link,) = document.get("next_unit", 1), document["desired"], document["links"]
    services = [each for each in old["services"] if each["service"] != "NEWS"]
    services += [NAMED | {"state": 2}] if adds else []
    request = {"type": 2 if adds else 3, "service": HELD}
    action = {"action": "add_services" if adds else "remove_services", "services": [NAMED]}
    performed = {"id": number, "unit": unit, "at": now, "action": action, "next_index": 1}
    document["desired"], document["base"] = old | {"services": services}, old
    document["performed"] = [performed | {"requested": [REQUESTED]}]
    document["next_unit"] = unit + 1
    queued = {"unit": unit, "index": 0, "origin": 1, "request": request, "create_time": now}
    link["queue"] = [queued | {"schedule_time": now, "number": number, "action": number}]
    link["sync_state"] = 2
    return unit, action, request


def _confirm(document: dict[str, Any], *, now: int) -> None:
    """Changes the aggregate as an accepted answer does."""
    (link,) = document["links"]
    (queued,) = link.pop("queue")
    del document["base"], document["performed"], link["sync_state"]
    held = [each for each in link["confirmed"]["entitlements"] if each["service"] != "NEWS"]
    link["confirmed"]["entitlements"] = held + [HELD] * (queued["request"]["type"] == 2)
    link["delivered_unit"], link["settle_time"] = queued["unit"], now


def _now() -> int:
    return time.time_ns() // 1_000


def main(path: str, seconds: str) -> None:
    floor, actions, spent, cycles = Floor(path), changes(first=0), 0.0, 0
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        asked = crm.BatchPerformActionsRequest(actions=islice(actions, BATCH)).SerializeToString()
        spent -= time.process_time()
        _, shown = floor.perform(asked)
        spent += time.process_time()
        answers = accepted(shown)
        spent -= time.process_time()
        floor.settle(answers)
        spent += time.process_time()
        cycles += BATCH
    say(cycles=cycles, microseconds=spent / cycles * 1_000_000)


if __name__ == "__main__":
    main(*sys.argv[1:])
