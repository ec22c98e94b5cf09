"""What becomes of a request: what the routines of an adapter return and raise."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from generic_provider._values import number
from generic_provider.v1.resources_pb2 import PlatformTarget, ProvisioningRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What a routine may return, to say more than that the platform has done it."""

    account_number: str = ""
    reference_number: str = ""

    def __post_init__(self) -> None:
        for name in ("account_number", "reference_number"):
            object.__setattr__(self, name, number(name, getattr(self, name)))


class Reject(Exception):
    """The platform refuses the request for good: the change is taken back in the CRM."""

    code: str = ""
    text: str = ""

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text


class RetryLater(Exception):
    """This one request cannot be done just now; without `delay` the server chooses one.

    A number is taken as seconds.
    """

    delay: timedelta | float | None = None
    code: str = ""
    text: str = ""

    def __init__(
        self, delay: timedelta | float | None = None, *, code: str = "", text: str = ""
    ) -> None:
        super().__init__(delay)
        self.delay = delay
        self.code = code
        self.text = text


class PlatformDown(Exception):
    """Nothing works at the moment: everything is given back, and no attempt is counted.

    A number is taken as seconds.
    """

    retry_after: timedelta | float = timedelta(seconds=30)

    def __init__(self, retry_after: timedelta | float = timedelta(seconds=30)) -> None:
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
