"""Contains images of a platform, and plans the requests that lead from one image to another."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from generic_provider_server.domain.values import FINAL, ON, Provider, RequestType, Usage

from .state import Sub, distributor_of, service_of

Key = tuple[object, ...]
"""An element: ("known",), ("holder",), ("address",), ("item", distributor, goods type, serial),
("service", distributor, platform id, goods), ("usage", reference, goods)"""

KNOWN, HOLDER, ADDRESS = ("known",), ("holder",), ("address",)
GOODS = ("item", "service", "usage")
BECOME = RequestType.BECOME_SUBSCRIBER


@dataclass(frozen=True)
class Entitled:
    """The contents of an entitlement: its term end, and the code of its service. `code` is for
    requests, and is ignored in comparisons.
    """

    end: int | None
    code: str = field(compare=False, repr=False)


@dataclass
class Held:
    """An image. `there`: the elements in the image, each with its contents. `doubt`: the elements
    that are uncertain.
    """

    there: dict[Key, object] = field(default_factory=dict)
    doubt: set[Key] = field(default_factory=set)
    closed: bool = False

    def copy(self) -> Held:
        return Held(dict(self.there), set(self.doubt), self.closed)

    def sure(self, key: Key) -> bool:
        return key in self.there and key not in self.doubt

    def kind(self, kind: str) -> list[Key]:
        return [key for key in self.there if key[0] == kind]

    @property
    def goods(self) -> bool:
        return any(key[0] in GOODS for key in self.there)


@dataclass(frozen=True)
class Order:
    """A request: its type, and the elements that it names, with the contents that it gives them.

    Two requests with different codes of services are different requests.
    """

    type: RequestType
    parts: tuple[tuple[Key, object], ...]
    codes: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        codes = [value.code for _, value in self.parts if isinstance(value, Entitled)]
        object.__setattr__(self, "codes", tuple(codes))

    def __repr__(self) -> str:
        named = [" ".join(map(str, key)) for key, _ in self.parts]
        return f"{self.type.name}({', '.join(named)})"

    @property
    def names(self) -> set[Key]:
        return {key for key, _ in self.parts}


def image(sub: Sub, provider: Provider, now: int) -> Held:
    held = Held(closed=sub.state in FINAL)
    if provider.code not in sub.linked:
        return held
    held.there = {KNOWN: True, HOLDER: repr(sub.holder), ADDRESS: repr(sub.address)}
    for (code, kind, serial), where in sub.items.items():
        if code == provider.code:
            held.there["item", where, kind, serial] = None
    for key, end in entitlements(sub, provider).items() if sub.on else ():
        held.there[key] = end
    for usage in sub.usages.values():
        goods = (
            goods_of(sub, provider, usage.distributor) if usage.provider == provider.code else None
        )
        if goods is not None and usage.end_time > now:
            held.there["usage", usage.reference, goods] = record(usage)
    return held


def record(usage: Usage) -> tuple[object, ...]:
    parameters = sorted(usage.parameters.items())
    times = usage.end_time, usage.start_time
    return *times, usage.quantity, usage.service, usage.distributor, *parameters


def goods_of(sub: Sub, provider: Provider, distributor: str) -> tuple[Key, ...] | None:
    found = [
        (kind, serial)
        for kind in distributor_of(provider, distributor).required_goods_types
        for (code, k, serial), where in sub.items.items()
        if (code, k, where) == (provider.code, kind, distributor)
    ]
    complete = len(found) == len(distributor_of(provider, distributor).required_goods_types)
    return tuple(found) if complete else None


def entitlements(sub: Sub, provider: Provider) -> dict[Key, Entitled]:
    """Returns the entitlements. Several services with one platform id make one entitlement. The
    entitlement has the alphabetically first code of these services, and ends when the last of them
    ends.
    """
    found: dict[Key, list[tuple[str, int | None]]] = {}
    for (code, where, service), svc in sub.services.items():
        if code != provider.code or svc.state not in ON:
            continue
        goods = goods_of(sub, provider, where)
        if goods is not None:
            pid = service_of(provider, service).provider_service_id
            found.setdefault(("service", where, pid, goods), []).append((service, svc.term_end))
    timed = provider.request_settings.term_end_on_platform
    return {
        key: Entitled(
            _last([end for _, end in each]) if timed else None, min(code for code, _ in each)
        )
        for key, each in found.items()
    }


def _last(ends: Iterable[int | None]) -> int | None:
    ends = list(ends)
    return None if None in ends else max(end for end in ends if end is not None)


def current(held: Held, now: int) -> Held:
    """Returns the image without the usage that has ended."""
    result = held.copy()
    for key in held.kind("usage"):
        if is_over(held.there[key], now):
            del result.there[key]
            result.doubt.discard(key)
    return result


def is_over(record: object, now: int) -> bool:
    return end_of(record) <= now


def end_of(record: object) -> int:
    assert isinstance(record, tuple)
    end, *_ = record
    assert isinstance(end, int)
    return end


def rank(provider: Provider, distributor: str) -> tuple[int, int]:
    """Returns the place of the distributor in the order of requests: the number of distributors
    that it requires directly or indirectly, and its position in the provider. Unknown distributors,
    which a platform has reported, are the last.
    """
    codes = [each.code for each in provider.distributors]
    if distributor not in codes:
        return len(codes), 0
    required = distributor_of(provider, distributor).required_distributor
    return 1 + rank(provider, required)[0] if required else 0, codes.index(distributor)


def plan(held: Held, wanted: Held, provider: Provider) -> list[Order]:
    """Returns the requests that change a platform from the image `held` to the image `wanted`. Each
    activation and each deactivation is for one entitlement only. `joined` joins all
    activations, or all deactivations, into one request for the whole subscription.
    """
    if KNOWN not in wanted.there:
        return _differences(held, replace(wanted, there={}), provider, update=False)
    if wanted.closed and KNOWN not in held.there and not held.goods and not wanted.goods:
        return []
    if not held.sure(KNOWN):
        become = become_for(wanted)
        return [become, *_differences(effect(held, become), wanted, provider)]
    return _differences(held, wanted, provider)


def become_for(wanted: Held) -> Order:
    carried = [(k, v) for k, v in wanted.there.items() if k[0] != "usage"]
    return Order(BECOME, tuple(sorted(carried, key=repr)))


def _differences(
    held: Held, wanted: Held, provider: Provider, *, update: bool = True
) -> list[Order]:
    def wrong(key: Key) -> bool:
        return not held.sure(key) or held.there[key] != wanted.there[key]

    def surplus(key: Key) -> bool:
        replaced = key[0] == "usage" and wanted.there.get(key) != held.there[key]
        return key not in wanted.there or replaced

    def orders(kind: str, type_: RequestType, *, missing: bool) -> list[Order]:
        keys = [k for k in wanted.kind(kind) if wrong(k)] if missing else []
        keys = keys if missing else [k for k in held.kind(kind) if surplus(k)]
        source = wanted if missing else held
        if kind != "usage":
            keys.sort(key=lambda k: (rank(provider, str(k[1])), repr(k)), reverse=not missing)
        return [Order(type_, ((key, source.there[key]),)) for key in keys]

    return [
        *(_updates(wanted, wrong) if update else ()),
        *orders("usage", RequestType.CANCEL_UDR, missing=False),
        *orders("service", RequestType.DEACTIVATE_SERVICE, missing=False),
        *orders("item", RequestType.REMOVE_INSTALLED_ITEM, missing=False),
        *orders("item", RequestType.ADD_INSTALLED_ITEM, missing=True),
        *orders("service", RequestType.ACTIVATE_SERVICE, missing=True),
        *orders("usage", RequestType.ADD_UDR, missing=True),
    ]


def _updates(wanted: Held, wrong: Callable[[Key], bool]) -> list[Order]:
    address = (ADDRESS, wanted.there[ADDRESS])
    if wrong(HOLDER):
        return [Order(RequestType.UPDATE_SUBSCRIBER, ((HOLDER, wanted.there[HOLDER]), address))]
    return [Order(RequestType.UPDATE_ADDRESS, (address,))] if wrong(ADDRESS) else []


def joined(orders: list[Order], methods: tuple[bool, bool]) -> list[Order]:
    """Joins all activations into one request if `methods[0]` is true, and all deactivations if
    `methods[1]` is true.
    """
    for whole, single, into in (
        (methods[0], RequestType.ACTIVATE_SERVICE, RequestType.ACTIVATE_SUBSCRIBER),
        (methods[1], RequestType.DEACTIVATE_SERVICE, RequestType.DEACTIVATE_SUBSCRIBER),
    ):
        some = [order for order in orders if order.type is single]
        if whole and some:
            at = orders.index(some[0])
            parts = tuple(sorted([part for o in some for part in o.parts], key=repr))
            rest = [order for order in orders if order.type is not single]
            orders = [*rest[:at], Order(into, parts), *rest[at:]]
    return orders


TAKING = {
    RequestType.DEACTIVATE_SERVICE,
    RequestType.DEACTIVATE_SUBSCRIBER,
    RequestType.REMOVE_INSTALLED_ITEM,
    RequestType.CANCEL_UDR,
}


def effect(held: Held, order: Order) -> Held:
    after = held.copy()
    if order.type is BECOME:
        after.there = {key: held.there[key] for key in held.kind("usage")}
        after.doubt = set(after.there)
        after.there |= dict(order.parts)
        return after
    for key, contents in order.parts:
        after.doubt.discard(key)
        if order.type in TAKING:
            after.there.pop(key, None)
        else:
            after.there[key] = contents
    return after


def has(held: Held, order: Order) -> bool:
    """Tells whether the image certainly contains the effect of the request already."""
    if order.type is BECOME:
        held = Held({k: v for k, v in held.there.items() if k[0] != "usage"}, held.doubt)
        return held.there == dict(order.parts) and not held.doubt & set(held.there)
    if order.type in TAKING:
        return not any(key in held.there for key in order.names)
    return all(held.sure(key) and held.there[key] == value for key, value in order.parts)


def doubted(held: Held, order: Order, names: Iterable[Key] | None = None) -> Held:
    """Returns the image after a request that the platform may have applied."""
    after = held.copy()
    keys = set(order.names if names is None else names)
    if order.type is BECOME and names is None:
        keys |= set(held.there)
    for key in keys:
        named = dict(order.parts).get(key)
        former = after.there.setdefault(key, named)
        if key[0] == "usage" and named and end_of(named) > end_of(former):
            after.there[key] = named
    after.doubt |= keys - ({KNOWN} if held.sure(KNOWN) else set())
    return after
