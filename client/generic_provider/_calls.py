"""Describes calls, lists and streams in a form that both Client and AsyncClient can run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, Protocol, TypeVar

from google.protobuf.message import Message

from generic_provider.enumeration import Enumeration
from generic_provider.v1 import (
    provider_service_pb2,
    provisioning_service_pb2,
    request_service_pb2,
    reset_service_pb2,
    subscription_service_pb2,
)

Response = TypeVar("Response", bound=Message)
Result = TypeVar("Result")
Item = TypeVar("Item")


LONGEST_WAIT = timedelta(seconds=30)
"""The longest time for which a server holds a call, even if the caller asks for more."""


class Caller(Protocol):
    performed_by: str
    """The `performed_by` of a call that does not name a person or system itself."""


@dataclass(frozen=True, slots=True)
class Call(Generic[Response, Result]):
    request: Message
    response: type[Response]
    read: Callable[[Response], Result]
    wait: timedelta = timedelta()
    """The time for which the server may hold the call, in addition to the timeout of the client."""


@dataclass(frozen=True, slots=True)
class Pages(Generic[Response, Item]):
    """A list that is read page by page.

    `follows` sets the token of the next page in `request`, and returns False if there is no next
    page.
    """

    request: Any
    response: type[Response]
    items: Callable[[Response], Iterable[Item]]

    def call(self) -> Call[Response, Response]:
        return Call(self.request, self.response, lambda page: page)

    def follows(self, page: Any) -> bool:
        self.request.page_token = page.next_page_token
        return bool(page.next_page_token)


@dataclass(frozen=True, slots=True)
class Watch(Generic[Response, Item]):
    """A stream that can be opened again with its request at any time.

    `read` takes a message of the stream, and returns the items that the message contains, in their
    order. `lasting`: true if the stream never ends by itself. After its first message, a lasting
    stream is opened again and again while the server is unavailable, without a limit of time.
    """

    request: Message
    response: type[Response]
    read: Callable[[Response], Iterable[Item]]
    lasting: bool = False


def held_for(wait: timedelta | None) -> timedelta:
    """Returns the time for which a server may hold a call with this `wait`."""
    return min(max(wait or timedelta(), timedelta()), LONGEST_WAIT)


def chosen(kind: type[Enumeration], one: int | str | None, many: Iterable[int | str]) -> list[Any]:
    """Converts numbers or short names to values of an enumeration. Returns `one`, if it is not
    None, and then all of `many`.
    """
    several = (many,) if isinstance(many, int | str) else many
    return [kind.of(each) for each in (*(() if one is None else (one,)), *several)]


# each RPC has its own response message, so the message identifies the RPC
PATHS = {
    method.output_type.full_name: f"/{service.full_name}/{method.name}"
    for file in (
        provider_service_pb2,
        provisioning_service_pb2,
        request_service_pb2,
        reset_service_pb2,
        subscription_service_pb2,
    )
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
