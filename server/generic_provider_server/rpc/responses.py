"""Decodes the answers of adapters. A malformed answer does not prevent the other answers from being
judged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from unicodedata import category

from generic_provider.v1 import provisioning_service_pb2 as api
from generic_provider.v1 import resources_pb2 as pb

from ..commands.answers import Respond, Response, respond
from ..domain.verdicts import ResponseStatus, Verdict
from .checks import CODE, TEXT, Checks

DAY = 86_400
MOST_TOGETHER = 100
UNPRINTABLE = frozenset({"Cc", "Cf", "Zl", "Zp"})
"""The Unicode categories of the characters that `printable` replaces: control and format
characters, line and paragraph separators.
"""


@dataclass(frozen=True, slots=True)
class DecodedAnswers:
    """The decoded answers of one call.

    `commands`: the commands that judge the well-formed answers. Each command judges at most
    MOST_TOGETHER answers, because all other commands wait while a command runs. `malformed`: the
    violations in each malformed answer, by the position of the answer in the call, from 0.
    """

    request: api.SendResponsesRequest
    commands: tuple[Respond, ...]
    malformed: dict[int, str]

    def response(self, verdicts: Iterable[Verdict]) -> api.SendResponsesResponse:
        """Returns the message with one result for each answer, in the order of the answers.
        `verdicts`: the verdicts on the well-formed answers, in order.
        """
        judged = iter(verdicts)
        return api.SendResponsesResponse(
            results=[
                _malformed(response.request, self.malformed[n])
                if n in self.malformed
                else _result(response.request, next(judged))
                for n, response in enumerate(self.request.responses)
            ]
        )


def answers_of(request: api.SendResponsesRequest, *, key: bytes) -> DecodedAnswers:
    responses, malformed = [], {}
    for n, message in enumerate(request.responses):
        checks = Checks()
        response = _response(checks, message)
        if checks.violations:
            malformed[n] = "; ".join(f"{field} {wrong}" for field, wrong in checks.violations)
        else:
            responses.append(response)
    commands = [
        respond(request.provider, tuple(responses[start : start + MOST_TOGETHER]), key=key)
        for start in range(0, len(responses), MOST_TOGETHER)
    ]
    return DecodedAnswers(request, tuple(commands), malformed)


def _response(checks: Checks, message: api.ProvisioningResponse) -> Response:
    later = ResponseStatus.RETRY_LATER
    return Response(
        request=checks.numbered("request", message.request, letter="R"),
        lease_token=message.lease_token,
        status=checks.enum("status", message.status, default=later, required=True),
        error_code=_text(checks, "error_code", message.error_code),
        error_description=printable(message.error_description)[:TEXT],
        account_number=_text(checks, "account_number", message.account_number),
        reference_number=_text(checks, "reference_number", message.reference_number),
        retry_delay=checks.span("retry_delay", message, least=0, most=DAY),
    )


def _text(checks: Checks, field: str, value: str) -> str:
    return checks.text(field, printable(value)) if value else value


def printable(text: str) -> str:
    """Replaces forbidden characters, so that no answer is refused because of a character.

    Line ends, tabs and NUL become blanks, blanks at both ends are removed, and other control
    characters become a replacement character.
    """
    if not text.isprintable():
        text = "".join([_printed(character) for character in text])
    return text.strip()


def _printed(character: str) -> str:
    if category(character) not in UNPRINTABLE:
        return character
    return " " if character.isspace() or character == "\0" else "\N{REPLACEMENT CHARACTER}"


def _malformed(request: str, why: str) -> api.ResponseResult:
    code = api.RESPONSE_CODE_INVALID
    return api.ResponseResult(request=request[:CODE], code=code, message=why[:TEXT])


def _result(request: str, verdict: Verdict) -> api.ResponseResult:
    return api.ResponseResult(
        request=request,
        code=api.ResponseCode.ValueType(verdict.code),
        state=pb.RequestState.ValueType(verdict.state or 0),
        message=verdict.message,
    )
