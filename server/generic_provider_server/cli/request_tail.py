"""Follows requests by polling the server."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from generic_provider import Client, ProvisioningRequest, RequestState

PENDING = "PENDING"
FINAL = tuple(name for name in vars(RequestState) if name.isupper() and name != PENDING)
MOST_PENDING = 1000
"""Changes are printed only for the newest pending requests, up to this number. An older pending
request is printed again only when it has a final state.
"""
OVERLAP = timedelta(seconds=10)
"""The time span for which requests with a final state are read again, because requests are not
committed in the order of their times.
"""
BEGINNING = datetime.fromtimestamp(0, UTC) + OVERLAP


def changes(
    client: Client, filters: Mapping[str, Any], *, last: int, interval: float
) -> Iterator[ProvisioningRequest]:
    """Yields the last requests, then each new or changed request, without an end.

    All times are from the server, because the clock of this machine may differ from the clock of
    the server.
    """
    newest = list(islice(client.list_requests(**filters, page_size=max(last, 1)), max(last, 1)))
    known = {each.number: _state(each) for each in newest}
    since = max(map(_last_time, newest), default=BEGINNING)
    # requests that are created or changed after the first reading are not in `known`, so that the
    # loop prints them
    first = newest[0].number if newest else ""
    before = [each for each in _now(client, filters, since) if each.number <= first]
    known = {each.number: _state(each) for each in before} | known
    yield from reversed(newest[:last])
    while True:
        time.sleep(interval)
        found = list(_now(client, filters, since))
        yield from (each for each in found if known.get(each.number) != _state(each))
        known = {each.number: _state(each) for each in found}
        since = max([since, *map(_last_time, found)])


def _now(
    client: Client, filters: Mapping[str, Any], since: datetime
) -> Iterator[ProvisioningRequest]:
    """Yields first the requests that reached a final state after `since` or within OVERLAP before
    it, then the pending requests. In both groups, older requests come first.
    """
    states = filters["states"] or (PENDING, *FINAL)
    final = [state for state in states if state != PENDING]
    rest = {**filters, "page_size": MOST_PENDING}
    if final:
        yield from client.list_requests(
            **{**rest, "states": final}, settled_from=since - OVERLAP, oldest_first=True
        )
    if PENDING in states:
        pending = client.list_requests(**{**rest, "states": [PENDING]})
        yield from reversed(list(islice(pending, MOST_PENDING)))


def _state(request: ProvisioningRequest) -> tuple[object, ...]:
    return request.state, request.waiting_for, request.delivery_attempts, request.last_adapter


def _last_time(request: ProvisioningRequest) -> datetime:
    latest = request.settle_time if request.HasField("settle_time") else request.create_time
    return latest.ToDatetime(UTC)
