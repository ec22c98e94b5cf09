"""What a call is made of, told once for Client and AsyncClient."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, Protocol, TypeVar

from google.protobuf.message import Message

from generic_provider.enums import Enumeration
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


class Caller(Protocol):
    performed_by: str
    """Stands in changes that name nobody else."""


@dataclass(frozen=True, slots=True)
class Call(Generic[Response, Result]):
    request: Message
    response: type[Response]
    read: Callable[[Response], Result]
    wait: timedelta = timedelta()
    """How long the server may take on purpose."""


@dataclass(frozen=True, slots=True)
class Pages(Generic[Response, Item]):
    """A list, page by page. The request is its own: the page token moves on in it."""

    request: Any
    response: type[Response]
    items: Callable[[Response], Iterable[Item]]

    def call(self) -> Call[Response, Response]:
        return Call(self.request, self.response, lambda page: page)

    def follows(self, page: Any) -> bool:
        self.request.page_token = page.next_page_token
        return bool(page.next_page_token)


def chosen(kind: type[Enumeration], one: int | str | None, many: Iterable[int | str]) -> list[Any]:
    """Values of an enumeration, given as numbers or short names."""
    several = (many,) if isinstance(many, int | str) else many
    return [kind.of(each) for each in (*(() if one is None else (one,)), *several)]


# Each RPC has its own response message, so this names it.
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
