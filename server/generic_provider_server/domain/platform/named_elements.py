"""Finds the elements of a platform image that a request names."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Literal, assert_never

from ..values import RequestType
from .image import Entitlement, PlatformImage, PostedUsage, ProvisionedItem
from .request import ProvisionedService, Request

Part = Entitlement | ProvisionedItem | PostedUsage
Field = Literal["entitlements", "items", "usages"]
Name = tuple[str, Hashable]
"""The name of an element of a platform image: the field of the image, and the element's key."""

SUBSCRIBER: Name = "known", None
HOLDER: Name = "holder", None
ADDRESS: Name = "address", None

_ADDING = frozenset(
    {
        RequestType.BECOME_SUBSCRIBER,
        RequestType.ACTIVATE_SERVICE,
        RequestType.ACTIVATE_SUBSCRIBER,
        RequestType.ADD_INSTALLED_ITEM,
        RequestType.ADD_UDR,
    }
)


def adds(request: Request) -> bool:
    return request.type in _ADDING


def entitlements_of(request: Request) -> tuple[Entitlement, ...]:
    if request.service:
        return (request.service.entitlement,)
    return tuple([service.entitlement for service in request.services])


def services_of(request: Request) -> tuple[ProvisionedService, ...]:
    return (request.service,) if request.service else request.services


def names(request: Request) -> frozenset[Name]:
    """Returns the names of the elements that the request adds, changes or removes."""
    match request.type:
        case RequestType.BECOME_SUBSCRIBER:
            items: list[Name] = [("items", item.key) for item in request.items]
            on: list[Name] = [("entitlements", e.key) for e in entitlements_of(request)]
            return frozenset({SUBSCRIBER, HOLDER, ADDRESS, *items, *on})
        case RequestType.UPDATE_SUBSCRIBER:
            return frozenset({HOLDER, ADDRESS})
        case RequestType.UPDATE_ADDRESS:
            return frozenset({ADDRESS})
        case _:
            field = field_of(request)
            return frozenset([(field, part.key) for part in named_parts(request)])


def field_of(request: Request) -> Field:
    """Returns the field of the image that the request changes. Raises ValueError for
    BECOME_SUBSCRIBER, and for updates of the holder or the address.
    """
    field = FIELDS[request.type]
    if field is None:
        raise ValueError(f"a {request.type.name} changes the subscriber")
    return field


def named_parts(request: Request) -> tuple[Part, ...]:
    match field_of(request):
        case "entitlements":
            return entitlements_of(request)
        case "items":
            if request.item is None:
                raise ValueError(f"a {request.type.name} without its item")
            return (request.item,)
        case "usages":
            if request.usage is None or request.service is None:
                raise ValueError(f"a {request.type.name} without its usage")
            goods = tuple([item.goods for item in request.service.items])
            return (PostedUsage(usage=request.usage, goods=goods),)


def parts_of(known: PlatformImage, field: Field) -> tuple[Part, ...]:
    parts: tuple[Part, ...] = getattr(known, field)
    return parts


def _field_of(kind: RequestType) -> Field | None:
    match kind:
        case (
            RequestType.ACTIVATE_SERVICE
            | RequestType.DEACTIVATE_SERVICE
            | RequestType.ACTIVATE_SUBSCRIBER
            | RequestType.DEACTIVATE_SUBSCRIBER
        ):
            return "entitlements"
        case RequestType.ADD_INSTALLED_ITEM | RequestType.REMOVE_INSTALLED_ITEM:
            return "items"
        case RequestType.ADD_UDR | RequestType.CANCEL_UDR:
            return "usages"
        case (
            RequestType.BECOME_SUBSCRIBER
            | RequestType.UPDATE_SUBSCRIBER
            | RequestType.UPDATE_ADDRESS
        ):
            return None
        case _:
            assert_never(kind)


FIELDS = {kind: _field_of(kind) for kind in RequestType}
