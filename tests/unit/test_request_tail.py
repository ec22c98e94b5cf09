"""Tests what `request tail` prints of requests that are created while the command begins."""

from __future__ import annotations

from unittest.mock import Mock

from generic_provider import ProvisioningRequest, RequestState
from generic_provider_server.cli.request_tail import changes


def test_a_request_that_comes_while_the_tail_begins_is_not_missed() -> None:
    request = ProvisioningRequest(number="R0000000001", state=RequestState.REJECTED)
    client = Mock()
    client.list_requests.side_effect = lambda **_: (
        [] if client.list_requests.call_count == 1 else [request]
    )

    assert next(changes(client, {"states": ["REJECTED"]}, last=10, interval=0)) == request
