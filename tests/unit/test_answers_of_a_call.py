"""Tests that the answers of a call are judged in parts of 100, so that other calls wait only for
one part.
"""

from __future__ import annotations

from generic_provider.v1 import provisioning_service_pb2 as api
from generic_provider.v1 import resources_pb2 as pb
from generic_provider_server.domain.values import RequestState
from generic_provider_server.domain.verdicts import ResponseCode, Verdict
from generic_provider_server.rpc.responses import answers_of


def test_many_answers_are_judged_by_hundreds_and_told_in_order() -> None:
    accepted = api.RESPONSE_STATUS_ACCEPTED
    responses = [
        api.ProvisioningResponse(request=f"R{n}", lease_token="token", status=accepted)
        for n in range(1, 251)
    ]
    responses[120].status = api.RESPONSE_STATUS_UNSPECIFIED
    request = api.SendResponsesRequest(provider="P", responses=responses)

    answers = answers_of(request, key=b"key" * 12)
    judged = [response.request for each in answers.commands for response in each.responses]
    told = answers.response([Verdict(n, ResponseCode.APPLIED, RequestState(2)) for n in judged])

    assert [len(each.responses) for each in answers.commands] == [100, 100, 49]
    assert [each.request for each in told.results] == [each.request for each in responses]
    assert told.results[120].code == api.RESPONSE_CODE_INVALID
    assert {each.state for n, each in enumerate(told.results) if n != 120} == {
        pb.REQUEST_STATE_COMPLETED
    }
