"""Defines the results of a routine: what it returns and raises."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from generic_provider._values import number
from generic_provider.v1.resources_pb2 import PlatformTarget, ProvisioningRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A routine returns this to accept its request and to pass on numbers of the platform."""

    account_number: str = ""
    reference_number: str = ""

    def __post_init__(self) -> None:
        for name in ("account_number", "reference_number"):
            object.__setattr__(self, name, number(name, getattr(self, name)))


class Reject(Exception):
    """The platform rejects the request for good, and the change is taken back in the CRM."""

    code: str = ""
    text: str = ""

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text


class RetryLater(Exception):
    """The platform cannot apply this one request now.

    The argument is a delay, or a text that says why. Without `delay`, the server chooses a delay. A
    number counts as seconds.
    """

    delay: timedelta | float | None = None
    code: str = ""
    text: str = ""

    def __init__(
        self, delay: timedelta | float | str | None = None, *, code: str = "", text: str = ""
    ) -> None:
        super().__init__(delay)
        if isinstance(delay, str):
            text, delay = text or delay, None
        self.delay = delay
        self.code = code
        self.text = text


class PlatformDown(Exception):
    """The platform cannot be reached. All requests are given back, and no attempt is counted.

    The argument is how long the adapter pauses, or a text for the log. A number counts as seconds.
    """

    retry_after: timedelta | float = timedelta(seconds=30)
    text: str = ""

    def __init__(
        self, retry_after: timedelta | float | str = timedelta(seconds=30), *, text: str = ""
    ) -> None:
        super().__init__(retry_after)
        if isinstance(retry_after, str):
            text, retry_after = text or retry_after, type(self).retry_after
        self.retry_after = retry_after
        self.text = text


@dataclass(frozen=True, slots=True)
class Work:
    """Several requests of one subscription, and their common target.

    A routine of `Adapter.target` gets it, because the interface of its platform can only overwrite
    everything that a subscriber has.
    """

    subscription: str
    account_number: str
    requests: Sequence[ProvisioningRequest]
    target: PlatformTarget
    """What the platform should hold when all the requests are done."""


Outcome = str | Accepted | None
Routine = Callable[[ProvisioningRequest], Outcome | Awaitable[Outcome]]
TargetRoutine = Callable[[Work], Outcome | Awaitable[Outcome]]
