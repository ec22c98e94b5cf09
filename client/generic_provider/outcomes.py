"""Defines the results of a routine: return values and exceptions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from generic_provider._values import number
from generic_provider.v1.resources_pb2 import PlatformTarget, ProvisioningRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The result of a routine that accepts its request and returns numbers from the platform."""

    account_number: str = ""
    reference_number: str = ""

    def __post_init__(self) -> None:
        for name in ("account_number", "reference_number"):
            object.__setattr__(self, name, number(name, getattr(self, name)))


class Reject(Exception):
    """The platform rejects the request permanently, and the change is taken back in the CRM.

    `code`: the platform's error code, up to 64 characters. `text`: the description of the error.
    The adapter cuts a longer code, and logs a warning. If there is no text, the whole long code
    becomes the text.
    """

    code: str = ""
    text: str = ""

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text


class RetryLater(Exception):
    """The platform cannot apply this one request now.

    `delay`: the time until the next attempt; a number counts as seconds. Without a delay, the
    server chooses one. If the first argument is a text, it is used as `text`, unless `text` is
    given too. A `code` that is too long is handled as in `Reject`.
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

    def __str__(self) -> str:
        said = [str(each) for each in (self.code, self.text) if each]
        return " ".join(said) or super().__str__()


class PlatformDown(Exception):
    """The platform cannot be reached. All unanswered requests are given back, and no attempt is
    counted.

    `retry_after`: the pause of the adapter; a number counts as seconds. `text`: the text that the
    adapter logs. If the first argument is a text, it is used as `text`, unless `text` is given too.
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

    def __str__(self) -> str:
        return str(self.text) if self.text else super().__str__()


@dataclass(frozen=True, slots=True)
class Work:
    """Several requests of one subscription, which one call of a routine applies together.

    A Work is the argument of a routine of `Adapter.target`, for platforms that can only overwrite a
    whole subscriber.
    """

    subscription: str
    account_number: str
    requests: Sequence[ProvisioningRequest]
    target: PlatformTarget
    """The contents that the platform should hold after all these requests."""


Outcome = str | Accepted | None
Routine = Callable[[ProvisioningRequest], Outcome | Awaitable[Outcome]]
TargetRoutine = Callable[[Work], Outcome | Awaitable[Outcome]]
