"""Chooses the routine of an adapter for a request, and converts the routine's result to an
answer.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import timedelta
from itertools import takewhile
from typing import Any

from generic_provider._values import CODE_LENGTH, span, text_of
from generic_provider.enums import RequestType, ResponseStatus
from generic_provider.outcomes import (
    Accepted,
    PlatformDown,
    Reject,
    RetryLater,
    Routine,
    TargetRoutine,
    Work,
)
from generic_provider.v1.provisioning_service_pb2 import ProvisioningResponse
from generic_provider.v1.resources_pb2 import ProvisioningRequest

log = logging.getLogger("generic_provider")
_TEXT_LENGTH = 1000
_MOST_DELAY = timedelta(hours=24)
_DOWN = timedelta(seconds=30)
_KNOWN = frozenset(RequestType.values())
_IN_TARGET = _KNOWN - {RequestType.ADD_UDR, RequestType.CANCEL_UDR}


class Routines:
    """The registered routines by request type."""

    def __init__(self) -> None:
        self.by_type: dict[int, Routine] = {}
        self.rest: Routine | None = None
        self.target: TargetRoutine | None = None
        self._reported: set[int] = set()

    def front(self, requests: Sequence[ProvisioningRequest]) -> list[ProvisioningRequest]:
        """Returns the first requests that one call of a routine applies together: several for a
        target routine, otherwise one.
        """
        return list(takewhile(self._by_target, requests)) or [requests[0]]

    async def answer(self, work: Work, pool: Executor) -> ProvisioningResponse | PlatformDown:
        """Returns the answer to `work.requests`, which `front` has chosen.

        The answer contains no request number and no token. Exceptions of routines are not raised.
        If the platform is down, returns a PlatformDown; its `retry_after` is always a timedelta.
        """
        first = work.requests[0]
        routine: Callable[[Any], object] | None = self._routine(first)
        if routine is None:
            return self._unknown(first)
        argument = work if self._by_target(first) else first
        ended = await _ended(routine, argument, pool)
        try:
            return _answer(first, ended)
        except Exception as error:  # noqa: BLE001 - the exception is logged
            return _given_back(first, error)

    def _by_target(self, request: ProvisioningRequest) -> bool:
        """Tells whether the routine that `Adapter.target` has registered applies the request.

        This routine applies no usage records and no unknown types of requests, because a
        target does not contain their elements.
        """
        rest = request.type in _IN_TARGET and request.type not in self.by_type
        return rest and self.target is not None

    def _routine(self, request: ProvisioningRequest) -> Callable[[Any], object] | None:
        if self._by_target(request):
            return self.target
        return self.by_type.get(request.type, self.rest if request.type in _KNOWN else None)

    def _unknown(self, request: ProvisioningRequest) -> ProvisioningResponse:
        known = request.type in _KNOWN
        name = RequestType.name_of(request.type) if known else f"TYPE {request.type}"
        if request.type not in self._reported:
            self._reported.add(request.type)
            log.error("there is no routine for requests of the type %s: they are given back", name)
        return _refusal(ResponseStatus.RETRY_LATER, "UNKNOWN_TYPE", f"no routine for {name}")


@dataclass(frozen=True, slots=True)
class _Raised:
    """An exception of a routine, as a value. A future cannot raise StopIteration, and SystemExit
    would end the process, so exceptions are returned and not raised.
    """

    error: BaseException


async def _ended(routine: Callable[[Any], object], argument: object, pool: Executor) -> object:
    """Returns the result of the routine, or _Raised with its exception.

    The routine runs in a task of its own, so that only this task ends if the routine cancels
    itself.
    """
    try:
        ended = await asyncio.create_task(_run(routine, argument, pool))
    except asyncio.CancelledError as error:
        ended = _Raised(error)
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
    return ended


async def _run(routine: Callable[[Any], Any], argument: object, pool: Executor) -> object:
    """Runs a coroutine function on the loop, and a plain function in a thread."""
    try:
        if inspect.iscoroutinefunction(routine) or inspect.iscoroutinefunction(
            getattr(routine, "__call__", None)  # noqa: B004 - it may be a coroutine function
        ):
            return await routine(argument)
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        returned = await loop.run_in_executor(pool, context.run, _tried, routine, argument)
        return await returned if inspect.isawaitable(returned) else returned
    except (asyncio.CancelledError, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - it becomes the answer
        return _Raised(error)


def _tried(routine: Callable[[Any], Any], argument: object) -> object:
    try:
        return routine(argument)
    except BaseException as error:  # noqa: BLE001 - it becomes the answer
        return _Raised(error)


def _answer(request: ProvisioningRequest, ended: object) -> ProvisioningResponse | PlatformDown:
    match ended:
        case _Raised(PlatformDown() as down):
            delay = _delay(request, down.retry_after)
            return PlatformDown(_DOWN if delay is None else delay, text=_text(request, down.text))
        case _Raised(Reject() as refusal):
            code, text = _code_and_text(request, refusal)
            return _refusal(ResponseStatus.REJECTED, code, text)
        case _Raised(RetryLater() as later):
            code, text = _code_and_text(request, later)
            log.warning("%s is handed over again later: %s %s", request.number, code, text)
            delay = _delay(request, later.delay)
            return _refusal(ResponseStatus.RETRY_LATER, code, text, delay=delay)
        case _Raised(error):
            return _given_back(request, error)
        case Accepted():
            return _accepted(ended)
        case None | str():
            return _accepted(Accepted(account_number=ended or ""))
        case int() if not isinstance(ended, bool) and request.type == RequestType.BECOME_SUBSCRIBER:
            return _accepted(Accepted(account_number=str(ended)))
    raise TypeError(f"a routine returns None, a str or Accepted, not {ended!r}")


def _accepted(said: Accepted) -> ProvisioningResponse:
    return ProvisioningResponse(
        status=ResponseStatus.ACCEPTED,
        account_number=said.account_number,
        reference_number=said.reference_number,
    )


def _given_back(request: ProvisioningRequest, error: BaseException) -> ProvisioningResponse:
    log.error("%s failed and is handed over again", request.number, exc_info=error)
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the log contains the error
        text = ""
    return _refusal(ResponseStatus.RETRY_LATER, type(error).__name__, text)


def _refusal(
    status: ResponseStatus.ValueType, code: str, text: str, *, delay: timedelta | None = None
) -> ProvisioningResponse:
    if delay is not None:
        delay = min(max(delay, timedelta()), _MOST_DELAY)
    return ProvisioningResponse(
        status=status,
        error_code=text_of(code)[:CODE_LENGTH],
        error_description=text_of(text)[:_TEXT_LENGTH],
        retry_delay=span("delay", delay),
    )


def _code_and_text(request: ProvisioningRequest, said: Reject | RetryLater) -> tuple[str, str]:
    """Returns the code and the text of the answer. If the code is too long and there is no text,
    the code becomes the text too, so that nothing is lost.
    """
    code, text = _text(request, said.code), _text(request, said.text)
    if len(code) > CODE_LENGTH:
        cut = "%s: a code has up to %d characters, so this code is cut: %s"
        log.warning(cut, request.number, CODE_LENGTH, code)
        text = text or code
    return code, text


def _text(request: ProvisioningRequest, given: str | float | None) -> str:
    """Returns a routine's error code or description as a text.

    A value that is not a text is converted. If it is not a number either, it is also logged.
    """
    if not isinstance(given, str | int | float):
        log.error("%s: a code or a text is a str, not %r", request.number, given)
    return text_of(given)


def _delay(request: ProvisioningRequest, given: timedelta | float | None) -> timedelta | None:
    """Returns the delay.

    A number counts as seconds. A value that is not a delay is logged, and None is returned.
    """
    if given is None or isinstance(given, timedelta):
        return given
    try:
        return timedelta(seconds=given)
    except (TypeError, ValueError, OverflowError):
        wrong = "%s: a delay is a timedelta or a number of seconds, not %r"
        log.error(wrong, request.number, given)  # noqa: TRY400
        return None
