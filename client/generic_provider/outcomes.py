"""What becomes of a request: the routines of an adapter, and what they answer."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import timedelta
from itertools import takewhile
from typing import Any

from generic_provider._values import span
from generic_provider.enums import RequestType, ResponseStatus
from generic_provider.v1.provisioning_service_pb2 import ProvisioningResponse
from generic_provider.v1.resources_pb2 import PlatformTarget, ProvisioningRequest

log = logging.getLogger("generic_provider")
_CODE_LENGTH = 64
_TEXT_LENGTH = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What a routine may return, to say more than that the platform has done it."""

    account_number: str = ""
    reference_number: str = ""

    def __post_init__(self) -> None:
        if max(len(self.account_number), len(self.reference_number)) > _CODE_LENGTH:
            raise ValueError(f"the platform's numbers have up to {_CODE_LENGTH} characters: {self}")


class Reject(Exception):
    """The platform refuses the request for good: the change is taken back in the CRM."""

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text


class RetryLater(Exception):
    """This one request cannot be done just now; without `delay` the server chooses one."""

    def __init__(self, delay: timedelta | None = None, *, code: str = "", text: str = "") -> None:
        super().__init__(delay)
        self.delay = delay
        self.code = code
        self.text = text


class PlatformDown(Exception):
    """Nothing works at the moment: everything is given back, and no attempt is counted."""

    def __init__(self, retry_after: timedelta = timedelta(seconds=30)) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Work:
    """For platforms whose interface overwrites the whole set: requests, and what they lead to."""

    subscription: str
    account_number: str
    requests: Sequence[ProvisioningRequest]
    target: PlatformTarget
    """What the platform should hold in the end; the requests tell how it comes to that."""


Outcome = str | Accepted | None
Routine = Callable[[ProvisioningRequest], Outcome | Awaitable[Outcome]]
TargetRoutine = Callable[[Work], Outcome | Awaitable[Outcome]]


class Routines:
    """Which function does what."""

    def __init__(self) -> None:
        self.by_type: dict[int, Routine] = {}
        self.rest: Routine | None = None
        self.target: TargetRoutine | None = None
        self._reported: set[int] = set()

    def front(self, requests: Sequence[ProvisioningRequest]) -> list[ProvisioningRequest]:
        """As many requests from the front as are done in one go."""
        if self.target and requests[0].type not in self.by_type:
            return list(takewhile(lambda each: each.type not in self.by_type, requests))
        return [requests[0]]

    async def answer(self, work: Work, pool: Executor) -> ProvisioningResponse:
        """The answer to what `front` gave, without number and token. Raises only PlatformDown."""
        first = work.requests[0]
        routine = self.by_type.get(first.type)
        try:
            if routine is None and self.target is not None:
                return _accepted(await _call(self.target, work, pool))
            routine = routine or self.rest
            if routine is None:
                return self._unknown(first)
            return _accepted(await _call(routine, first, pool))
        except PlatformDown:
            raise
        except Reject as refusal:
            return _refused(ResponseStatus.REJECTED, refusal.code, refusal.text)
        except RetryLater as later:
            log.warning("%s comes again later: %s %s", first.number, later.code, later.text)
            return _refused(ResponseStatus.RETRY_LATER, later.code, later.text, later.delay)
        except Exception as error:
            log.exception("%s failed and comes again", first.number)
            return _refused(ResponseStatus.RETRY_LATER, type(error).__name__, str(error))

    def _unknown(self, request: ProvisioningRequest) -> ProvisioningResponse:
        name = RequestType.name_of(request.type)
        if request.type not in self._reported:
            self._reported.add(request.type)
            log.error("NO ROUTINE FOR %s: all of them are given back", name)
        return _refused(ResponseStatus.RETRY_LATER, "UNKNOWN_TYPE", f"no routine for {name}")


async def _call(routine: Callable[[Any], Any], argument: object, pool: Executor) -> object:
    """Coroutine functions run on the loop, plain ones in a thread."""
    if inspect.iscoroutinefunction(routine) or inspect.iscoroutinefunction(
        getattr(routine, "__call__", None)  # noqa: B004 - of an instance, it may be a coroutine
    ):
        return await routine(argument)
    context = contextvars.copy_context()
    result = await asyncio.get_running_loop().run_in_executor(pool, context.run, routine, argument)
    return await result if inspect.isawaitable(result) else result


def _accepted(outcome: object) -> ProvisioningResponse:
    match outcome:
        case None:
            said = Accepted()
        case str():
            said = Accepted(account_number=outcome)
        case Accepted():
            said = outcome
        case _:
            raise TypeError(f"a routine returns None, a str or Accepted, not {outcome!r}")
    return ProvisioningResponse(
        status=ResponseStatus.ACCEPTED,
        account_number=said.account_number,
        reference_number=said.reference_number,
    )


def _refused(
    status: ResponseStatus.ValueType, code: str, text: str, delay: timedelta | None = None
) -> ProvisioningResponse:
    if delay is not None:
        delay = min(max(delay, timedelta()), timedelta(hours=24))
    return ProvisioningResponse(
        status=status,
        error_code=code[:_CODE_LENGTH],
        error_description=text[:_TEXT_LENGTH],
        retry_delay=span(delay),
    )
